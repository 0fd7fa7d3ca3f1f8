//go:build linux

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestWINSForward has the server be a guard in front of Samba's WINS server, in both modes that there are.
func TestWINSForward(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"forward", "both"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			inFront(t, mode)
		})
	}
}

// inFront is nameward in front of nmbd.
func inFront(t *testing.T, mode string) {
	const nodeAddr = "192.0.2.21"
	l := newLab(t)
	guard, client, upstream := l.host("guard", guardAddr, "10.9.0.53"), l.host("client", clientAddr), l.host("wins", winsAddr)
	node, member := l.host("node", nodeAddr, "10.9.0.21"), l.host("member", "192.0.2.11")
	samba := startWINS(t, upstream)
	n := guard.nameward(t, winsWorld("{mode: "+mode+"}", "forward: ["+winsAddr+"]"))
	guard.capture(t)
	wire := upstream.tap(t)
	there, here := client.asker(t, winsAddr), client.asker(t, guardAddr)
	// What the server behind had before, and whether it takes anything yet.
	forwarded(t, client, samba, n)

	ask := func(a *Asker, name string) func() string { return func() string { return a.netbios(name) } }
	node.nmbd(t, "NODE1", "interfaces = 10.9.0.21/24 "+nodeAddr+"/24", "wins server = "+guardAddr)
	soon(t, "the node's name at the server behind", 20*time.Second, nodeAddr, ask(there, "NODE1<20>"))
	soon(t, "the node's name here", 5*time.Second, "NODE1<20> multihomed active "+nodeAddr, func() string { return n.listed(t, "NODE1<20>") })
	same(t, "the node's name when it is asked for here", here.netbios("NODE1<20>"), nodeAddr)
	holds(t, "its management address", n.held(t, "NODE1<20>"), "10.9.0.21: emptied, builtin-filtered")
	m := member.speaker(t, "192.0.2.11", 0)
	same(t, "the role's name", m.register("MAIL<20>"), "granted 3600")
	soon(t, "the role's name at the server behind", 5*time.Second, "192.0.2.11", ask(there, "MAIL<20>"))
	rival := client.speaker(t, clientAddr, 0)
	same(t, "a name that somebody has", strings.TrimPrefix(rival.register("NODE1<20>"), "WACK, "), "rcode 6")
	same(t, "it is whose it was", here.netbios("NODE1<20>")+" "+there.netbios("NODE1<20>"), nodeAddr+" "+nodeAddr)

	samba.kill()
	same(t, "a name of our own, without the server behind", here.netbios("NODE1<20>"), nodeAddr)
	same(t, "a role's name", here.netbios("MAIL<20>"), "192.0.2.11")
	same(t, "a name that only the server behind knows: the client is to ask its next one", here.netbios("PRINTER<20>"), "silence")
	begin := time.Now()
	said := rival.register("KEPT<20>")
	t.Logf("a registration without the server behind: %s after %s", said, time.Since(begin).Round(time.Millisecond))
	same(t, "a registration", strings.TrimPrefix(said, "WACK, "), "granted 3600")
	same(t, "its name", here.netbios("KEPT<20>"), clientAddr)
	same(t, "what waits for the server behind", n.metric(t, "coredns_nameward_wins_outbox_queued"), "1")
	n.kill()
	n.up(t)
	same(t, "what waits, after a kill", n.metric(t, "coredns_nameward_wins_outbox_queued"), "1")

	begin = time.Now()
	startWINS(t, upstream)
	soon(t, "what was kept is at the server behind", 70*time.Second, clientAddr, ask(there, "KEPT<20>"))
	t.Logf("nmbd has what was kept %s after its start", time.Since(begin).Round(time.Millisecond))
	soon(t, "nothing waits any more", 5*time.Second, "0", func() string { return n.metric(t, "coredns_nameward_wins_outbox_queued") })

	for _, s := range wire.all(func(s *Seen) bool { return !s.out && s.from.Addr() == winsServer.Addr() }) {
		claim, _ := s.Claim()
		for _, addr := range claim.Addrs {
			if management.Contains(addr.Addr) {
				t.Errorf("a management address went to the server behind: %s of %s with %s", s.Form(), claim.Name, addr)
			}
		}
	}
}
