package gsstsig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
)

func TestKeytabs(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost, "HTTP/"+testHost)
	web := newRealm(t, "HTTP/"+testHost)
	nobody := newRealm(t)
	if err := nobody.keytab.AddEntry("DNS/"+testHost, testRealm, "secret", time.Unix(1, 0), 3, etypeID.DES3_CBC_SHA1_KD); err != nil {
		t.Fatal(err)
	}
	nobody.write(t)
	good, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name       string
		file       string
		principals []string
		want       []string // in the error; none if there is no error
	}{
		{"all services", r.file, nil, nil},
		{"one of them", r.file, []string{"DNS/" + testHost}, nil},
		{"with its realm", r.file, []string{"HTTP/" + testHost + "@CORP.EXAMPLE"}, nil},
		{"no file", filepath.Join(dir, "none"), nil, []string{"none", "no such file"}},
		{"empty", file("empty", nil), nil, []string{"empty: this is no keytab file: make one with ktutil"}},
		{"text", file("text", []byte("DNS/ns1 secret\n")), nil, []string{"text: this is no keytab"}},
		{"cut", file("cut", good[:len(good)-5]), nil, []string{"cut: this is no keytab"}},
		{"huge", file("huge", append([]byte{5, 2}, make([]byte, maxKeytab)...)), nil, []string{"huge: this is no keytab"}},
		{"of old encryption", nobody.file, nil, []string{"no key of a service DNS/HOST", "keys of nobody"}},
		{"of the web server", web.file, nil, []string{"no key of a service DNS/HOST", "keys of HTTP/ns1.corp.example@CORP.EXAMPLE"}},
		{"two that are missing", r.file, []string{"DNS/a", "DNS/" + testHost, "DNS/b@CORP.EXAMPLE"}, []string{"no key of DNS/a;", "no key of DNS/b@CORP.EXAMPLE; there are keys of DNS/ns1.corp.example@CORP.EXAMPLE, HTTP/"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(Config{Keytab: tt.file, Principals: tt.principals})
			if (err == nil) != (tt.want == nil) {
				t.Fatal(err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), tt.file) {
					t.Errorf("%q is not in: %s", part, err)
				}
			}
			if err != nil && (len(err.Error()) > 1000 || strings.Contains(err.Error(), "\x12")) {
				t.Errorf("the error shows the file: %q", err)
			}
		})
	}
	if _, err := New(Config{Keytab: r.file, MaxContexts: -1}); err == nil {
		t.Error("a negative limit is taken")
	}
}

func TestReload(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{})
	c, old := agreeOn(t, a, r.ticket(t, order{})), r.ticket(t, order{})

	if err := os.WriteFile(r.file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Reload(); err == nil {
		t.Error("a bad file is taken")
	}
	agreeOn(t, a, old)

	next := newRealm(t, "DNS/two.corp.example")
	next.file = r.file
	next.write(t)
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	agreeOn(t, a, next.ticket(t, order{service: "DNS/two.corp.example"}))
	if _, res := ask(a, "old.", old.forge(t, nil, nil)); res.Outcome != BadTicket {
		t.Errorf("a ticket for a key that is gone: %s", res.Outcome)
	}
	raw, _ := signed(t, c)
	if err := verify(a, raw, ""); err != nil {
		t.Errorf("a context from before: %v", err)
	}
}
