package netbios

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	with := func(change func(*Message)) Message {
		m := NewRegistration(7, mail, 300, addr1)
		change(&m)
		return m
	}
	tests := []struct {
		name     string
		msg      Message
		question string // reason from ParseQuestion
		request  string // reason from ParseRequest
	}{
		{"registration", NewRegistration(7, mail, 300, addr1, addr2), "", ""},
		{"registration with scope", NewRegistration(7, scoped, 300, addr1), "", ""},
		{"release", NewRelease(7, mail, addr1), "", ""},
		{"refresh 9", with(func(m *Message) { m.Opcode = OpRefreshAlt }), "", ""},
		{"query", NewQuery(7, scoped), "", ""},
		{"node status", NewNodeStatusRequest(7, MustParseName("*")), "", ""},
		{"response", NewPositiveRegistration(7, mail, 300, addr1), "response", "response"},
		{"opcode of WACK", with(func(m *Message) { m.Opcode = OpWack }), "header", "header"},
		{"unknown opcode", with(func(m *Message) { m.Opcode = 1 }), "header", "header"},
		{"no question", with(func(m *Message) { m.Questions = nil }), "counts", "counts"},
		{"no additional record", with(func(m *Message) { m.Additional = nil }), "counts", "counts"},
		{"two additional records", with(func(m *Message) { m.Additional = append(m.Additional, m.Additional[0]) }), "counts", "counts"},
		{"query with an answer", with(func(m *Message) { m.Opcode = OpQuery }), "counts", "counts"},
		{"another name in the record", with(func(m *Message) { m.Additional[0].Name = scoped }), "", "record"},
		{"node status in question", with(func(m *Message) { m.Questions[0].Type = TypeNBSTAT }), "", "record"},
		{"class CH in the record", with(func(m *Message) { m.Additional[0].Class = 3 }), "", "record"},
		{"NULL record", with(func(m *Message) { m.Additional[0].Type, m.Additional[0].Data = TypeNull, Null(nil) }), "", "record"},
		{"no address", with(func(m *Message) { m.Additional[0].Data = NB(nil) }), "", "rdata"},
		{"five octets", with(func(m *Message) { m.Additional[0].Data = Raw("12345") }), "", "rdata"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.msg.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			h, q, err := ParseQuestion(b)
			if Reason(err) != tt.question {
				t.Errorf("ParseQuestion: got %q (%v), want %q", Reason(err), err, tt.question)
			}
			if err == nil && q != tt.msg.Questions[0] {
				t.Errorf("question %+v, want %+v", q, tt.msg.Questions[0])
			}
			m, err := ParseRequest(b)
			if Reason(err) != tt.request {
				t.Errorf("ParseRequest: got %q (%v), want %q", Reason(err), err, tt.request)
			}
			if h != tt.msg.Header || m.Header != h {
				t.Errorf("headers %+v and %+v, want %+v", h, m.Header, tt.msg.Header)
			}
		})
	}
}

func TestParseRequestMalformed(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want string
	}{
		{"empty datagram", "", "short"},
		{"eleven octets", "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00", "short"},
		{"no name", "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", "short"},
		{"domain in question", "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x00\x00\x20\x00\x01", "name"},
		{"no type", "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + encodedFred + "\x00", "short"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseRequest([]byte(tt.wire)); Reason(err) != tt.want {
				t.Errorf("ParseRequest: got %v, want %q", err, tt.want)
			}
			if _, _, err := ParseQuestion([]byte(tt.wire)); Reason(err) != tt.want {
				t.Errorf("ParseQuestion: got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestClaim(t *testing.T) {
	want := Claim{Name: mail, TTL: 300, Addrs: []Address{addr1}}
	for _, m := range []Message{NewRegistration(1, mail, 300, addr1), NewPositiveRegistration(1, mail, 300, addr1)} {
		got, ok := m.Claim()
		if diff := cmp.Diff(want, got, equal); !ok || diff != "" {
			t.Errorf("%v: %v (-want +got):\n%s", m.Form(), ok, diff)
		}
	}
	for _, m := range []Message{NewQuery(1, mail), NewNegativeQuery(1, RcodeName, mail)} {
		if c, ok := m.Claim(); ok {
			t.Errorf("%v: got %+v", m.Form(), c)
		}
	}
}
