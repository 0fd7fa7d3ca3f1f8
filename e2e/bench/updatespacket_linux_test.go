package main

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestUpdatePacket: the library reads what we pack, and finds the signature right.
func TestUpdatePacket(t *testing.T) {
	p := newUpdatePacker()
	for _, tt := range []struct {
		change
		want string
	}{
		{change{name: 12345678}, "u12345678.corp.example.\t60\tIN\tA\t198.51.100.7"},
		{change{name: 7}, "u00000007.corp.example.\t60\tIN\tA\t198.51.100.7"},
		{change{name: 70, deletes: true}, "u00000070.corp.example.\t0\tCLASS255\tA\t"},
	} {
		packet := p.append([]byte("before"), 0xabcd, tt.change, time.Now())[len("before"):]
		var m dns.Msg
		if err := m.Unpack(packet); err != nil {
			t.Fatal(err)
		}
		if m.Id != 0xabcd || m.Opcode != dns.OpcodeUpdate || len(m.Question) != 1 || m.Question[0] != (dns.Question{Name: zone, Qtype: dns.TypeSOA, Qclass: dns.ClassINET}) {
			t.Errorf("%v", &m)
		}
		if len(m.Ns) != 1 || m.Ns[0].String() != tt.want || tt.want[:len(updateName(0))] != updateName(tt.name) {
			t.Errorf("%q, want %q", m.Ns, tt.want)
		}
		if err := dns.TsigVerify(packet, updateSecret, "", false); err != nil {
			t.Error(err)
		}
		packet[20]++
		if dns.TsigVerify(packet, updateSecret, "", false) == nil {
			t.Error("a changed packet has a right signature")
		}
	}
}

func TestUpdateReply(t *testing.T) {
	m := new(dns.Msg).SetUpdate(zone)
	m.Id = 77
	request, _ := m.Pack()
	m.SetRcode(m.Copy(), dns.RcodeRefused)
	reply, _ := m.Pack()
	if _, _, ok := readUpdateReply(request); ok {
		t.Error("a request is no response")
	}
	if _, _, ok := readUpdateReply(reply[:11]); ok {
		t.Error("a header has 12 octets")
	}
	if id, rcode, ok := readUpdateReply(reply); id != 77 || rcode != dns.RcodeRefused || !ok {
		t.Error(id, rcode, ok)
	}
}
