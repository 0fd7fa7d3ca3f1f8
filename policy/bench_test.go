package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/policytest"
)

// largePolicy has rules with a glob, an exact name and source prefixes each: perRule of its own in every
// rule, or the same shared ones everywhere.
func largePolicy(rules, perRule int) string {
	var b strings.Builder
	b.WriteString("classes:\n")
	for i := range 10 {
		fmt.Fprintf(&b, "  c%d: [", i)
		for j := range 100 {
			fmt.Fprintf(&b, "100.%d.%d.0/24,", 64+i, j)
		}
		b.WriteString("]\n")
	}
	b.WriteString("rules:\n")
	actions := []string{"publish", "strip", "quarantine", "refuse"}
	for i := range rules {
		fmt.Fprintf(&b, "  - {id: r%d, action: %s, names: [\"db%d-*\", \"*-x%d\", host%d.corp.example., \"SRV%d*\"], classes: [c%d], from: [", i, actions[i%4], i, i, i, i, i%10)
		for j := range perRule {
			n := (i*perRule + j) & 0xfffff
			fmt.Fprintf(&b, "10.%d.%d.%d/28,", n>>12, n>>4&255, n&15<<4)
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

func BenchmarkDecide(b *testing.B) {
	s := policytest.Assume(b, policytest.World(b), map[string][]string{"mailbox": {"ex1"}})
	for _, tt := range []struct {
		name string
		text string
	}{
		{"builtin", "version: 1"},
		{"1000x1000shared", largePolicy(1000, 1)},
		{"1000x1000each", largePolicy(1000, 1000)},
	} {
		p, err := policy.Parse("p.yaml", []byte(tt.text))
		if err != nil {
			b.Fatal(err)
		}
		for name, q := range benchRequests() {
			b.Run(tt.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if d := p.Decide(s, &q); d.Rule == nil {
						b.Fatal("no rule")
					}
				}
			})
		}
	}
}

func benchRequests() map[string]policy.Request {
	r := rand.New(rand.NewPCG(3, 4))
	out := map[string]policy.Request{}
	add := func(name string, ch policy.Channel, n, from string, addrs ...string) {
		q := policy.Request{Channel: ch, Source: netip.MustParseAddr(from)}
		if err := q.SetName(n); err != nil {
			panic(err)
		}
		for _, a := range addrs {
			q.Addrs = append(q.Addrs, netip.MustParseAddr(a))
		}
		q.GuessType()
		out[name] = q
	}
	add("wins", policy.WINS, "MAIL<20>", "10.9.0.12", "192.0.2.11")
	add("glob", policy.Update, fmt.Sprintf("db%d-7.corp.example.", r.IntN(1000)), "10.1.1.1", "100.65.3.3")
	add("answer4", policy.Answer, "www.other.example.", "8.8.8.8", "192.0.2.1", "192.0.2.2", "10.9.1.1", "100.64.1.1")
	signed := out["glob"]
	signed.Principal = "dhcp-key."
	out["signed"] = signed
	return out
}

// TestDecideAllocates nothing: a server calls it for every packet.
func TestDecideAllocates(t *testing.T) {
	s := policytest.Assume(t, policytest.World(t), nil)
	p := policytest.Parse(t, largePolicy(1000, 1)+"  - {id: signed, action: publish, principals: [\"*-key\"], names: [x.example.]}\n")
	for name, q := range benchRequests() {
		if n := testing.AllocsPerRun(100, func() { p.Decide(s, &q) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
