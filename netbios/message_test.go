package netbios

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	mail   = MustParseName("MAIL<20>")
	scoped = MustParseName("MAIL<20>.scope.example")
	addr1  = Address{Flags: HNode, Addr: netip.MustParseAddr("192.0.2.11")}
	addr2  = Address{Flags: Group | PNode, Addr: netip.MustParseAddr("198.51.100.12")}
)

// equal compares messages; an empty slice is as good as none.
var equal = cmp.Options{cmpopts.EquateComparable(Name{}, netip.Addr{}), cmpopts.EquateEmpty()}

// forms has one message of each form, with the flags word of its figure in RFC 1002.
var forms = []struct {
	form Form
	word uint16
	msg  Message
}{
	{FormRegistration, 0x2900, NewRegistration(1, mail, 300, addr1)},
	{FormRegistration, 0x2910, NewRegistration(1, scoped, 300, addr1).Broadcast()},
	{FormMultihomed, 0x7900, NewMultihomed(1, mail, 300, addr1)},
	{FormOverwrite, 0x2800, NewOverwrite(1, mail, 300, addr1)},
	{FormOverwrite, 0x2810, NewOverwrite(1, mail, 300, addr1).Broadcast()},
	{FormRefresh, 0x4000, NewRefresh(1, mail, 300, addr1)},
	{FormPositiveRegistration, 0xad80, NewPositiveRegistration(1, scoped, 300, addr1)},
	{FormNegativeRegistration, 0xad86, NewNegativeRegistration(1, RcodeActive, mail, 0, addr1, addr2)},
	{FormEndNodeChallenge, 0xad00, NewEndNodeChallenge(1, mail, 300, addr1)},
	{FormConflictDemand, 0xad87, NewConflictDemand(1, mail, Group)},
	{FormRelease, 0x3000, NewRelease(1, mail, addr1)},
	{FormRelease, 0x3010, NewRelease(1, mail, addr1).Broadcast()},
	{FormPositiveRelease, 0xb400, NewPositiveRelease(1, mail, addr1)},
	{FormNegativeRelease, 0xb406, NewNegativeRelease(1, RcodeActive, mail, addr1)},
	{FormQuery, 0x0100, NewQuery(1, mail)},
	{FormQuery, 0x0110, NewQuery(1, scoped).Broadcast()},
	{FormPositiveQuery, 0x8580, NewPositiveQuery(1, mail, 300, addr1, addr2)},
	{FormNegativeQuery, 0x8583, NewNegativeQuery(1, RcodeName, scoped)},
	{FormRedirect, 0x8100, NewRedirect(1, mail, 300, MustParseName("NS<20>"), addr1.Addr)},
	{FormWack, 0xbc00, NewWack(Header{ID: 1, Opcode: OpRegistration, Flags: FlagRecursionDesired}, mail, 9)},
	{FormNodeStatusRequest, 0x0000, NewNodeStatusRequest(1, MustParseName("*"))},
	{FormNodeStatusResponse, 0x8400, NewNodeStatusResponse(1, MustParseName("*"), NodeStatus{
		Names:      []NodeName{{mail, Active | HNode}, {MustParseName("LAB<1e>"), Active | Group}},
		Statistics: NewStatistics([6]byte{2, 0, 0x5e, 0, 0x53, 1}),
	})},
	{FormUnknown, 0x6800, Message{Header: Header{ID: 1, Opcode: 0xd}}},
	{FormUnknown, 0xe860, Message{Header: Header{ID: 1, Opcode: 0xd, Flags: FlagResponse | 0x60}}},
	{FormUnknown, 0x0000, Message{
		Questions:  []Question{{mail, 0x1234, 2}, {scoped, TypeNB, ClassIN}},
		Additional: []Record{{Name: mail, Type: 0x1234, Class: 3, TTL: 1, Data: Raw("kept")}},
	}},
}

func TestForms(t *testing.T) {
	for _, tt := range forms {
		t.Run(tt.form.String(), func(t *testing.T) {
			if got := tt.msg.Form(); got != tt.form {
				t.Errorf("form %v, want %v", got, tt.form)
			}
			b, err := tt.msg.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := binary.BigEndian.Uint16(b[2:]); got != tt.word {
				t.Errorf("flags word %04x, want %04x", got, tt.word)
			}
			got, err := Parse(b)
			if err != nil {
				t.Fatalf("%x: %v", b, err)
			}
			if diff := cmp.Diff(tt.msg, got, equal); diff != "" {
				t.Errorf("value to octets to value (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFormsCutOff also shows that no octet of a packet is read before its length is known.
func TestFormsCutOff(t *testing.T) {
	for _, tt := range forms {
		b, err := tt.msg.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if _, err := Parse(b[:n:n]); !errors.Is(err, ErrShort) {
				t.Errorf("%v cut to %d octets: got %v, want %v", tt.form, n, err, ErrShort)
			}
		}
	}
}

func TestAppendBehind(t *testing.T) {
	m := NewRegistration(1, mail, 300, addr1)
	alone, _ := m.Append(nil)
	behind, err := m.Append([]byte("prefix"))
	if err != nil || !bytes.Equal(behind, append([]byte("prefix"), alone...)) {
		t.Errorf("got %x, %v", behind, err)
	}
}

func TestAppendErrors(t *testing.T) {
	ipv6 := Address{Addr: netip.MustParseAddr("2001:db8::1")}
	tests := []struct {
		name string
		msg  Message
	}{
		{"zero name in the question", NewQuery(1, Name{})},
		{"domain in the question", NewQuery(1, Name{kind: kindDomain})},
		{"zero name in a record", NewNegativeQuery(1, RcodeName, Name{})},
		{"IPv6", NewPositiveQuery(1, mail, 1, ipv6)},
		{"no address", NewPositiveQuery(1, mail, 1, Address{})},
		{"no data", Message{Answers: []Record{{Name: mail}}}},
		{"redirect without a server", NewRedirect(1, mail, 1, Name{}, addr1.Addr)},
		{"redirect to IPv6", NewRedirect(1, mail, 1, mail, ipv6.Addr)},
		{"256 node names", NewNodeStatusResponse(1, mail, NodeStatus{Names: make([]NodeName, 256)})},
		{"data too long", NewPositiveQuery(1, mail, 1, make4(10923)...)},
		{"section too long", Message{Questions: make([]Question, 65536)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := tt.msg.Append([]byte{1}); err == nil || len(b) != 1 {
				t.Errorf("got %d octets, error %v, want an error and nothing appended", len(b), err)
			}
		})
	}
}

// make4 returns n addresses.
func make4(n int) []Address {
	addrs := make([]Address, n)
	for i := range addrs {
		addrs[i] = addr1
	}
	return addrs
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name   string
		change func(b []byte) []byte // of a positive query response
		want   string
	}{
		{"unchanged", func(b []byte) []byte { return b }, ""},
		{"octets behind it", func(b []byte) []byte { return append(b, 0, 0) }, ""},
		{"empty", func(b []byte) []byte { return nil }, "short"},
		{"header only", func(b []byte) []byte { return b[:12] }, "short"},
		{"33 answers", func(b []byte) []byte { b[7] = 33; return b }, "counts"},
		{"two answers announced", func(b []byte) []byte { b[7] = 2; return b }, "short"},
		{"label of 64", func(b []byte) []byte { b[12] = 0x40; return b }, "name"},
		{"domain has an NB record", func(b []byte) []byte { b[13] = 'Z'; return b }, "name"},
		{"data longer than the packet", func(b []byte) []byte { b[55] = 13; return b }, "short"},
		{"five octets of data", func(b []byte) []byte { b[55] = 5; return b }, "rdata"},
		{"no data", func(b []byte) []byte { b[55] = 0; return b }, ""},
		{"node status of nothing", func(b []byte) []byte { b[47], b[55] = byte(TypeNBSTAT), 0; return b }, "rdata"},
		{"node status too short", func(b []byte) []byte { b[47], b[56] = byte(TypeNBSTAT), 1; return b }, "rdata"},
		{"A of 12 octets", func(b []byte) []byte { b[47] = byte(TypeA); return b }, "rdata"},
		{"NS that ends early", func(b []byte) []byte { b[47], b[56] = byte(TypeNS), 0; return b }, "rdata"},
		{"NS that points ahead", func(b []byte) []byte { b[47], b[56] = byte(TypeNS), 0xff; return b }, "name"},
		{"NULL with data", func(b []byte) []byte { b[47] = byte(TypeNull); return b }, ""},
		{"WACK of NB", func(b []byte) []byte { b[2], b[55] = 0xbc, 2; return b }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := NewPositiveQuery(7, mail, 300, addr1, addr2).Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			b = tt.change(b)
			m, err := Parse(b)
			if Reason(err) != tt.want {
				t.Fatalf("got %q (%v), want %q", Reason(err), err, tt.want)
			}
			if len(b) >= headerLen && m.ID != 7 {
				t.Errorf("header lost: %+v", m.Header)
			}
		})
	}
}

func TestParseSharesNothing(t *testing.T) {
	for _, tt := range forms {
		b, _ := tt.msg.Append(nil)
		got, _ := Parse(b)
		clear(b)
		if diff := cmp.Diff(tt.msg, got, equal); diff != "" {
			t.Errorf("%v changed with the buffer (-want +got):\n%s", tt.form, diff)
		}
	}
}

func TestRedirectOfDomain(t *testing.T) {
	// The server of the domain NETBIOS.COM is NS.NETBIOS.COM; both later names are pointers.
	b := []byte("\x00\x05\x81\x00\x00\x00\x00\x00\x00\x01\x00\x01\x07NETBIOS\x03COM\x00" +
		"\x00\x02\x00\x01\x00\x00\x0e\x10\x00\x05\x02NS\xc0\x0c" +
		"\xc0\x23\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x01")
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if m.Form() != FormRedirect {
		t.Errorf("form %v", m.Form())
	}
	if got := m.Authority[0].Data.(NS).Name; got.String() != ".NS.NETBIOS.COM" || m.Additional[0].Name != got {
		t.Errorf("server %v, address of %v", got, m.Additional[0].Name)
	}
}

func TestReason(t *testing.T) {
	if got := Reason(errors.New("x")); got != "other" {
		t.Errorf("foreign error: %q", got)
	}
	if got := len(Reasons()); got != len(reasons) {
		t.Errorf("%d labels, want %d", got, len(reasons))
	}
}
