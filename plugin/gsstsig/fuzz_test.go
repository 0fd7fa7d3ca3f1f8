package gsstsig

import (
	"encoding/asn1"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// FuzzToken: whatever a client sends ends in an outcome, and never in a key for somebody else.
func FuzzToken(f *testing.F) {
	r := newRealm(f, "DNS/"+testHost)
	a := r.acceptor(f, Config{MaxContexts: 8})
	for _, enctype := range enctypes {
		token := r.ticket(f, order{enctype: enctype}).forge(f, nil, nil)
		f.Add(token)
		f.Add(encodeInit(token))
		f.Add(spnego([]asn1.ObjectIdentifier{oidMSKerberos, oidKerberos}, token, []byte("mic")))
	}
	f.Add([]byte{0x60, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, token []byte) {
		if len(token) > 0xffff {
			return
		}
		_, res := ask(a, "fuzz.", token)
		if res.Outcome == "" || (res.Outcome == Accepted) != (res.Err == nil) {
			t.Errorf("%+v", res)
		}
		if res.Outcome == Accepted {
			if res.Principal != "EX1$@CORP.EXAMPLE" {
				t.Errorf("%+v", res)
			}
			a.table.remove(a.table.byName["fuzz."])
		}
	})
}

// FuzzQuery: every message has an answer that can be sent, or none.
func FuzzQuery(f *testing.F) {
	r := newRealm(f, "DNS/"+testHost)
	a := r.acceptor(f, Config{MaxContexts: 8})
	add := func(m *dns.Msg) {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "fuzz.")
	}
	add(tkeyQuery("fuzz.", r.ticket(f, order{}).forge(f, nil, nil)))
	add((&Context{KeyName: "fuzz.", Algorithm: AlgorithmMS}).Delete())
	f.Fuzz(func(t *testing.T, b []byte, signer string) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		reply, res := a.Answer(m, testClient, signer)
		if (reply == nil) != (res.Outcome == Ignored) || m.Response && reply != nil {
			t.Fatalf("%+v: %v", res, reply)
		}
		if reply == nil {
			return
		}
		out, err := reply.Pack()
		if err != nil {
			t.Fatal(err)
		}
		// Who has proved nothing gets no more than was asked, but for what an empty record left out.
		if res.Err != nil && len(out) > len(b)+32 {
			t.Errorf("%d octets for %d", len(out), len(b))
		}
	})
}

// FuzzMIC: tokens in signatures.
func FuzzMIC(f *testing.F) {
	var contexts []keys
	for _, enctype := range enctypes {
		k := agree(newKey(enctype), newKey(enctype))
		contexts = append(contexts, k, keys{base: k.base})
		for _, byAcceptor := range []bool{true, false} {
			mic, err := k.sign([]byte("message"), 7, byAcceptor)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(mic)
		}
	}
	f.Fuzz(func(t *testing.T, mic []byte) {
		for _, k := range contexts {
			for _, byAcceptor := range []bool{true, false} {
				if _, err := k.verify([]byte("another message"), mic, byAcceptor); err == nil {
					t.Errorf("%x verifies", mic)
				}
			}
		}
	})
}

// FuzzAnswer: what a server answers.
func FuzzAnswer(f *testing.F) {
	r := newRealm(f, "DNS/"+testHost)
	a := r.acceptor(f, Config{})
	tkt := r.ticket(f, order{})
	h, err := tkt.handshake()
	if err != nil {
		f.Fatal(err)
	}
	reply, _ := ask(a, "k.", encodeInit(h.token))
	good := unhex(f, reply.Answer[0].(*dns.TKEY).Key)
	f.Add(good)
	f.Add(encodeResp(negTokenResp{State: 2}))
	f.Fuzz(func(t *testing.T, token []byte) {
		c, err := h.complete(answerTKEY{token, time.Now()}, tkt)
		if err == nil && c == nil {
			t.Error("neither a context nor an error")
		}
	})
}
