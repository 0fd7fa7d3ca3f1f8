package audit

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/servetest"
	"github.com/nameward/nameward/registry/tsig"
)

const (
	testKey    = "audit."
	testSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0"
)

// startZone runs a DNS server on loopback, with or without knowing the key, and returns its address.
func startZone(t *testing.T, secrets map[string]string, handler dns.HandlerFunc) string {
	t.Helper()
	listener, _ := servetest.Listen(t)
	server := &dns.Server{Listener: listener, Handler: handler, TsigSecret: secrets, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	servetest.Serve(t, server)
	return listener.Addr().String()
}

func records(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	out := make([]dns.RR, len(lines))
	for i, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = rr
	}
	return out
}

const testSOA = "corp.example. 60 SOA ns1.corp.example. h.corp.example. 1 2 3 4 5"

// sendZone answers with messages of the given records, signed if the request was.
func sendZone(t *testing.T, messages ...[]dns.RR) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) {
		envelopes := make(chan *dns.Envelope)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			if err := new(dns.Transfer).Out(w, m, envelopes); err != nil {
				for range envelopes {
				}
			}
		}()
		for _, rrs := range messages {
			envelopes <- &dns.Envelope{RR: rrs}
		}
		close(envelopes)
		<-sent
		_ = w.Close()
	}
}

func answer(rcode int, sign bool) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) {
		reply := new(dns.Msg).SetRcode(m, rcode)
		if key := m.IsTsig(); sign && key != nil {
			reply.SetTsig(key.Hdr.Name, key.Algorithm, tsig.Fudge, time.Now().Unix())
		}
		_ = w.WriteMsg(reply)
		_ = w.Close()
	}
}

func TestTransfer(t *testing.T) {
	first := records(t, testSOA, "corp.example. 60 NS ns1.corp.example.", "mail.corp.example. 60 A 192.0.2.11", "mail.corp.example. 60 A 10.9.0.11")
	second := records(t, "mail.corp.example. 60 AAAA 2001:db8::11", "Nas.corp.example. 60 A 10.9.0.12", testSOA)
	const all = `
0: transfer mail.corp.example. A [192.0.2.11 10.9.0.11] zone corp.example.
0: transfer mail.corp.example. AAAA [2001:db8::11] zone corp.example.
0: transfer nas.corp.example. A [10.9.0.12] zone corp.example.
`
	const noSignature = "\nFATAL URL: the server's answer is not signed although the request was, so it cannot be trusted: the server may not know the key\n"
	key, err := tsig.New("", "Audit", testSecret)
	if err != nil {
		t.Fatal(err)
	}
	strong := key
	strong.Algorithm = dns.HmacSHA512
	knows := map[string]string{testKey: testSecret}
	for _, tt := range []struct {
		test    string
		secrets map[string]string
		handler dns.HandlerFunc
		key     tsig.Key
		want    string
	}{
		{"one message", nil, sendZone(t, append(append([]dns.RR{}, first...), second...)), tsig.Key{}, all},
		{"several messages", nil, sendZone(t, first, second), tsig.Key{}, all},
		{"signed", knows, sendZone(t, first, second), key, all},
		{"signed with another algorithm", knows, sendZone(t, first, second), strong, all},
		{"refused", nil, answer(dns.RcodeRefused, false), tsig.Key{}, "\nFATAL URL: the server refuses the transfer (REFUSED): allow it there for this address or for a TSIG key, and give the key\n"},
		{"not authoritative", nil, answer(dns.RcodeNotAuth, false), tsig.Key{}, "\nFATAL URL: the server has not the zone corp.example. or does not know the key (NOTAUTH): ask one of the zone's own servers, with a TSIG key that it knows\n"},
		{"server failure", nil, answer(dns.RcodeServerFailure, false), tsig.Key{}, "\nFATAL URL: the server denies the transfer of corp.example. (SERVFAIL)\n"},
		{"refused and signed", knows, answer(dns.RcodeRefused, true), key, "\nFATAL URL: the server refuses the transfer (REFUSED): allow it there for this address or for a TSIG key, and give the key\n"},
		{"wrong secret at the server", map[string]string{testKey: "b3RoZXI="}, sendZone(t, first, second), key,
			noSignature},
		{"answer without a signature", nil, unsigned(sendZone(t, first, second)), key,
			noSignature},
		{"key rejected", nil, rejectKey, key,
			"\nFATAL URL: the server does not take the TSIG key, or has not the zone corp.example. (NOTAUTH): compare the key's name, algorithm and secret with those of the server, and the clocks\n"},
		{"cut off", nil, sendZone(t, first), tsig.Key{}, `
0: transfer mail.corp.example. A [192.0.2.11 10.9.0.11] zone corp.example.
FATAL URL: the transfer was cut off after 4 records: EOF
`},
		{"cut off at once", nil, func(w dns.ResponseWriter, _ *dns.Msg) { _ = w.Close() }, tsig.Key{}, "\nFATAL URL: the server gave no transfer of corp.example.: EOF\n"},
	} {
		t.Run(tt.test, func(t *testing.T) {
			url := transferScheme + startZone(t, tt.secrets, tt.handler) + "/Corp.Example"
			s, err := Open(t.Context(), url, Options{TSIG: tt.key, Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(list(s.Records()), url, "URL")
			wantText(t, got, strings.TrimPrefix(tt.want, "\n"))
			if strings.Contains(tt.want, "mail.corp") && s.Offset() == 0 {
				t.Error("no octets were counted")
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// unsigned hides the key of the request from a handler.
func unsigned(handler dns.HandlerFunc) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) {
		m = m.Copy()
		m.Extra = nil
		handler(w, m)
	}
}

// rejectKey answers as a server that does not know the key, RFC 8945, Section 5.2.1.
func rejectKey(w dns.ResponseWriter, m *dns.Msg) {
	key := m.IsTsig()
	reply := new(dns.Msg).SetRcode(m, dns.RcodeNotAuth)
	reply.Extra = []dns.RR{&dns.TSIG{
		Hdr:       dns.RR_Header{Name: key.Hdr.Name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: key.Algorithm, TimeSigned: key.TimeSigned, Fudge: tsig.Fudge, OrigId: m.Id, Error: dns.RcodeBadKey,
	}}
	wire, err := reply.Pack()
	if err == nil {
		_, _ = w.Write(wire)
	}
	_ = w.Close()
}

// TestTransferEnds checks that a transfer that stalls ends with its context, and one whose reader has
// enough with it.
func TestTransferEnds(t *testing.T) {
	part := records(t, testSOA, "mail.corp.example. 60 A 10.9.0.11", "next.corp.example. 60 A 10.9.0.12")
	stall := make(chan struct{})
	stalled := func(w dns.ResponseWriter, m *dns.Msg) {
		reply := new(dns.Msg).SetReply(m)
		reply.Answer = part
		_ = w.WriteMsg(reply)
		<-stall
	}
	url := transferScheme + startZone(t, nil, stalled) + "/corp.example"
	defer close(stall)
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := Open(ctx, url, Options{Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for r, err := range s.Records() {
			if err != nil {
				got = append(got, problemLine(err))
				continue
			}
			got = append(got, recordLine(r))
			cancel()
		}
		if len(got) < 2 || !strings.Contains(got[len(got)-1], "the transfer was stopped after 3 records: context canceled") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("reader", func(t *testing.T) {
		s, err := Open(t.Context(), url, Options{Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for range s.Records() {
			break
		}
	})
	t.Run("timeout", func(t *testing.T) {
		s, err := Open(t.Context(), url, Options{Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if got := list(s.Records()); !strings.Contains(got, "cut off after 3 records") || !strings.Contains(got, "timeout") {
			t.Errorf("got %s", got)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		s, err := Open(t.Context(), "axfr://127.0.0.1:1/corp.example", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := list(s.Records()); !strings.Contains(got, "FATAL axfr://127.0.0.1:1/corp.example: the server cannot be reached") {
			t.Errorf("got %s", got)
		}
	})
}
