package front

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/servetest"
)

const secret = "c2VjcmV0IG9mIHRoZSB0c2lnIHBsdWdpbg=="

// xor is a provider of a kind that CoreDNS has no place for. It knows one key.
type xor struct{ octet byte }

func (x xor) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	if t.Hdr.Name != "gss.example." {
		return nil, dns.ErrSecret
	}
	sum := x.octet
	for _, b := range msg {
		sum ^= b
	}
	return []byte{sum, x.octet}, nil
}

func (x xor) Verify(msg []byte, t *dns.TSIG) error {
	mac, err := x.Generate(msg, t)
	if err == nil && fmt.Sprintf("%x", mac) != t.MAC {
		return dns.ErrSig
	}
	return err
}

func signed(m *dns.Msg, key, algorithm string) *dns.Msg {
	return m.SetTsig(key, algorithm, 300, time.Now().Unix())
}

// TestTSIG has both kinds of keys over both transports, with CoreDNS's tsig plugin and without. The
// client verifies every reply.
func TestTSIG(t *testing.T) {
	w, port := newWorld(t), servetest.FreePort(t)
	w.SetProvider(xor{0x5a})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	w.start(t, fmt.Sprintf(`.:%d {
bind 127.0.0.1
tsig {
    secret hmac.corp.example. %s
    require none
}
echo
}`, port, secret), addr)
	wrong := base64.StdEncoding.EncodeToString([]byte("another secret"))
	for _, tt := range []struct {
		name, key, algorithm, secret string
		provider                     dns.TsigProvider
		want                         string
	}{
		{name: "CoreDNS's key", key: "hmac.corp.example.", algorithm: dns.HmacSHA256, secret: secret, want: withRaw},
		{name: "in capitals", key: "HMAC.corp.example.", algorithm: dns.HmacSHA512, secret: secret, want: withRaw},
		{name: "wrong secret", key: "hmac.corp.example.", algorithm: dns.HmacSHA256, secret: wrong, want: "NOTAUTH"},
		{name: "unknown key", key: "other.example.", algorithm: dns.HmacSHA256, secret: secret, want: "NOTAUTH"},
		{name: "the provider's key", key: "gss.example.", algorithm: "gss-tsig.", provider: xor{0x5a}, want: withRaw},
		{name: "the provider's key, wrong", key: "gss.example.", algorithm: "gss-tsig.", provider: xor{0x5b}, want: "NOTAUTH"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			for _, m := range []*dns.Msg{update(), tkey()} {
				c := dns.Client{Net: network, Timeout: 5 * time.Second, TsigProvider: tt.provider}
				if tt.provider == nil {
					c.TsigSecret = map[string]string{tt.key: tt.secret}
				}
				reply, _, err := c.Exchange(signed(m, tt.key, tt.algorithm), addr)
				if (err == nil) != (tt.want == withRaw) || reply == nil { // what says that the key is bad is not signed
					t.Fatalf("%s, %s over %s: %v", tt.name, kindOf(m), network, err)
				}
				if got := said(reply); got != tt.want || reply.IsTsig() == nil {
					t.Errorf("%s, %s over %s: %q, want %q; %v", tt.name, kindOf(m), network, got, tt.want, reply.IsTsig())
				}
			}
		}
	}
	// The provider may change at any time.
	w.SetProvider(nil)
	c := dns.Client{TsigProvider: xor{0x5a}}
	if reply, _, _ := c.Exchange(signed(update(), "gss.example.", "gss-tsig."), addr); said(reply) != "NOTAUTH" {
		t.Errorf("without the provider: %v", reply)
	}
}

// TestRawIsUntouched: verifying works in the octets it gets, so it gets others.
func TestRawIsUntouched(t *testing.T) {
	m, _, err := dns.TsigGenerate(signed(update(), "k.example.", dns.HmacSHA256), secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	m[0] ^= 1 // a forwarder gave it another ID: RFC 8945, Section 5.1; the original one is in the record
	m = append(m, make([]byte, 256)...)[:len(m)]
	before := slices.Clone(m)
	for _, s := range []signer{{secrets: map[string]string{"k.example.": secret}}, {provider: xor{}, secrets: map[string]string{"k.example.": secret}}} {
		if err := s.verify(m, "K.example."); err != nil {
			t.Error(err)
		}
		if !slices.Equal(m, before) {
			t.Fatal("the octets were changed")
		}
	}
}

func TestTransfers(t *testing.T) {
	w, port := newWorld(t), servetest.FreePort(t)
	w.SetProvider(xor{0x5a})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	w.start(t, fmt.Sprintf(`corp.example.:%d {
bind 127.0.0.1
tsig {
    secret hmac.corp.example. %s
    require none
}
transfer {
    to *
}
echo
}`, port, secret), addr)
	for _, tt := range []struct {
		name     string
		transfer dns.Transfer
		sign     func(*dns.Msg)
	}{
		{"unsigned", dns.Transfer{}, func(*dns.Msg) {}},
		{"signed", dns.Transfer{TsigSecret: map[string]string{"hmac.corp.example.": secret}}, func(m *dns.Msg) { signed(m, "hmac.corp.example.", dns.HmacSHA256) }},
		{"signed by the provider", dns.Transfer{TsigProvider: xor{0x5a}}, func(m *dns.Msg) { signed(m, "gss.example.", "gss-tsig.") }},
	} {
		for _, m := range []*dns.Msg{new(dns.Msg).SetAxfr("corp.example."), new(dns.Msg).SetIxfr("corp.example.", 1, "ns.example.", "host.example.")} {
			tt.sign(m)
			transfer := tt.transfer // which keeps its connection
			envelopes, err := transfer.In(m, addr)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			records, messages := 0, 0
			for e := range envelopes {
				if e.Error != nil {
					t.Fatalf("%s: after %d messages: %v", tt.name, messages, e.Error)
				}
				records, messages = records+len(e.RR), messages+1
			}
			if records != zoneSize+2 || messages < 3 {
				t.Errorf("%s: %d records in %d messages", tt.name, records, messages)
			}
		}
	}
}
