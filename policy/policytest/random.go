// Package policytest makes policies and requests at random, small enough to collide often, for tests
// that hold the engine, its explanations and its proofs together.
package policytest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
)

// WorldYAML is the configuration that the random policies are about.
const WorldYAML = `
classes:
  management: [10.9.0.0/16, "fd00:9::/32"]
  replication: [10.20.0.0/16]
nat64: ["2001:db8:64::/96"]
clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.11, "2001:db8::11"], management: [10.9.0.11], site: hq, host: ex1.corp.example.}
      ex2: {public: [198.51.100.12, "2001:db8::12"], management: [10.9.0.12], site: dr, host: ex2.corp.example.}
      ex3: {public: [203.0.113.13], management: [10.9.0.13], replication: [172.16.0.13], site: dr}
    roles:
      - {name: mailbox, dns: [mail.corp.example.], netbios: [MAIL], nodes: [ex1, ex2], source: operator}
      - {name: pool, dns: [pool.corp.example.], netbios: [POOL], mode: all, source: {probe: {tcp: 25}}}
      - {name: lone, dns: [lone.corp.example.], nodes: [ex3], source: operator}
zones:
  - {name: corp.example., ns: {ns1.corp.example.: [192.0.2.53]}}
`

// World parses WorldYAML.
func World(t testing.TB) *registry.World {
	t.Helper()
	c, err := config.Parse("nameward.yaml", []byte(WorldYAML))
	if err != nil {
		t.Fatal(err)
	}
	return c.World
}

// Assume is registry.Assume.
func Assume(t testing.TB, w *registry.World, held map[string][]string) *registry.Snapshot {
	t.Helper()
	s, err := registry.Assume(w, held)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Held is who may hold the roles of World.
var Held = []map[string][]string{
	nil,
	{"mailbox": {"ex1"}, "pool": {"ex1", "ex3"}, "lone": {"ex3"}},
	{"mailbox": {"ex2"}, "pool": {"ex2"}, "lone": {}},
	{"mailbox": {}, "pool": {}},
}

// Parse parses a policy that must be right.
func Parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

var (
	names = []string{
		"mail.corp.example.", ".corp.example.", "*.example.", "ex?.corp.example.", "*.corp.*", "other.example.", ".", "db*", "*a*l*",
		"MAIL", "MAIL<20>", "EX*", "*<1b>", "*<20>", "?AIL", "*", "@guarded", "@role:mailbox", "@role:pool", "@reserved", "DB01<*>", "*B*",
	}
	prefixes = []string{
		"10.0.0.0/8", "10.9.0.0/16", "10.9.0.8/29", "192.0.2.0/24", "192.0.2.11/32", "198.51.100.0/24", "0.0.0.0/0",
		"2001:db8::/32", "2001:db8::11/128", "::/0", "172.16.0.0/12", "@controllers",
	}
	principals = []string{"key.", "*.corp.example", "*$@CORP.EXAMPLE", "EX1$@corp.example", "*", "dhcp-?", "@unsigned"}
	types      = []string{"A", "AAAA", "NB", "PTR", "TXT", "CNAME", "SRV", "TYPE65280"}
	classes    = []string{"public", "management", "replication", "dmz", "lab", policy.ClassFiltered, policy.ClassUnclassified, policy.ClassHolder, policy.ClassMember}
	channels   = []string{"wins", "nbns-broadcast", "update", "answer", "transfer", "push"}
	states     = []string{"holder", "passive", "stranger"}
)

// Policy writes a policy of up to most rules.
func Policy(r *rand.Rand, most int) string {
	var b strings.Builder
	b.WriteString("version: 1\nclasses: {dmz: [172.16.0.0/16, \"2001:db8:d::/48\"], lab: [172.16.0.0/24]}\ncontrollers: [192.0.2.5/32, 10.9.0.12/32]\n")
	fmt.Fprintf(&b, "default: %s\n", pick(r, "builtin", "builtin", "publish", "quarantine", "refuse"))
	n := r.IntN(most + 1)
	if n > 0 {
		b.WriteString("rules:\n")
	}
	for i := range n {
		fmt.Fprintf(&b, "  - {id: r%d, action: %s", i+1, pick(r, "publish", "strip", "quarantine", "rewrite", "refuse", "forward"))
		some(r, &b, "names", names)
		some(r, &b, "channels", channels)
		some(r, &b, "from", prefixes)
		some(r, &b, "principals", principals)
		some(r, &b, "types", types)
		some(r, &b, "classes", classes)
		some(r, &b, "state", states)
		if r.IntN(8) == 0 {
			b.WriteString(", shadow: true")
		}
		if r.IntN(6) == 0 {
			fmt.Fprintf(&b, ", expires: %s", pick(r, "2026-01-01", "2027-01-01"))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

// some writes a condition, or leaves it out.
func some(r *rand.Rand, b *strings.Builder, key string, words []string) {
	if r.IntN(5) < 3 {
		return
	}
	fmt.Fprintf(b, ", %s: [", key)
	for i := range 1 + r.IntN(2) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(b, "%q", pick(r, words...))
	}
	b.WriteString("]")
}

var (
	dnsNames = []string{
		"mail.corp.example.", "pool.corp.example.", "lone.corp.example.", "ex1.corp.example.", "ns1.corp.example.", "ex9.corp.example.",
		"corp.example.", "a.b.corp.example.", "other.example.", "wpad.corp.example.", "*.corp.example.", "x1uwhrcaaaaaybaaaa.corp.example.",
		"db01.other.", "11.0.9.10.in-addr.arpa.", ".", "example.",
	}
	nbNames = []string{"MAIL<20>", "MAIL<00>", "MAIL<42>", "POOL", "EX1<20>", "EXTRA", "WPAD", "CORP<1b>", "CORP<1c>", "DB01<03>", "*", "MAIL<20>.scope", "TAIL<20>"}
	v4      = []string{"192.0.2.11", "198.51.100.12", "203.0.113.13", "10.9.0.11", "10.9.0.12", "10.9.7.7", "10.20.0.1", "172.16.0.13", "172.16.0.99", "172.16.9.9", "192.0.2.53", "8.8.8.8"}
	v6      = []string{"2001:db8::11", "2001:db8::12", "fd00:9::1", "::ffff:10.9.0.11", "64:ff9b::10.9.0.11", "2001:db8:64::10.20.0.1", "2001:db8:d::1", "2001:db8:ffff::1"}
	whom    = []string{"", "", "key.", "ns.corp.example.", "EX1$@CORP.EXAMPLE", "dhcp-1.", "nobody"}
	times   = []string{"", "2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2028-01-01T00:00:00Z"}
)

// Request makes a request that a caller could make.
func Request(r *rand.Rand) policy.Request {
	q := policy.Request{Channel: policy.Channels[r.IntN(len(policy.Channels))]}
	if q.Channel == policy.Update || q.Channel == policy.Transfer {
		q.Principal = pick(r, whom...)
	}
	if t := pick(r, times...); t != "" {
		q.Time, _ = time.Parse(time.RFC3339, t)
	}
	if r.IntN(4) > 0 && q.Channel != policy.Transfer && q.Channel != policy.Push {
		q.Source = addr(r, append(v4, v6...))
	}
	netbios := q.Channel == policy.WINS || q.Channel == policy.Broadcast || q.Channel == policy.Push && r.IntN(2) == 0
	if netbios {
		must(q.SetName(pick(r, nbNames...)))
		q.Type = policy.TypeNB
		q.Addrs = addrs(r, v4)
		if q.Source.Is6() {
			q.Source = addr(r, v4)
		}
		return q
	}
	must(q.SetName(pick(r, dnsNames...)))
	switch r.IntN(4) {
	case 0:
		q.Type = []uint16{dns.TypeTXT, dns.TypeCNAME, dns.TypeSRV, 65280, dns.TypeNIMLOC}[r.IntN(5)]
	case 1:
		q.Type, q.Addrs = dns.TypeAAAA, addrs(r, v6)
	case 2:
		q.Type, q.Addrs = dns.TypePTR, addrs(r, v4)
	default:
		q.Type, q.Addrs = dns.TypeA, addrs(r, v4)
	}
	return q
}

func addrs(r *rand.Rand, from []string) []netip.Addr {
	var out []netip.Addr
	for range r.IntN(7) {
		out = append(out, addr(r, from))
	}
	return out
}

func addr(r *rand.Rand, from []string) netip.Addr { return netip.MustParseAddr(pick(r, from...)) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
