package tsig

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const secret = "c2VjcmV0"

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Key
		err  string
	}{
		{"Gate:" + secret + "\n", Key{"gate.", dns.HmacSHA256, secret}, ""},
		{"hmac-sha512:gate.corp.example:" + secret, Key{"gate.corp.example.", dns.HmacSHA512, secret}, ""},
		{"key \"gate.\" {\n\talgorithm hmac-sha384;\n\tsecret \"" + secret + "\";\n};\n", Key{"gate.", dns.HmacSHA384, secret}, ""},
		{"key gate { algorithm hmac-sha1; secret " + secret + "; };", Key{"gate.", dns.HmacSHA1, secret}, ""},
		{"", Key{}, "want one line"},
		{"gate", Key{}, "want one line"},
		{"rot13:gate:" + secret, Key{}, `algorithm "rot13" is none`},
		{"gate:!", Key{}, "not base64"},
		{"gate:", Key{}, "not base64"},
		{"a..b:" + secret, Key{}, "not a domain name"},
		{":" + secret, Key{}, "not a domain name"},
	} {
		got, err := Parse(tt.text)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %+v, %v, want %+v, %q", tt.text, got, err, tt.want, tt.err)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gate.key")
	if _, err := Read(path); err == nil {
		t.Error("a key from a file that is not there")
	}
	for text, want := range map[string]string{"gate:" + secret: "", "gate": path, strings.Repeat("x", maxFile+1): path} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if k, err := Read(path); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || k.IsZero() != (want != "") {
			t.Errorf("%.20q: %+v, %v", text, k, err)
		}
	}
}

func TestSign(t *testing.T) {
	k, err := New("", "gate", secret)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg).SetUpdate("corp.example.")
	k.Sign(m)
	b, _, err := dns.TsigGenerate(m, k.Secret, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := dns.TsigVerify(bytes.Clone(b), k.Secrets()["gate."], "", false); err != nil {
		t.Error(err)
	}
	if err := dns.TsigVerifyWithProvider(bytes.Clone(b), k.Provider(), "", false); err != nil {
		t.Error(err)
	}
	other := k
	other.Secret = "b3RoZXI="
	if err := dns.TsigVerifyWithProvider(bytes.Clone(b), other.Provider(), "", false); err != dns.ErrSig {
		t.Errorf("another secret: %v", err)
	}
	other = Key{"other.", k.Algorithm, k.Secret}
	if err := dns.TsigVerifyWithProvider(bytes.Clone(b), other.Provider(), "", false); err != dns.ErrSecret {
		t.Errorf("another name: %v", err)
	}
}
