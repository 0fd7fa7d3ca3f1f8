//go:build linux

package e2e

import (
	"net"
	"strings"
	"testing"
	"time"
)

// sharedWorld has one address for both nodes. This host is ex2.
const sharedWorld = `
clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.10, "2001:db8::10"]}
      ex2: {public: [192.0.2.10, "2001:db8::10"]}
    roles:
      - {name: mailbox, dns: [mail.corp.example.], source: {operator: {initial: ex1}}}
push:
  targets:
    - {name: neighbours, arp: {interface: e0, node: ex2}}
`

// TestPushARP moves a shared address from one host to another. A third one has it in its neighbour table, which is
// right again at once, although nothing but nameward says so.
func TestPushARP(t *testing.T) {
	l := newLab(t)
	ex1, ex2, client := l.host("ex1", "192.0.2.11"), l.host("ex2", guardAddr), l.host("client", clientAddr)
	for i, h := range []*Host{ex1, ex2, client} {
		l.ip("-n", h.ns, "addr", "add", []string{"2001:db8::11/64", "2001:db8::53/64", "2001:db8::100/64"}[i], "dev", "e0", "nodad")
	}
	shared := func(h *Host, verb string) {
		t.Helper()
		l.ip("-n", h.ns, "addr", verb, "192.0.2.10/24", "dev", "e0")
		args := []string{"-n", h.ns, "addr", verb, "2001:db8::10/64", "dev", "e0"}
		if verb == "add" {
			args = append(args, "nodad")
		}
		l.ip(args...)
	}
	shared(ex1, "add")
	macs := map[string]string{ex1.mac(t): "ex1", ex2.mac(t): "ex2", "02:00:00:00:00:99": "nobody"}
	neighbour := func(addr string) string {
		out := client.run(t, "ip", "neigh", "show", addr, "dev", "e0")
		for mac, host := range macs {
			if strings.Contains(out, mac) {
				return host
			}
		}
		return out
	}
	both := func() string { return neighbour("192.0.2.10") + " " + neighbour("2001:db8::10") }
	learn := func() {
		t.Helper()
		for _, addr := range []string{"192.0.2.10:9", "[2001:db8::10]:9"} {
			if conn, err := client.dial("tcp", addr); err == nil { // nobody listens, but somebody says so
				conn.Close()
			}
		}
	}
	n := ex2.nameward(t, sharedWorld)
	learn()
	same(t, "neighbours before", both(), "ex1 ex1")

	// The role comes before the address: nothing is announced, and the status says why.
	n.do(t, "switch", "mailbox", "--to", "ex2")
	soon(t, "status without the address", 2*time.Second, "true", func() string {
		if strings.Contains(n.do(t, "push", "status"), "192.0.2.10 is not on e0 of this host") {
			return "true"
		}
		return "false"
	})
	same(t, "neighbours while the address is still there", both(), "ex1 ex1")
	shared(ex1, "del")
	shared(ex2, "add")
	took := soon(t, "the neighbours follow the address", 6*time.Second, "ex2 ex2", both)
	t.Logf("the address comes after the role: %s to the next try", took)

	// The address comes before the role, as with a cluster manager that moves both. The switch tells at once.
	n.do(t, "switch", "mailbox", "--to", "ex1")
	shared(ex2, "del")
	shared(ex1, "add")
	time.Sleep(2500 * time.Millisecond) // what is repeated is over
	l.ip("-n", client.ns, "neigh", "flush", "dev", "e0")
	learn()
	same(t, "neighbours, back at ex1", both(), "ex1 ex1")
	shared(ex1, "del")
	shared(ex2, "add")
	same(t, "neighbours, before anybody says so", both(), "ex1 ex1")
	began := time.Now()
	n.do(t, "switch", "mailbox", "--to", "ex2", "--wait")
	soon(t, "neighbours after the switch", 300*time.Millisecond, "ex2 ex2", both)
	t.Logf("switch to neighbour tables: at most %s", time.Since(began))

	// A passive node says nothing, although it still has the address.
	time.Sleep(2500 * time.Millisecond)
	for _, addr := range []string{"192.0.2.10", "2001:db8::10"} {
		l.ip("-n", client.ns, "neigh", "replace", addr, "lladdr", "02:00:00:00:00:99", "nud", "stale", "dev", "e0")
	}
	n.do(t, "switch", "mailbox", "--to", "ex1")
	time.Sleep(2500 * time.Millisecond)
	same(t, "neighbours after a passive node had its chance", both(), "nobody nobody")
	// Its own word would have been heard.
	n.do(t, "switch", "mailbox", "--to", "ex2", "--wait")
	soon(t, "neighbours after the active one spoke", time.Second, "ex2 ex2", both)
}

// mac is the hardware address of e0.
func (h *Host) mac(t *testing.T) string {
	t.Helper()
	var mac string
	err := h.inside(func() error {
		iface, err := net.InterfaceByName("e0")
		if err == nil {
			mac = iface.HardwareAddr.String()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return mac
}
