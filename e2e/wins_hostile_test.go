//go:build linux

package e2e

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
)

// forger sends packets from addresses that are not the host's.
type forger struct {
	t  *testing.T
	fd int
}

func (h *Host) forger(t *testing.T) *forger {
	t.Helper()
	f := &forger{t: t}
	err := h.inside(func() (err error) {
		f.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.lab.t.Cleanup(func() { unix.Close(f.fd) })
	return f
}

// send sends a message with a forged sender.
func (f *forger) send(from, to netip.AddrPort, m netbios.Message) {
	f.t.Helper()
	payload, err := m.Append(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	b := make([]byte, 28, 28+len(payload)) // the kernel fills in length, id and checksum: raw(7); UDP needs none
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	source, target := from.Addr().As4(), to.Addr().As4()
	copy(b[12:], source[:])
	copy(b[16:], target[:])
	binary.BigEndian.PutUint16(b[20:], from.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	if err := unix.Sendto(f.fd, append(b, payload...), 0, &unix.SockaddrInet4{Addr: target}); err != nil {
		f.t.Fatal(err)
	}
}

// TestWINSHostile has a stranger try to take a node's name and that of a role.
func TestWINSHostile(t *testing.T) {
	t.Parallel()
	const nodeAddr, strangerAddr, rivalAddr = "192.0.2.21", "192.0.2.66", "192.0.2.22"
	l := newLab(t)
	guard, node, stranger := l.host("guard", guardAddr), l.host("node", nodeAddr), l.host("stranger", strangerAddr, rivalAddr)
	client, member := l.host("client", clientAddr), l.host("member", "192.0.2.11")
	n := guard.nameward(t, winsWorld("{mode: own}"))
	a := client.asker(t, guardAddr)
	samba := node.nmbd(t, "NODE1", "interfaces = "+nodeAddr+"/24", "wins server = "+guardAddr)
	soon(t, "the node's name", 20*time.Second, "NODE1<20> multihomed active "+nodeAddr, func() string { return n.listed(t, "NODE1<20>") })
	same(t, "a member registers the role's name", member.speaker(t, "192.0.2.11", 137).register("MAIL<20>"), "granted 3600")
	node1, mail := netbios.MustParseName("NODE1<20>"), netbios.MustParseName("MAIL<20>")
	bad := stranger.speaker(t, strangerAddr, 137)

	unchanged := func(t *testing.T) {
		t.Helper()
		same(t, "the node's name", n.listed(t, "NODE1<20>")+" "+a.netbios("NODE1<20>"), "NODE1<20> multihomed active "+nodeAddr+" "+nodeAddr)
		same(t, "the role's name", n.listed(t, "MAIL<20>")+" "+a.netbios("MAIL<20>"), " 192.0.2.11")
	}
	recorded := func(t *testing.T, entry string) {
		t.Helper()
		name, _, _ := strings.Cut(entry, " ")
		soon(t, "the try is recorded", 5*time.Second, "true", func() string {
			if held := n.held(t, name); !strings.Contains(held+"\n", entry+"\n") {
				return held
			}
			return "true"
		})
	}
	for _, try := range []struct {
		what   string
		m      netbios.Message
		said   string // "" for no answer
		record string
	}{
		{"release of the node's name with its address", netbios.NewRelease(0, node1, at(nodeAddr)), "released",
			"NODE1<20> release ignored " + nodeAddr + " from " + strangerAddr + ": not-owner"},
		{"release of the node's name with the own address", netbios.NewRelease(0, node1, at(strangerAddr)), "released",
			"NODE1<20> release ignored " + strangerAddr + " from " + strangerAddr + ": not-owner"},
		{"refresh of the node's name with its address", netbios.NewRefresh(0, node1, 3600, at(nodeAddr)), "granted 3600",
			"NODE1<20> refresh quarantined " + nodeAddr + " from " + strangerAddr + ": not-the-source"},
		{"registration of the node's name with its address", netbios.NewRegistration(0, node1, 3600, at(nodeAddr)), "granted 3600",
			"NODE1<20> registration quarantined " + nodeAddr + " from " + strangerAddr + ": not-the-source"},
		{"multihomed registration beside the node's address", netbios.NewMultihomed(0, node1, 3600, at(strangerAddr)), "WACK, rcode 6", ""},
		{"the node's name as a group", netbios.NewRegistration(0, node1, 3600, netbios.Address{Flags: netbios.HNode | netbios.Group, Addr: bad.addr}),
			"WACK, rcode 6", ""},
		{"overwrite of the node's name", netbios.NewOverwrite(0, node1, 3600, at(strangerAddr)), "WACK, rcode 6", ""},
		{"release of the role's name with the member's address", netbios.NewRelease(0, mail, at("192.0.2.11")), "released",
			"MAIL<20> release ignored 192.0.2.11 from " + strangerAddr + ": guarded"},
		{"refresh of the role's name with the member's address", netbios.NewRefresh(0, mail, 3600, at("192.0.2.11")), "granted 3600",
			"MAIL<20> refresh quarantined 192.0.2.11 from " + strangerAddr + ": not-the-source, builtin-guarded-holder"},
		{"registration of the role's name", netbios.NewRegistration(0, mail, 3600, at(strangerAddr)), "granted 3600",
			"MAIL<20> registration quarantined " + strangerAddr + " from " + strangerAddr + ": emptied, builtin-guarded-other"},
		{"conflict demand for the node's name", netbios.NewConflictDemand(7, node1, netbios.HNode), "",
			"NODE1<20> conflict-demand ignored 0.0.0.0 from " + strangerAddr + ": unasked"},
		{"conflict demand for the role's name", netbios.NewConflictDemand(7, mail, netbios.HNode), "",
			"MAIL<20> conflict-demand ignored 0.0.0.0 from " + strangerAddr + ": unasked"},
		{"unsolicited answer about the role's name", netbios.NewPositiveQuery(7, mail, 3600, at(strangerAddr)), "",
			"MAIL<20> response ignored " + strangerAddr + " from " + strangerAddr + ": unasked"},
		// That of other names is noise, as late answers are: without effect, and not recorded.
		{"unsolicited answer about the node's name", netbios.NewPositiveQuery(7, node1, 3600, at(strangerAddr)), "", ""},
	} {
		t.Run(try.what, func(t *testing.T) {
			if try.said == "" {
				bad.send(t, winsServer, try.m)
			} else {
				same(t, "the stranger is told", bad.claim(try.m), try.said)
			}
			unchanged(t)
			if try.record != "" {
				recorded(t, try.record)
			}
		})
	}
	t.Run("the member's claim is there still", func(t *testing.T) {
		holds(t, "held", n.held(t, "MAIL<20>"), "MAIL<20> registration published 192.0.2.11 from 192.0.2.11: rule")
	})
	t.Run("challenge", func(t *testing.T) {
		samba.kill()
		challenged(t, n, guard, stranger)
	})
}

// challenged has the owner of NODE1<20> be dead and somebody else claim it, while a forger speaks for the
// owner.
func challenged(t *testing.T, n *Nameward, guard, stranger *Host) {
	const name, rivalAddr = "NODE1<20>", "192.0.2.22"
	owner := netip.MustParseAddrPort("192.0.2.21:137")
	rival, forge := stranger.speaker(t, rivalAddr, 0), stranger.forger(t)
	bad := stranger.speaker(t, "192.0.2.66", 0)
	tap := guard.tap(t)
	// ask has the rival claim the name and the forger answer the challenge, which it can see here.
	ask := func(answer func(server netip.AddrPort, id uint16)) (said string, took time.Duration) {
		seen := len(tap.all(func(*Seen) bool { return true }))
		done, begin := make(chan string, 1), time.Now()
		go func() { done <- rival.register(name) }()
		var question Seen
		soon(t, "the owner is asked", 5*time.Second, "true", func() string {
			for _, s := range tap.all(func(*Seen) bool { return true })[seen:] {
				if s.out && s.to == owner && s.Form() == netbios.FormQuery {
					question = s
					return "true"
				}
			}
			return "false"
		})
		answer(question.from, question.ID)
		said = <-done
		return said, time.Since(begin)
	}
	yes := func(id uint16) netbios.Message {
		return netbios.NewPositiveQuery(id, netbios.MustParseName(name), 3600, at("192.0.2.21"))
	}
	// With all that a stranger who sees nothing cannot know, it works: so the forger is no dummy.
	said, took := ask(func(server netip.AddrPort, id uint16) { forge.send(owner, server, yes(id)) })
	same(t, "the rival, when the right answer is forged", said, "WACK, rcode 6")
	if took > 900*time.Millisecond {
		t.Errorf("the forged answer took %s to count", took)
	}
	said, took = ask(func(server netip.AddrPort, id uint16) {
		for guess := range uint16(1000) {
			if guess != 500 {
				forge.send(owner, server, yes(id+guess-500))
			}
		}
		forge.send(owner, winsServer, yes(id))                                                                          // the port of the service
		forge.send(owner, netip.AddrPortFrom(server.Addr(), server.Port()^1), yes(id))                                  // another one
		forge.send(netip.AddrPortFrom(owner.Addr(), 1137), server, yes(id))                                             // not from port 137
		forge.send(netip.AddrPortFrom(bad.addr, 137), server, yes(id))                                                  // not from the owner
		bad.send(t, server, yes(id))                                                                                    // the same, unforged
		forge.send(owner, server, netbios.NewPositiveQuery(id, netbios.MustParseName("OTHER"), 3600, at("192.0.2.21"))) // not the name
		m := yes(id)
		m.Flags, m.Header = 0, netbios.Header{ID: id} // a request
		forge.send(owner, server, m)
	})
	same(t, "the rival, when every wrong answer is forged", said, "WACK, granted 3600")
	if took < 2500*time.Millisecond {
		t.Errorf("the owner was given up after %s: something was taken for an answer", took)
	}
	same(t, "the name", n.listed(t, name), name+" unique active "+rivalAddr)
}
