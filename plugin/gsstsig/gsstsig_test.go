package gsstsig

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/miekg/dns"
)

func TestEveryEnctype(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	for _, tt := range []struct {
		name            string
		ticket, session int32
		subkey          bool // whether the acceptor adds one
	}{
		{"aes256", aes256, aes256, true},
		{"aes128", aes128, aes128, true},
		{"sha384", sha384, sha384, true},
		{"sha256", sha128, sha128, true},
		{"rc4", rc4md5, rc4md5, false},
		{"rc4 in aes256", aes256, rc4md5, false},
		{"aes256 in rc4", rc4md5, aes256, true},
	} {
		for name, bare := range map[string]bool{"SPNEGO": false, "bare": true} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				i := &Initiator{bare: bare}
				c, err := i.negotiate(t.Context(), over(t, a, testClient, nil), testHost, r.ticket(t, order{enctype: tt.ticket, session: tt.session}))
				if err != nil {
					t.Fatal(err)
				}
				if !c.Signed || (c.keys.acceptor.KeyType != 0) != tt.subkey {
					t.Errorf("signed %v, acceptor's subkey of enctype %d", c.Signed, c.keys.acceptor.KeyType)
				}
				if p, ok := a.Principal(c.KeyName); p != "EX1$@CORP.EXAMPLE" || !ok {
					t.Errorf("principal %q, %v", p, ok)
				}
				for range 3 {
					raw, mac := signed(t, c)
					if err := verify(a, raw, ""); err != nil {
						t.Fatalf("request: %v", err)
					}
					reply := replyTo(t, a, raw, mac)
					if err := verify(c, reply, mac); err != nil || c.Legacy() {
						t.Fatalf("reply: %v, legacy %v", err, c.Legacy())
					}
					if err := verify(a, reply, mac); !errors.Is(err, dns.ErrSig) {
						t.Errorf("the acceptor takes its own reply for a request: %v", err)
					}
					if err := verify(c, raw, ""); !errors.Is(err, dns.ErrSig) {
						t.Errorf("the client takes its own request for a reply: %v", err)
					}
				}
			})
		}
	}
}

// TestChangedMessages: nothing that was signed may change, nor may the key.
func TestChangedMessages(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	for _, session := range enctypes {
		c, other := agreeOn(t, a, r.ticket(t, order{session: session})), agreeOn(t, a, r.ticket(t, order{session: session}))
		raw, mac := signed(t, c)
		class := bytes.LastIndex(raw, []byte{0, byte(dns.TypeTSIG), 0, dns.ClassANY}) + 2
		for i := range raw {
			changed := append([]byte(nil), raw...)
			changed[i] ^= 1
			if err := verify(a, changed, ""); err == nil {
				// The ID and the class of the TSIG do not come from the message, and RC4 leaves the number out.
				if i >= 2 && i != class && i != class+1 && session != rc4md5 {
					t.Errorf("enctype %d: octet %d changed, and it verifies", session, i)
				}
				raw, mac = signed(t, c)
			}
		}
		reply := replyTo(t, a, raw, mac)
		otherMAC := "00" + mac[2:]
		for name, err := range map[string]error{
			"a reply to another request": verify(c, reply, otherMAC),
			"a reply of another context": verify(&Context{KeyName: c.KeyName, keys: other.keys}, reply, mac),
		} {
			if !errors.Is(err, dns.ErrSig) {
				t.Errorf("enctype %d: %s: %v", session, name, err)
			}
		}
	}
}

// TestLegacyReply is how Samba before 4.19.8 signs replies.
func TestLegacyReply(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	c := agreeOn(t, a, r.ticket(t, order{}))
	ts := &dns.TSIG{Hdr: dns.RR_Header{Name: c.KeyName}, Algorithm: Algorithm}
	msg := []byte("\x00\x03MACmessage and variables")
	sign := func(b []byte) {
		mic, err := a.Generate(b, ts)
		if err != nil {
			t.Fatal(err)
		}
		ts.MAC = hex.EncodeToString(mic)
	}
	for _, tt := range []struct {
		name   string
		signed []byte
		legacy bool
	}{
		{"RFC 8945", msg, false},
		{"without the length", msg[2:], true},
		{"RFC 8945 again", msg, false},
	} {
		sign(tt.signed)
		if err := c.Verify(msg, ts); err != nil || c.Legacy() != tt.legacy {
			t.Errorf("%s: %v, legacy %v", tt.name, err, c.Legacy())
		}
	}
	sign(msg[3:])
	if err := c.Verify(msg, ts); !errors.Is(err, dns.ErrSig) {
		t.Errorf("without more than the length: %v", err)
	}
}

// TestUnknownKeys: callers ask others for these.
func TestUnknownKeys(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	c := agreeOn(t, a, r.ticket(t, order{}))
	unknown := &dns.TSIG{Hdr: dns.RR_Header{Name: "dhcp-key."}, Algorithm: dns.HmacSHA256}
	for name, p := range map[string]dns.TsigProvider{"acceptor": a, "context": c} {
		if err := p.Verify([]byte("x"), unknown); err != dns.ErrSecret {
			t.Errorf("%s: verify: %v", name, err)
		}
		if _, err := p.Generate([]byte("x"), unknown); err != dns.ErrSecret {
			t.Errorf("%s: generate: %v", name, err)
		}
	}
	if p, ok := a.Principal("dhcp-key."); ok {
		t.Errorf("principal of an unknown key: %s", p)
	}
	known := &dns.TSIG{Hdr: dns.RR_Header{Name: c.KeyName}, Algorithm: dns.HmacSHA256}
	if err := a.Verify([]byte("x"), known); err != dns.ErrKeyAlg {
		t.Errorf("another algorithm: %v", err)
	}
}

func TestRepeatedMessages(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	for _, session := range enctypes {
		c := agreeOn(t, a, r.ticket(t, order{session: session}))
		var all [][]byte
		for range windowSize + 2 {
			raw, _ := signed(t, c)
			all = append(all, raw)
		}
		newest := len(all) - 1
		before := ErrReplay
		if session == rc4md5 {
			before = nil // known by its checksum, not by its place
		}
		for _, step := range []struct {
			name string
			at   int
			want error
		}{
			{"first", 1, nil}, {"the same again", 1, ErrReplay}, {"a later one", 9, nil}, {"one that was overtaken", 5, nil},
			{"that again", 5, ErrReplay}, {"the newest", newest, nil}, {"the oldest of the window", 2, nil}, {"one before", 0, before},
			{"and again", 0, ErrReplay},
		} {
			if err := verify(a, all[step.at], ""); err != step.want {
				t.Errorf("enctype %d: %s: %v, want %v", session, step.name, err, step.want)
			}
		}
	}
	if !errors.Is(ErrReplay, dns.ErrSig) {
		t.Error("ErrReplay is no ErrSig")
	}
	if n := a.Status().Repeated; n != uint64(4*len(enctypes)-1) {
		t.Errorf("%d repeated", n)
	}
}

// TestRenumberedRC4: the number in a token of RC4 may be changed on the way, and that makes no new message.
func TestRenumberedRC4(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	c := agreeOn(t, a, r.ticket(t, order{session: rc4md5}))
	raw, mac := signed(t, c)
	if err := verify(a, raw, ""); err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(raw, unhex(t, mac)) + len(mac)/2 - 16
	raw[at] ^= 1
	if err := verify(a, raw, ""); err != ErrReplay {
		t.Errorf("with another number: %v", err)
	}
}

func TestMemory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		memory memory
		steps  []uint64
		want   string
	}{
		{"in order", &window{first: 5}, []uint64{5, 6, 7}, "yyy"},
		{"before the first", &window{first: 5}, []uint64{4, 0, 5}, "nny"},
		{"far ahead and back", &window{}, []uint64{1 << 40, 1 << 40, 1<<40 - 1, 1<<40 - windowSize + 1, 1<<40 - windowSize, 0}, "ynyynn"},
		{"one window ahead", &window{}, []uint64{0, windowSize, windowSize, 1, 1, 0}, "yynynn"},
		{"over 32 bits", &window{first: 0xffffffff}, []uint64{0xffffffff, 0x100000000, 0}, "yyn"},
		{"by checksum", new(recent), []uint64{9, 1, 9, 1, 0, 0}, "yynnyn"},
	} {
		got := ""
		for _, id := range tt.steps {
			if tt.memory.take(id) {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	full := new(recent)
	for id := range uint64(2*maxRecent + 1) {
		full.take(id)
	}
	if len(full.seen) != maxRecent || full.take(2*maxRecent) || full.take(maxRecent+1) || !full.take(maxRecent) {
		t.Errorf("a full memory: %d", len(full.seen))
	}
}

func TestDelete(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	c, other := agreeOn(t, a, r.ticket(t, order{})), agreeOn(t, a, r.ticket(t, order{}))
	raw, mac, err := dns.TsigGenerateWithProvider(c.Delete(), c, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(a, raw, ""); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, signer string
		want         Outcome
		code         uint16
	}{
		{"unsigned", "", Unsigned, dns.RcodeBadSig},
		{"signed by another", other.KeyName, Unsigned, dns.RcodeBadSig},
		{"signed", c.KeyName, Deleted, 0},
		{"again", c.KeyName, BadName, dns.RcodeBadName},
	} {
		m := new(dns.Msg)
		if err := m.Unpack(raw); err != nil {
			t.Fatal(err)
		}
		reply, res := a.Answer(m, testClient, tt.signer)
		if res.Outcome != tt.want || reply.Answer[0].(*dns.TKEY).Error != tt.code {
			t.Errorf("%s: %s, error %d (%v)", tt.name, res.Outcome, reply.Answer[0].(*dns.TKEY).Error, res.Err)
		}
		if res.Outcome != Deleted {
			continue
		}
		out, _, err := dns.TsigGenerateWithProvider(reply, a, mac, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(c, out, mac); err != nil {
			t.Errorf("reply: %v", err)
		}
	}
	next, _ := signed(t, c)
	if err := verify(a, next, ""); err != dns.ErrSecret {
		t.Errorf("a message after the deletion: %v", err)
	}
	if _, ok := a.Principal(c.KeyName); ok {
		t.Error("the key still has a principal")
	}
	if _, ok := a.Principal(other.KeyName); !ok {
		t.Error("the other key is gone too")
	}
}
