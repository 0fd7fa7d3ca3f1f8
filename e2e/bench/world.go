package main

import (
	"fmt"
	"strings"

	"github.com/nameward/nameward/netbios"
)

// world is a configuration: so many roles, each with so many DNS names and as many NetBIOS names, all in one owned
// zone, on two nodes.
type world struct {
	roles, each int
	claims      string // directory of claim files that the roles follow; "" for source operator
	wins        int    // records that the WINS server may hold, all of one address if need be; 0 for no WINS server
}

// The two nodes and their public addresses.
var (
	nodes     = [2]string{"n1", "n2"}
	addresses = [2]string{"192.0.2.1", "192.0.2.2"}
)

const zone = "corp.example."

func (w world) names() int { return w.roles * w.each }

func (w world) String() string {
	if w.each == 1 {
		return thousands(w.names()) + " names"
	}
	return fmt.Sprintf("%s roles x %d names", thousands(w.roles), w.each)
}

// thousands groups digits.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Names are counted from 0; each role has the next few.
func roleName(role int) string        { return fmt.Sprintf("r%06d", role) }
func dnsName(i int) string            { return fmt.Sprintf("m%06d.%s", i, zone) }
func (w world) roleOf(i int) int      { return i / w.each }
func netbiosName(i int) netbios.Name  { return netbios.MustParseName(netbiosText(i)) }
func netbiosText(i int) string        { return fmt.Sprintf("M%06d<20>", i) }
func (w world) claim(role int) string { return w.claims + "/" + roleName(role) + ".role" }

// places are the files and addresses that a configuration names.
type places struct {
	store, socket string
	netbios       string // ADDRESS:PORT; "" for no name service
	wins          string // the WINS database
}

// yaml writes the configuration.
func (w world) yaml(p places) string {
	var b strings.Builder
	fmt.Fprintf(&b, "store: {bolt: %s}\ncontrol: {socket: %s}\n", p.store, p.socket)
	if p.netbios != "" {
		fmt.Fprintf(&b, "netbios: {name: BENCH, listen: [{address: %q}]%s}\n", p.netbios, w.winsYAML(p.wins))
	}
	fmt.Fprintf(&b, "zones: [{name: %s, ns: {ns1.%s: [192.0.2.53]}}]\n", zone, zone)
	b.WriteString("clusters:\n  - name: bench\n    defaults: {ttl: 60s, source: {operator: {initial: n1}}}\n    nodes:\n")
	for i, n := range nodes {
		fmt.Fprintf(&b, "      %s: {public: [%s], management: [10.9.0.%d]}\n", n, addresses[i], i+1)
	}
	if w.roles == 0 {
		b.WriteString("    roles: []\n")
		return b.String()
	}
	b.WriteString("    roles:\n")
	for role := range w.roles {
		var names, netbiosNames []string
		for i := role * w.each; i < (role+1)*w.each; i++ {
			names, netbiosNames = append(names, dnsName(i)), append(netbiosNames, fmt.Sprintf("%q", netbiosText(i)))
		}
		fmt.Fprintf(&b, "      - {name: %s, dns: [%s], netbios: [%s]", roleName(role), strings.Join(names, ", "), strings.Join(netbiosNames, ", "))
		if w.claims != "" {
			fmt.Fprintf(&b, ", source: {file: %s}", w.claim(role))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func (w world) winsYAML(database string) string {
	if w.wins == 0 {
		return ""
	}
	return fmt.Sprintf(", wins: {mode: own, database: %s, limits: {records: %d, per_address: %d}}", database, w.wins, w.wins)
}

// hosts writes the same names for the hosts plugin.
func (w world) hosts() string {
	var b strings.Builder
	for i := range w.names() {
		fmt.Fprintf(&b, "%s %s\n", addresses[0], strings.TrimSuffix(dnsName(i), "."))
	}
	return b.String()
}

// zoneFile writes the same names for the file plugin.
func (w world) zoneFile() string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 60\n@ IN SOA ns1 hostmaster 1 60 10 604800 5\n@ IN NS ns1\nns1 IN A 192.0.2.53\n", zone)
	for i := range w.names() {
		fmt.Fprintf(&b, "%s IN A %s\n", dnsName(i), addresses[0])
	}
	return b.String()
}
