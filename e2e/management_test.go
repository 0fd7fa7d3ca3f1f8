//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestNoManagementAddress asks for every type of every name, in every state that a role gets into.
// The capture looks at what is sent; dig shows it to the test.
func TestNoManagementAddress(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	for _, choice := range []string{"hold", "withdraw", "answer-all"} {
		l.write(choice+".ex1", claim("ex1", 5))
	}
	l.write("hold.role", "ex1\n")
	l.write("withdraw.role", "ex1\n")
	world := strings.Replace(claimed(), `listen: [{address: "192.0.2.53"}]`,
		`listen: [{address: "192.0.2.53", broadcast: [e0]}], node_status: {full: [192.0.2.0/24]}`, 1)
	n := guard.namewardWith(t, world, ".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n transfer {\n to *\n }\n}\n")
	guard.capture(t)

	look := func(t *testing.T) {
		t.Helper()
		st := n.status(t)
		names := []string{
			"corp.example.", "2.0.192.in-addr.arpa.", "ns1.corp.example.", "ex1.corp.example.", "ex2.corp.example.", "nobody.corp.example.",
			"11.2.0.192.in-addr.arpa.", "12.2.0.192.in-addr.arpa.", "11.0.9.10.in-addr.arpa.", "9.10.in-addr.arpa.", "example.", ".",
		}
		var netbiosNames []string
		for _, r := range st.Roles {
			names = append(names, r.DNS...)
			netbiosNames = append(netbiosNames, r.NetBIOS...)
		}
		answered := everyType(t, client, names)
		for _, zone := range []string{"corp.example.", "2.0.192.in-addr.arpa."} {
			answered += strings.Join(client.axfr(t, guardAddr, zone), "\n")
		}
		holds(t, "what dig prints", answered, "IN A 192.0.2.", "IN SOA ns1.corp.example.")
		answered += client.nmblookup(t, "-A", guardAddr)
		for _, name := range netbiosNames {
			base, suffix, _ := strings.Cut(strings.TrimSuffix(name, ">"), "<")
			answered += client.nmblookup(t, "-U", guardAddr, "--recursion", base+"#"+suffix)
		}
		answered += client.nmblookup(t, "-B", everybody, "MAIL#20")
		for line := range strings.Lines(answered) {
			if strings.Contains(line, "10.9.") || strings.Contains(line, "fd00:9:") {
				t.Errorf("a management address: %s", line)
			}
		}
	}
	t.Run("as started", look)
	n.do(t, "switch", "mailbox", "--to", "ex2")
	n.do(t, "override", "set", "l-hold", "--to", "ex2")
	for _, choice := range []string{"hold", "withdraw", "answer-all"} {
		l.write(choice+".ex2", claim("ex2", 5))
		soon(t, choice, 5*time.Second, "conflict", func() string { return n.role(t, "c-"+choice).State })
	}
	t.Run("switched, forced, in conflict", look)
	if out, err := command("rm", l.path("withdraw.role"), l.path("hold.ex1"), l.path("hold.ex2")); err != nil {
		t.Fatal(err, out)
	}
	soon(t, "lost", 5*time.Second, "lost lost", func() string { return n.role(t, "l-withdraw").State + " " + n.role(t, "c-hold").State })
	t.Run("sources lost", look)
	n.kill()
	n.up(t)
	t.Run("after a restart", look)
}

// everyType has dig ask for all types of the names over UDP and returns all records of all sections.
func everyType(t *testing.T, client *Host, names []string) string {
	t.Helper()
	var batch strings.Builder
	count := 0
	for _, qtype := range slices.Sorted(maps.Keys(dns.TypeToString)) {
		switch qtype {
		case dns.TypeNone, dns.TypeOPT, dns.TypeTKEY, dns.TypeTSIG, dns.TypeIXFR, dns.TypeAXFR, dns.TypeReserved:
			continue // not questions, or asked otherwise
		}
		for _, name := range names {
			fmt.Fprintf(&batch, "%s TYPE%d\n", name, qtype)
			count++
		}
	}
	file := client.lab.write("questions", batch.String())
	text := client.run(t, "dig", "@"+guardAddr, "+time=2", "+tries=1", "+notcp", "+nocookie", "-f", file)
	if got := strings.Count(text, "status: "); got != count {
		t.Errorf("dig shows %d answers to %d questions", got, count)
	}
	var records strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, ";") && strings.TrimSpace(line) != "" {
			records.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
		}
	}
	return records.String()
}
