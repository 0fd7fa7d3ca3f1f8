package gsstsig

import (
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"github.com/miekg/dns"
)

// forge makes a client's token, changed in what is encrypted and in what is not.
func (tkt *ticket) forge(t testing.TB, auth func(*types.Authenticator), req func(*messages.APReq)) []byte {
	t.Helper()
	h, err := tkt.handshake()
	if err != nil {
		t.Fatal(err)
	}
	if auth != nil {
		auth(&h.auth)
	}
	r, err := messages.NewAPReq(tkt.ticket, tkt.key, h.auth)
	if err != nil {
		t.Fatal(err)
	}
	if req != nil {
		req(&r)
	}
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return frame(oidKerberos, append([]byte(kindAPReq), b...))
}

func setContextFlags(f uint32) func(*types.Authenticator) {
	return func(a *types.Authenticator) { binary.LittleEndian.PutUint32(a.Cksum.Checksum[20:], f) }
}

// ask sends a token as a TKEY query.
func ask(a *Acceptor, name string, token []byte) (*dns.Msg, Result) {
	return a.Answer(tkeyQuery(name, token), testClient, "")
}

func TestTickets(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost, "HTTP/"+testHost, "DNS/two")
	a := r.acceptor(t, Config{Principals: []string{"DNS/" + testHost, "dns/two@CORP.EXAMPLE"}})
	stranger := newRealm(t, "DNS/"+testHost)
	stranger.keytab.Entries = nil
	for _, e := range enctypes {
		if err := stranger.keytab.AddEntry("DNS/"+testHost, testRealm, "another secret", time.Unix(1, 0), 3, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		order  order
		auth   func(*types.Authenticator)
		req    func(*messages.APReq)
		from   *realm
		want   Outcome
		reason string // or else the principal
	}{
		{name: "good", want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "of a service", order: order{client: "host/ex1"}, want: Accepted, reason: "host/ex1@CORP.EXAMPLE"},
		{name: "for the other principal", order: order{service: "DNS/two"}, want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "without a subkey", auth: func(a *types.Authenticator) { a.SubKey = types.EncryptionKey{} }, want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "without a number", auth: func(a *types.Authenticator) { a.SeqNumber = 0 }, want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "without a version", req: func(r *messages.APReq) { r.Ticket.EncPart.KVNO = 0 }, want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "a version of which the keytab has the lowest octet", req: func(r *messages.APReq) { r.Ticket.EncPart.KVNO = 0x103 }, want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "service in upper case", req: func(r *messages.APReq) { r.Ticket.SName.NameString = []string{"dns", "NS1.CORP.EXAMPLE"} }, want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "clock within limits", auth: func(a *types.Authenticator) { a.CTime = a.CTime.Add(-skew + time.Minute) }, want: Accepted, reason: "EX1$@CORP.EXAMPLE"},
		{name: "of another realm, directly", order: order{crealm: "OTHER.EXAMPLE"}, want: Accepted, reason: "EX1$@OTHER.EXAMPLE"},

		{name: "a service that is not ours", order: order{service: "HTTP/" + testHost}, want: BadTicket, reason: "the ticket is for HTTP/ns1.corp.example@CORP.EXAMPLE; keytab"},
		{name: "an older key", req: func(r *messages.APReq) { r.Ticket.EncPart.KVNO = 2 }, want: BadTicket, reason: "key version 2, enctype 18; keytab "},
		{name: "another secret", from: stranger, want: BadTicket, reason: "does not open with the key in"},
		{name: "no encryption", req: func(r *messages.APReq) { r.Ticket.EncPart.EType = 0 }, want: BadTicket, reason: "enctype 0"},
		{name: "for nobody", req: func(r *messages.APReq) { r.Ticket.SName.NameString = []string{} }, want: BadTicket, reason: "for nobody"},
		{name: "for the KDC", req: func(r *messages.APReq) { r.Ticket.SName.NameString = []string{"krbtgt", testRealm} }, want: BadTicket, reason: "the ticket is for krbtgt/"},
		{name: "for another realm", req: func(r *messages.APReq) { r.Ticket.Realm = "OTHER.EXAMPLE" }, want: BadTicket, reason: "@OTHER.EXAMPLE; keytab"},
		{name: "without octets", req: func(r *messages.APReq) { r.Ticket.EncPart.Cipher = []byte{1} }, want: BadTicket, reason: "does not open"},
		{name: "ended", order: order{starts: -10 * time.Hour, ends: -skew - time.Minute}, want: BadTime, reason: "ended at"},
		{name: "not begun", order: order{starts: skew + time.Minute}, want: BadTime, reason: "not yet valid"},
		{name: "invalid", order: order{flags: []int{flags.Invalid}}, want: BadTime, reason: "not yet valid"},
		{name: "a client with a line end", order: order{client: "a\nb"}, want: BadTicket, reason: `nobody: "a\nb@`},
		{name: "clock behind", auth: func(a *types.Authenticator) { a.CTime = a.CTime.Add(-skew - time.Minute) }, want: BadTime, reason: "6m0s off"},
		{name: "clock ahead", auth: func(a *types.Authenticator) { a.CTime = a.CTime.Add(skew + time.Minute) }, want: BadTime, reason: "off, at most 5m0s"},
		{name: "an authenticator of another", auth: func(a *types.Authenticator) { a.CName.NameString = []string{"EX2$"} }, want: BadToken, reason: "different clients"},
		{name: "of another realm", auth: func(a *types.Authenticator) { a.CRealm = "OTHER.EXAMPLE" }, want: BadToken, reason: "different clients"},
		{name: "no mutual authentication", auth: setContextFlags(gssapi.ContextFlagInteg), want: BadToken, reason: "mutual authentication"},
		{name: "three messages", auth: setContextFlags(gssapi.ContextFlagMutual | flagDCE), want: BadToken, reason: "DCE style"},
		{name: "no context flags", auth: func(a *types.Authenticator) { a.Cksum.Checksum = a.Cksum.Checksum[:20] }, want: BadToken, reason: "0x8003"},
		{name: "a checksum of something else", auth: func(a *types.Authenticator) { a.Cksum.CksumType = 16 }, want: BadToken, reason: "0x8003"},
		{name: "a subkey that is too short", auth: func(a *types.Authenticator) { a.SubKey.KeyValue = a.SubKey.KeyValue[:5] }, want: BadToken, reason: "subkey"},
		{name: "a subkey of DES", auth: func(a *types.Authenticator) { a.SubKey.KeyType = 3 }, want: BadToken, reason: "subkey is of enctype 3"},
		{name: "another key", req: func(r *messages.APReq) { r.EncryptedAuthenticator.Cipher[9] ^= 1 }, want: BadToken, reason: "authenticator:"},
		{name: "an authenticator without octets", req: func(r *messages.APReq) { r.EncryptedAuthenticator.Cipher = []byte{} }, want: BadToken, reason: "authenticator: malformed"},
		{name: "user to user", req: func(r *messages.APReq) { types.SetFlag(&r.APOptions, flags.APOptionUseSessionKey) }, want: BadToken, reason: "user-to-user"},
		{name: "version 4", req: func(r *messages.APReq) { r.PVNO = 4 }, want: BadToken, reason: "version 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := r
			if tt.from != nil {
				from = tt.from
			}
			reply, res := ask(a, "k.example.", from.ticket(t, tt.order).forge(t, tt.auth, tt.req))
			record := reply.Answer[0].(*dns.TKEY)
			if res.Outcome != tt.want || reply.Rcode != dns.RcodeSuccess {
				t.Fatalf("%s, want %s (%v), rcode %d", res.Outcome, tt.want, res.Err, reply.Rcode)
			}
			if tt.want == Accepted {
				a.table.remove(a.table.byName["k.example."])
				if res.Principal != tt.reason || record.Error != 0 || record.Key == "" || reply.IsTsig() == nil {
					t.Errorf("%q, want %q; %v", res.Principal, tt.reason, reply)
				}
				return
			}
			if !strings.Contains(res.Err.Error(), tt.reason) {
				t.Errorf("reason %q, want %q", res.Err, tt.reason)
			}
			if record.Error != dns.RcodeBadKey || record.Key != "" || reply.IsTsig() != nil {
				t.Errorf("reply %v", reply)
			}
		})
	}
}

// TestTransited: a client that came through other realms must have been checked by the KDC.
func TestTransited(t *testing.T) {
	part := messages.EncTicketPart{
		Flags: types.NewKrbFlags(), Key: newKey(aes256), CRealm: "FAR.EXAMPLE", CName: types.NewPrincipalName(1, "x"),
		EndTime: time.Now().Add(time.Hour), Transited: messages.TransitedEncoding{TRType: 1, Contents: []byte("BETWEEN.EXAMPLE")},
	}
	if err := checkTicket(part, testRealm, time.Now()); outcomeOf(err) != BadTicket {
		t.Errorf("unchecked: %v", err)
	}
	types.SetFlag(&part.Flags, flags.TransitedPolicyChecked)
	if err := checkTicket(part, testRealm, time.Now()); err != nil {
		t.Errorf("checked: %v", err)
	}
}

func TestPrincipals(t *testing.T) {
	for _, tt := range []struct {
		name  []string
		realm string
		want  string
	}{
		{[]string{"EX1$"}, "CORP.EXAMPLE", "EX1$@CORP.EXAMPLE"},
		{[]string{"host", "ex1"}, "CORP.EXAMPLE", "host/ex1@CORP.EXAMPLE"},
		{[]string{"host/ex1"}, "CORP.EXAMPLE", `host\/ex1@CORP.EXAMPLE`},
		{[]string{"EX1$@CORP.EXAMPLE"}, "OTHER", `EX1$\@CORP.EXAMPLE@OTHER`},
		{[]string{`a\`}, "CORP.EXAMPLE", `a\\@CORP.EXAMPLE`},
	} {
		if got := principal(tt.name, tt.realm); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// spnego wraps a token as a client would that names these mechanisms.
func spnego(mechs []asn1.ObjectIdentifier, token, mic []byte) []byte {
	list := must(asn1.Marshal(mechs))
	init := negTokenInit{Mechs: asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: list}, Token: token, MIC: mic}
	return frame(oidSPNEGO, must(asn1.MarshalWithParams(init, "explicit,tag:0")))
}

func TestOffers(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	ntlm := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
	both := []asn1.ObjectIdentifier{oidMSKerberos, oidKerberos, ntlm} // as Windows has it
	good := func() []byte { return r.ticket(t, order{}).forge(t, nil, nil) }
	b := good()
	for _, tt := range []struct {
		name   string
		token  []byte
		want   Outcome
		reason string
	}{
		{"bare", good(), Accepted, ""},
		{"Windows", spnego(both, good(), nil), Accepted, ""},
		{"Windows, framed as its own mechanism", spnego(both, frame(oidMSKerberos, b[len(b)-len(must(unframeRest(b))):]), nil), Accepted, ""},
		{"nothing", nil, BadToken, "no GSS-API token"},
		{"one octet", []byte{0x60}, BadToken, "no GSS-API token"},
		{"endless length", []byte{0x60, 0x84, 0xff, 0xff, 0xff, 0xff}, BadToken, "no GSS-API token"},
		{"octets after it", append(good(), 0), BadToken, "no GSS-API token"},
		{"NTLM", []byte("NTLMSSP\x00\x01\x00\x00\x00"), BadToken, "no GSS-API token"},
		{"another mechanism", frame(ntlm, []byte{1, 0}), BadToken, "mechanism 1.3.6.1.4.1.311.2.2.10"},
		{"no mechanism", []byte{0x60, 2, 5, 0}, BadToken, "mechanism"},
		{"no kind", frame(oidKerberos, []byte{1}), BadToken, "too short"},
		{"an AP-REP", frame(oidKerberos, []byte(kindAPRep)), BadToken, "kind 0200, 0100 is due"},
		{"no AP-REQ", frame(oidKerberos, []byte(kindAPReq+"\x6e\x03\x30\x01")), BadToken, "AP_REQ"},
		{"NTLM first", spnego([]asn1.ObjectIdentifier{ntlm, oidKerberos}, good(), nil), BadToken, "Kerberos is not the first"},
		{"no mechanisms", spnego(nil, good(), nil), BadToken, "Kerberos is not the first"},
		{"no token", spnego(both, nil, nil), BadToken, "no token of Kerberos came along"},
		{"a signature that is none", spnego(both, good(), []byte("x")), BadToken, "signature of the mechanisms"},
		{"a NegTokenResp", frame(oidSPNEGO, encodeResp(negTokenResp{Token: good()})), BadToken, "NegTokenInit"},
		{"SPNEGO in SPNEGO", spnego(both, spnego(both, good(), nil), nil), BadToken, "mechanism 1.3.6.1.5.5.2"},
		{"an empty NegTokenInit", frame(oidSPNEGO, []byte{0xa0, 2, 0x30, 0}), BadToken, "NegTokenInit"},
		{"a NegTokenInit of one octet", frame(oidSPNEGO, []byte{0xa0}), BadToken, "NegTokenInit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, res := ask(a, strings.ReplaceAll(tt.name, " ", "-")+".", tt.token)
			if res.Outcome != tt.want || tt.reason != "" && !strings.Contains(res.Err.Error(), tt.reason) {
				t.Errorf("%s (%v), want %s, %q", res.Outcome, res.Err, tt.want, tt.reason)
			}
		})
	}
}

func unframeRest(b []byte) ([]byte, error) {
	_, rest, err := unframe(b)
	return rest, err
}

// TestSignedOffer: a client that signs its mechanisms gets them signed in return, and one that does not gets
// nothing to verify.
func TestSignedOffer(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	tkt := r.ticket(t, order{})
	h, err := tkt.handshake()
	if err != nil {
		t.Fatal(err)
	}
	mechs := []asn1.ObjectIdentifier{oidKerberos}
	list := must(asn1.Marshal(mechs))
	for _, signs := range []bool{true, false} {
		token, mic := tkt.forge(t, func(auth *types.Authenticator) { h.auth.SubKey = auth.SubKey; h.auth.SeqNumber = auth.SeqNumber }, nil), []byte(nil)
		c := &Context{keys: keys{base: h.auth.SubKey}}
		if signs {
			if mic, err = c.keys.sign(list, uint64(h.auth.SeqNumber), false); err != nil {
				t.Fatal(err)
			}
		}
		reply, res := ask(a, map[bool]string{true: "signed.", false: "unsigned."}[signs], spnego(mechs, token, mic))
		if res.Outcome != Accepted {
			t.Fatal(res.Err)
		}
		var resp negTokenResp
		if _, err := asn1.UnmarshalWithParams(unhex(t, reply.Answer[0].(*dns.TKEY).Key), &resp, "explicit,tag:1"); err != nil {
			t.Fatal(err)
		}
		if resp.State != stateCompleted || !resp.Mech.Equal(oidKerberos) || (len(resp.MIC) > 0) != signs {
			t.Errorf("signs %v: %+v", signs, resp)
		}
		if !signs {
			continue
		}
		p := a.table.byName["signed."].peer
		if _, err := p.keys.verify(list, resp.MIC, true); err != nil {
			t.Error(err)
		}
	}
}

// TestCutTokens: every beginning of a token, and every octet changed, ends in an answer, and never in a key
// for somebody else.
func TestCutTokens(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	token := encodeInit(r.ticket(t, order{}).forge(t, nil, nil))
	for i := range token {
		if _, res := ask(a, "cut.", token[:i]); res.Outcome == Accepted {
			t.Errorf("cut at %d: accepted", i)
		}
		for _, bit := range []byte{1, 0x20, 0x80} {
			changed := append([]byte(nil), token...)
			changed[i] ^= bit
			if _, res := ask(a, "changed.", changed); res.Outcome == Accepted {
				if res.Principal != "EX1$@CORP.EXAMPLE" {
					t.Errorf("octet %d: %s", i, res.Principal)
				}
				a.table.remove(a.table.byName["changed."])
				a.replays = newReplays()
			}
		}
	}
}

func TestQueries(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{Reserved: func(name string) bool { return name == "dhcp-key." }})
	used := agreeOn(t, a, r.ticket(t, order{})).KeyName
	record := func(m *dns.Msg) *dns.TKEY { return m.Extra[0].(*dns.TKEY) }
	for _, tt := range []struct {
		name   string
		key    string
		change func(*dns.Msg)
		want   Outcome
		rcode  int
		code   uint16
	}{
		{name: "good", want: Accepted},
		{name: "algorithm of Windows 2000", change: func(m *dns.Msg) { record(m).Algorithm = "GSS.Microsoft.com." }, want: Accepted},
		{name: "in the answer section", change: func(m *dns.Msg) { m.Answer, m.Extra = m.Extra, nil }, want: Accepted},
		{name: "of class IN", change: func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassINET }, want: Accepted},
		{name: "a response", change: func(m *dns.Msg) { m.Response = true }, want: Ignored},
		{name: "an update", change: func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, want: Ignored},
		{name: "no question", change: func(m *dns.Msg) { m.Question = nil }, want: Malformed, rcode: dns.RcodeFormatError},
		{name: "two questions", change: func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, want: Malformed, rcode: dns.RcodeFormatError},
		{name: "another question", change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }, want: Malformed, rcode: dns.RcodeFormatError},
		{name: "another name", change: func(m *dns.Msg) { m.Question[0].Name = "x." }, want: Malformed, rcode: dns.RcodeFormatError},
		{name: "no record", change: func(m *dns.Msg) { m.Extra = nil }, want: Malformed, rcode: dns.RcodeFormatError},
		{name: "two records", change: func(m *dns.Msg) { m.Extra = append(m.Extra, record(m)) }, want: Malformed, rcode: dns.RcodeFormatError},
		{name: "one in each section", change: func(m *dns.Msg) { m.Answer = m.Extra }, want: Malformed, rcode: dns.RcodeFormatError},
		{name: "HMAC", change: func(m *dns.Msg) { record(m).Algorithm = dns.HmacSHA256 }, want: BadAlgorithm, code: dns.RcodeBadAlg},
		{name: "delete with HMAC", change: func(m *dns.Msg) { record(m).Algorithm, record(m).Mode = dns.HmacSHA256, 5 }, want: BadAlgorithm, code: dns.RcodeBadAlg},
		{name: "Diffie-Hellman", change: func(m *dns.Msg) { record(m).Mode = 2 }, want: BadMode, code: dns.RcodeBadMode},
		{name: "mode 0", change: func(m *dns.Msg) { record(m).Mode = 0 }, want: BadMode, code: dns.RcodeBadMode},
		{name: "a name in use", key: used, want: BadName, code: dns.RcodeBadName},
		{name: "a name in use, in upper case", key: strings.ToUpper(used), want: BadName, code: dns.RcodeBadName},
		{name: "a name of HMAC", key: "dhcp-KEY.", want: BadName, code: dns.RcodeBadName},
		{name: "the root", key: ".", want: BadName, code: dns.RcodeBadName},
		{name: "half an octet", change: func(m *dns.Msg) { record(m).Key = "0" }, want: BadToken, code: dns.RcodeBadKey},
		{name: "no token", change: func(m *dns.Msg) { record(m).Key = "" }, want: BadToken, code: dns.RcodeBadKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := tt.key
			if key == "" {
				key = strings.ReplaceAll(tt.name, " ", "-") + ".example."
			}
			m := tkeyQuery(key, r.ticket(t, order{}).forge(t, nil, nil))
			if tt.change != nil {
				tt.change(m)
			}
			reply, res := a.Answer(m, testClient, "")
			if res.Outcome != tt.want || (res.Err == nil) != (tt.want == Accepted) {
				t.Fatalf("%s (%v), want %s", res.Outcome, res.Err, tt.want)
			}
			if tt.want == Ignored {
				if reply != nil {
					t.Errorf("reply %v", reply)
				}
				return
			}
			if reply.Id != m.Id || !reply.Response || reply.Rcode != tt.rcode {
				t.Errorf("reply %v", reply)
			}
			if tt.rcode != 0 {
				return
			}
			rr := reply.Answer[0].(*dns.TKEY)
			if rr.Error != tt.code || rr.Hdr.Name != key || (reply.IsTsig() != nil) != (tt.want == Accepted) {
				t.Errorf("reply %v", reply)
			}
			if _, err := reply.Pack(); err != nil {
				t.Error(err)
			}
		})
	}
	status := a.Status()
	if status.Contexts != 5 || status.Outcomes[Accepted] != 5 || status.Outcomes[Malformed] != 7 || status.Outcomes[BadName] != 4 {
		t.Errorf("%+v", status)
	}
}

func TestReplayedAuthenticator(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	token := r.ticket(t, order{}).forge(t, nil, nil)
	if _, res := ask(a, "a.", token); res.Outcome != Accepted {
		t.Fatal(res.Err)
	}
	if _, res := ask(a, "b.", token); res.Outcome != Replayed || res.Principal != "EX1$@CORP.EXAMPLE" {
		t.Errorf("%s %s", res.Outcome, res.Principal)
	}
	if _, ok := a.Principal("b."); ok {
		t.Error("it made a key")
	}
}

func TestReplaysAreBounded(t *testing.T) {
	r, now := newReplays(), time.Now()
	id := func(n int) (id [32]byte) {
		binary.BigEndian.PutUint64(id[:], uint64(n))
		return id
	}
	for n := range maxReplays + 10 {
		if !r.take(id(n), now) {
			t.Fatal(n)
		}
	}
	if len(r.seen) != maxReplays || r.order.Len() != maxReplays {
		t.Errorf("%d, %d are kept", len(r.seen), r.order.Len())
	}
	if r.take(id(maxReplays), now) {
		t.Error("a replay was taken")
	}
	if !r.take(id(0), now.Add(2*skew)) || len(r.seen) != 1 {
		t.Errorf("%d are kept after their time", len(r.seen))
	}
}

// TestOtherKeyFlag: some clients sign with their own key although the acceptor gave them one; the flag says
// so.
func TestOtherKeyFlag(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	c := agreeOn(t, a, r.ticket(t, order{}))
	const given, sealed, sent = gssapi.MICTokenFlagAcceptorSubkey, gssapi.MICTokenFlagSealed, gssapi.MICTokenFlagSentByAcceptor
	for _, tt := range []struct {
		name  string
		key   types.EncryptionKey
		flags byte
		good  bool
	}{
		{"the acceptor's", c.keys.acceptor, given, true},
		{"its own", c.keys.base, 0, true},
		{"its own, called the acceptor's", c.keys.base, given, false},
		{"the acceptor's, called its own", c.keys.acceptor, 0, false},
		{"sealed", c.keys.base, sealed, false},
		{"from the acceptor", c.keys.base, sent, false},
		{"of nobody", newKey(aes256), 0, false},
	} {
		token := gssapi.MICToken{Flags: tt.flags, SndSeqNum: c.seq, Payload: []byte("message")}
		c.seq++
		if err := token.SetChecksum(tt.key, keyusage.GSSAPI_INITIATOR_SIGN); err != nil {
			t.Fatal(err)
		}
		ts := &dns.TSIG{Hdr: dns.RR_Header{Name: c.KeyName}, Algorithm: Algorithm, MAC: hex.EncodeToString(must(token.Marshal()))}
		if err := a.Verify([]byte("message"), ts); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestBounds(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{MaxContexts: 3, MaxPerClient: 2})
	tkt := r.ticket(t, order{})
	contexts := map[string]*Context{}
	for _, step := range []struct {
		name, client string
		use          string // is used before
		alive        string
	}{
		{"a", "192.0.2.1", "", "a"},
		{"b", "192.0.2.1", "", "ab"},
		{"c", "192.0.2.1", "a", "ac"},  // b was idle
		{"d", "192.0.2.2", "", "acd"},  // full
		{"e", "192.0.2.3", "a", "ade"}, // c was idle
		{"f", "192.0.2.1", "", "aef"},  // d was idle
	} {
		if c := contexts[step.use]; c != nil {
			raw, _ := signed(t, c)
			if err := verify(a, raw, ""); err != nil {
				t.Fatal(err)
			}
		}
		c, err := new(Initiator).negotiate(t.Context(), over(t, a, netip.MustParseAddr(step.client), nil), testHost, tkt)
		if err != nil {
			t.Fatal(err)
		}
		contexts[step.name] = c
		alive := ""
		for _, n := range strings.Split("abcdef", "") {
			if c := contexts[n]; c != nil {
				if _, ok := a.Principal(c.KeyName); ok {
					alive += n
				}
			}
		}
		if alive != step.alive {
			t.Errorf("after %s: %s are alive, want %s", step.name, alive, step.alive)
		}
	}
	if s := a.Status(); s.Evicted != 3 || s.Contexts != 3 || len(a.table.byClient) != 2 {
		t.Errorf("%+v, %d clients", s, len(a.table.byClient))
	}
}
