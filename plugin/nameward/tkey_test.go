package nameward

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/plugin/gsstsig"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/primary/primarytest"
)

// tkeyQuery asks for a key of a name with a token.
func tkeyQuery(name, token string) *dns.Msg {
	m := new(dns.Msg)
	m.Id = dns.Id()
	m.Question = []dns.Question{{Name: name, Qtype: dns.TypeTKEY, Qclass: dns.ClassANY}}
	m.Extra = []dns.RR{&dns.TKEY{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTKEY, Class: dns.ClassANY}, Algorithm: "gss-tsig.", Mode: 3,
		KeySize: uint16(len(token)), Key: hex.EncodeToString([]byte(token)),
	}}
	return m
}

// tkeyAnswer answers a query with a token.
func tkeyAnswer(token string) func(int, []byte, *dns.Msg) primarytest.Reaction {
	return func(_ int, _ []byte, m *dns.Msg) primarytest.Reaction {
		r := new(dns.Msg).SetReply(m)
		r.Answer = tkeyQuery(m.Question[0].Name, token).Extra
		return primarytest.Reaction{Raw: primarytest.Packed(r)}
	}
}

// newAcceptor has the keys of a service.
func newAcceptor(t *testing.T) *gsstsig.Acceptor {
	t.Helper()
	kt := keytab.New()
	if err := kt.AddEntry("DNS/gate.ad.example", "AD.EXAMPLE", "secret", time.Unix(1, 0), 1, etypeID.AES256_CTS_HMAC_SHA1_96); err != nil {
		t.Fatal(err)
	}
	b, err := kt.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keytab")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := gsstsig.New(gsstsig.Config{Keytab: path})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTKEY(t *testing.T) {
	p := primarytest.New(t)
	pass := gateTo(t, config.Gate{Signed: config.GatePass}, 8, p.Addr)
	lost := gateTo(t, config.Gate{Signed: config.GatePass}, 8, deadAddr(t))
	check := gateTo(t, config.Gate{}, 8, p.Addr)
	acceptor := newAcceptor(t)
	for _, tt := range []struct {
		name     string
		gate     *gate
		acceptor *gsstsig.Acceptor
		tcp      bool
		token    string // of the primary's answer
		want     string
	}{
		{name: "nobody to agree with", gate: check, want: "REFUSED"},
		{name: "a token that is none", gate: check, acceptor: acceptor, want: "answered error 17"},
		{name: "through the gate", gate: pass, token: "welcome", want: "answered welcome"},
		{name: "a ticket that is not for us", gate: pass, acceptor: acceptor, token: "welcome", want: "answered welcome"},
		{name: "more than was asked, over UDP", gate: pass, token: strings.Repeat("x", 600), want: "truncated"},
		{name: "more than was asked, over TCP", gate: pass, tcp: true, token: strings.Repeat("x", 600), want: "answered " + strings.Repeat("x", 600)},
		{name: "the primary is down", gate: lost, want: "SERVFAIL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.Act = tkeyAnswer(tt.token)
			s := &updateService{updater: updater{log: zerolog.Nop(), sampled: zerolog.Nop()}}
			s.cur.Store(&updateSettings{gates: map[string]*gate{"ad.example.": tt.gate}, acceptor: tt.acceptor})
			m := tkeyQuery("1234.sig-dc1.ad.example.", "a token of some length")
			w := &said{ResponseWriter: &test.ResponseWriter{TCP: tt.tcp}}
			rcode, err := s.agree(t.Context(), w, m, primarytest.Packed(m))
			if err != nil {
				t.Fatal(err)
			}
			if got := tkeySaid(w.msg, rcode); got != tt.want {
				t.Errorf("%.80s, want %.80s", got, tt.want)
			}
		})
	}
}

// said keeps what is answered, as a message or as octets.
type said struct {
	dns.ResponseWriter
	msg *dns.Msg
}

func (s *said) WriteMsg(m *dns.Msg) error {
	s.msg = m
	return nil
}

func (s *said) Write(b []byte) (int, error) {
	s.msg = new(dns.Msg)
	return len(b), s.msg.Unpack(b)
}

func tkeySaid(m *dns.Msg, rcode int) string {
	if m == nil {
		return dns.RcodeToString[rcode]
	}
	if m.Truncated {
		return "truncated"
	}
	k := m.Answer[0].(*dns.TKEY)
	if k.Error != 0 {
		return fmt.Sprint("answered error ", k.Error)
	}
	token, _ := hex.DecodeString(k.Key)
	return "answered " + string(token)
}

// TestTKEYUnseen: what is signed with a key that was agreed on over CoreDNS's own sockets could not be verified.
func TestTKEYUnseen(t *testing.T) {
	s := &updateService{updater: updater{log: zerolog.Nop(), sampled: zerolog.Nop()}}
	s.cur.Store(&updateSettings{acceptor: newAcceptor(t)})
	if rcode, err := s.serveTKEY(t.Context(), &said{}, tkeyQuery("1234.gate.ad.example.", "token")); rcode != dns.RcodeRefused || err != nil {
		t.Errorf("%s, %v", dns.RcodeToString[rcode], err)
	}
}

// TestTKEYOption: the signature of a reply is its last record, whatever the query had.
func TestTKEYOption(t *testing.T) {
	q := tkeyQuery("1234.gate.ad.example.", "token")
	reply := new(dns.Msg).SetReply(q).SetTsig("1234.gate.ad.example.", "gss-tsig.", 300, 1)
	if withOPT(reply, q); reply.IsEdns0() != nil || reply.IsTsig() == nil {
		t.Errorf("without EDNS: %v", reply)
	}
	q.SetEdns0(1232, false)
	if withOPT(reply, q); reply.IsEdns0() == nil || reply.IsTsig() == nil || len(reply.Extra) != 2 {
		t.Errorf("with EDNS: %v", reply)
	}
}

func TestPrimaryFor(t *testing.T) {
	s := &updateSettings{gates: map[string]*gate{}}
	for zone, signed := range map[string]string{"b.example.": "pass", "a.example.": "check", "sub.b.example.": "pass", "c.example.": "pass"} {
		s.gates[zone] = &gate{Gate: config.Gate{Zone: zone, Signed: signed}}
	}
	for key, want := range map[string]string{
		"1.sig-dc1.b.example.": "b.example.", "1.sig-dc1.sub.b.example.": "sub.b.example.", "1.sig-dc1.c.example.": "c.example.",
		"1176-ms-7.1-2a.0badc0de.": "b.example.", "1.sig-dc1.a.example.": "b.example.",
	} {
		for range 20 {
			if got := s.primaryFor(key); got.Zone != want {
				t.Errorf("%s: %s, want %s", key, got.Zone, want)
			}
		}
	}
	if g := (&updateSettings{}).primaryFor("1.example."); g != nil {
		t.Errorf("without gates: %v", g)
	}
}
