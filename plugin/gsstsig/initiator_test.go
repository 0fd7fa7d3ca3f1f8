package gsstsig

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"github.com/miekg/dns"
)

func TestLogins(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost, "guard")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := func(name, text string) string {
		path := file(name, text)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kdcs := []string{"192.0.2.88"}
	for _, tt := range []struct {
		name  string
		login Login
		want  []string
	}{
		{"keytab", Login{Principal: "guard@CORP.EXAMPLE", Keytab: r.file, KDCs: kdcs}, nil},
		{"password", Login{Principal: "guard@CORP.EXAMPLE", Password: file("password", "secret\r\n"), KDCs: kdcs}, nil},
		{"nothing", Login{}, []string{`principal "": it must be NAME@REALM`, "no KDC", "a keytab file or a password file"}},
		{"both", Login{Principal: "guard@CORP.EXAMPLE", Keytab: "x", Password: "y", KDCs: kdcs}, []string{"one of them"}},
		{"no realm", Login{Principal: "guard", Keytab: r.file, KDCs: kdcs}, []string{"NAME@REALM"}},
		{"not in the keytab", Login{Principal: "guard@OTHER.EXAMPLE", Keytab: r.file, KDCs: kdcs}, []string{"no key of guard@OTHER.EXAMPLE; there are keys of DNS/ns1.corp.example@CORP.EXAMPLE, guard@CORP.EXAMPLE"}},
		{"no keytab", Login{Principal: "guard@CORP.EXAMPLE", Keytab: filepath.Join(dir, "none"), KDCs: kdcs}, []string{"no such file"}},
		{"no password", Login{Principal: "guard@CORP.EXAMPLE", Password: filepath.Join(dir, "none"), KDCs: kdcs}, []string{"no such file"}},
		{"a password for all to read", Login{Principal: "guard@CORP.EXAMPLE", Password: open("open", "secret\n"), KDCs: kdcs}, []string{"others may read it (mode 0644)"}},
		{"an empty password", Login{Principal: "guard@CORP.EXAMPLE", Password: file("empty", "\nsecret\n"), KDCs: kdcs}, []string{"empty: the first line is empty"}},
	} {
		_, err := NewInitiator(tt.login)
		if (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, part := range tt.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in: %s", tt.name, part, err)
			}
		}
	}
	got := strings.Join(withPort([]string{"192.0.2.88", "192.0.2.89:1088", "2001:db8::88", "[2001:db8::89]", "[2001:db8::90]:1088", "dc1.corp.example"}), " ")
	if want := "192.0.2.88:88 192.0.2.89:1088 [2001:db8::88]:88 [2001:db8::89]:88 [2001:db8::90]:1088 dc1.corp.example:88"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestServers: what a server may answer, and what the client makes of it.
func TestServers(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	tkey := func(m *dns.Msg) *dns.TKEY { return m.Answer[0].(*dns.TKEY) }
	token := func(b []byte) func(*dns.Msg) {
		return func(m *dns.Msg) {
			tkey(m).Key, tkey(m).KeySize = hex.EncodeToString(b), uint16(len(b))
		}
	}
	krbError := messages.NewKRBError(types.NewPrincipalName(2, "DNS/x"), testRealm, 37, "clock skew")
	krbErrorToken := frame(oidKerberos, append([]byte(kindError), must(krbError.Marshal())...))
	for _, tt := range []struct {
		name   string
		change func(*dns.Msg)
		want   string
	}{
		{"good", func(*dns.Msg) {}, ""},
		{"bare", func(m *dns.Msg) {
			b, err := parseAnswer(unhex(t, tkey(m).Key))
			if err != nil {
				t.Fatal(err)
			}
			token(b)(m)
		}, ""},
		{"refused", func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, "REFUSED"},
		{"an error in TKEY", func(m *dns.Msg) { tkey(m).Error = dns.RcodeBadKey }, "BADKEY"},
		{"no answer", func(m *dns.Msg) { m.Answer = nil }, "no record of the key"},
		{"of another key", func(m *dns.Msg) { tkey(m).Hdr.Name = "x." }, "no record of the key"},
		{"no token", token(nil), "NegTokenResp"},
		{"an odd token", func(m *dns.Msg) { tkey(m).Key = "a" }, "odd length"},
		{"rejected", token(encodeResp(negTokenResp{State: 2})), "state 2"},
		{"incomplete", token(encodeResp(negTokenResp{State: 1, Mech: oidKerberos})), "state 1"},
		{"nothing of Kerberos", token(encodeResp(negTokenResp{State: 0})), "no GSS-API token"},
		{"an error of Kerberos", token(krbErrorToken), "KRB_AP_ERR_SKEW"},
		{"the same in SPNEGO", token(encodeResp(negTokenResp{Token: krbErrorToken})), "KRB_AP_ERR_SKEW"},
		{"no AP-REP", token(frame(oidKerberos, []byte(kindAPRep+"\x6f\x02\x30\x00"))), "KDC"},
		{"of another attempt", func(m *dns.Msg) {
			h, err := r.ticket(t, order{}).handshake()
			if err != nil {
				t.Fatal(err)
			}
			other, _ := ask(a, "other"+m.Question[0].Name, h.token)
			tkey(m).Key = tkey(other).Key
		}, "AP-REP: error decrypting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exchange := func(ctx context.Context, m *dns.Msg, p dns.TsigProvider) (*dns.Msg, error) {
				reply, err := over(t, a, testClient, nil)(ctx, m, p)
				tt.change(reply)
				return reply, err
			}
			_, err := new(Initiator).negotiate(t.Context(), exchange, testHost, r.ticket(t, order{}))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	broken := errors.New("broken")
	fails := func(context.Context, *dns.Msg, dns.TsigProvider) (*dns.Msg, error) { return nil, broken }
	if _, err := new(Initiator).negotiate(t.Context(), fails, testHost, r.ticket(t, order{})); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestAnswerToAnotherRequest: an AP-REP under the same session key proves nothing about this request.
func TestAnswerToAnotherRequest(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	tkt := r.ticket(t, order{})
	first, _ := tkt.handshake()
	second, _ := tkt.handshake()
	second.auth.Cusec = (first.auth.Cusec + 1) % 1e6
	reply, _ := ask(a, "k.", first.token)
	answer, err := tkeyAnswer(reply, "k.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.complete(answer, tkt); err == nil || !strings.Contains(err.Error(), "another request") {
		t.Error(err)
	}
	if _, err := first.complete(answer, tkt); err != nil {
		t.Error(err)
	}
}

// TestUnsignedReply: BIND's client does not insist on it, nor do we; it shows.
func TestUnsignedReply(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	exchange := func(_ context.Context, m *dns.Msg, _ dns.TsigProvider) (*dns.Msg, error) {
		reply, _ := a.Answer(m, testClient, "")
		return reply, nil
	}
	c, err := new(Initiator).negotiate(t.Context(), exchange, testHost, r.ticket(t, order{}))
	if err != nil || c.Signed {
		t.Errorf("signed %v, %v", c != nil && c.Signed, err)
	}
}
