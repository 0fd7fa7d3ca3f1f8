package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nameward/nameward/policy/policytest"
)

// people writes a policy as people do: most rules are for exact names, a few for everything below a zone,
// and one in two hundred for names with a wildcard.
func people(rules int) string {
	var b strings.Builder
	b.WriteString("version: 1\nclasses: {dmz: [172.16.0.0/16], lab: [172.16.5.0/24]}\nrules:\n")
	for i := range rules {
		names := fmt.Sprintf("app%d.corp.example., APP%d", i, i)
		switch {
		case i%200 == 7:
			names = fmt.Sprintf("\"db%d-*.corp.example.\"", i)
		case i%10 == 3:
			names = fmt.Sprintf(".site%d.corp.example.", i)
		}
		fmt.Fprintf(&b, "  - {id: r%d, names: [%s]", i, names)
		switch i % 5 {
		case 0:
			b.WriteString(", channels: [update], principals: [dhcp-key.], classes: [public, \"@unclassified\"], action: publish}\n")
		case 1:
			fmt.Fprintf(&b, ", channels: [update], from: [192.0.%d.0/24], action: refuse}\n", i%256)
		case 2:
			b.WriteString(", classes: [dmz, lab], action: strip, alert: true}\n")
		case 3:
			b.WriteString(", channels: [wins, update], action: quarantine, alert: true}\n")
		default:
			b.WriteString(", types: [A, AAAA], action: forward}\n")
		}
	}
	return b.String()
}

// BenchmarkCheck is what `nameward policy check` takes for one file.
func BenchmarkCheck(b *testing.B) {
	w := policytest.World(b)
	for _, rules := range []int{10, 100, 1000} {
		p := policytest.Parse(b, people(rules))
		b.Run(fmt.Sprintf("%d rules", rules), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				found, err := Check(Subject{Policy: p, World: w, Now: now})
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range found {
					if f.Kind == NotProved {
						b.Fatal(f.Message)
					}
				}
			}
		})
	}
}
