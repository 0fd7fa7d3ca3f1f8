package nbns

import (
	"testing"

	"github.com/nameward/nameward/netbios"
)

// FuzzHandle: nothing panics, no response is answered, no reply is too long, and no answer to a
// question has an address that the world filters. What a registration claims is echoed to the claimant
// alone and is no answer.
func FuzzHandle(f *testing.F) {
	for _, b := range captures(f) {
		f.Add(b, false)
		f.Add(b, true)
	}
	for _, name := range []string{"MAIL<20>", "WEB<20>", "mail<20>.hq", "BOTH<20>", "GONE<20>", "UNKNOWN<20>"} {
		f.Add(encode(f, query(name)), false)
		f.Add(encode(f, status(name)), true)
		f.Add(encode(f, netbios.NewRegistration(1, netbios.MustParseName(name), 9, addr1, addr2)), false)
	}
	s := newServer(newRegistry(f))
	snap := s.Snapshot()
	f.Fuzz(func(t *testing.T, b []byte, broadcast bool) {
		reply, more, outcome := s.handle(snap, packet{data: b, from: listed, broadcast: broadcast}, make([]byte, 0, maxReply))
		if more != nil || outcome >= outcomes {
			t.Fatalf("outcome %d, forwarded %v", outcome, more != nil)
		}
		if len(reply) == 0 {
			return
		}
		h, _ := netbios.ParseHeader(b)
		m, err := netbios.Parse(reply)
		switch {
		case h.IsResponse():
			t.Fatalf("response %x is answered", b)
		case len(reply) > netbios.MaxDatagram:
			t.Fatalf("reply of %d octets", len(reply))
		case err != nil:
			t.Fatalf("reply %x: %v", reply, err)
		case m.ID != h.ID || !m.IsResponse():
			t.Fatalf("reply %+v to id %d", m, h.ID)
		case m.Opcode != netbios.OpQuery:
			return
		}
		claim, _ := m.Claim()
		for _, a := range claim.Addrs {
			if class, filtered := snap.Filtered(a.Addr); filtered {
				t.Fatalf("%s of class %s is answered", a.Addr, class)
			}
		}
	})
}
