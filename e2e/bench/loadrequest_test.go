package main

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/nameward/nameward/netbios"
)

// good is the right answer to request i, as real servers send it.
func (r *requests) good(t *testing.T, id uint16, i int) []byte {
	t.Helper()
	addr := netbios.Address{Flags: netbios.HNode, Addr: r.want(i)}
	name := netbiosName(r.first + i)
	m := netbios.NewPositiveRegistration(id, name, 300, addr)
	switch r.op {
	case opQuery:
		m = netbios.NewPositiveQuery(id, name, 300, addr)
	case opRelease:
		m = netbios.NewPositiveRelease(id, name, addr)
	}
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIsRight changes every bit of a right answer: none but those of the TTL, of a few flags and of the node
// type may be another one.
func TestIsRight(t *testing.T) {
	for _, op := range []operation{opQuery, opRegister, opRefresh, opRelease} {
		t.Run(string(op), func(t *testing.T) {
			r, err := packRequests(op, 7, 3, netip.MustParseAddr("192.0.2.1"), false)
			if err != nil {
				t.Fatal(err)
			}
			reply := r.good(t, 77, 1)
			if !r.isPlain(reply, 1) || !r.isRight(reply, 1) {
				t.Errorf("a right answer is wrong: %x", reply)
			}
			if r.isPlain(reply, 2) || r.isRight(reply, 2) {
				t.Errorf("an answer for another name is right")
			}
			for bit := range len(reply) * 8 {
				at, mask := bit/8, byte(0x80)>>(bit%8)
				if at < 2 { // the id is looked at before
					continue
				}
				reply[at] ^= mask
				if plain, right := r.isPlain(reply, 1), r.isRight(reply, 1); plain != right || right != harmless(op, at, mask) {
					t.Errorf("octet %d bit %02x: plain %v, right %v", at, mask, plain, right)
				}
				reply[at] ^= mask
			}
			for n := range reply {
				if r.isRight(reply[:n], 1) {
					t.Errorf("the first %d octets are right", n)
				}
			}
		})
	}
}

// harmless tells the bits that answers may differ in.
func harmless(op operation, at int, mask byte) bool {
	switch {
	case at == 2: // not R and opcode
		return mask&0x07 != 0
	case at == 3: // not the rcode; RA ends a registration
		return mask&0xf0 != 0 && (op == opQuery || op == opRelease || mask != 0x80)
	case at >= offTypeNB+4 && at < offLength: // TTL
		return true
	case at == offNodeFlag, at == offNodeFlag+1:
		return at != offNodeFlag || mask != 0x80
	}
	return false
}

func TestSpread(t *testing.T) {
	r, err := packRequests(opQuery, 3*255, 7, netip.MustParseAddr("11.0.0.0"), true)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for i := range 7 {
		got += fmt.Sprint(r.want(i), " ")
	}
	want := "11.0.0.255 11.0.0.255 11.0.0.255 11.0.1.0 11.0.1.0 11.0.1.0 11.0.1.1 "
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestIsWack(t *testing.T) {
	h := netbios.NewRegistration(9, netbiosName(1), 1).Header
	for _, tt := range []struct {
		m    netbios.Message
		want bool
	}{
		{netbios.NewWack(h, netbiosName(1), 9), true},
		{netbios.NewPositiveRegistration(9, netbiosName(1), 1), false},
	} {
		b, err := tt.m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := isWack(b); got != tt.want {
			t.Errorf("%v: got %v", tt.m.Form(), got)
		}
	}
}
