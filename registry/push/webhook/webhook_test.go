package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/notice"
	"github.com/nameward/nameward/registry/push/pushtest"
)

// TestVector is the example of the specification.
func TestVector(t *testing.T) {
	secret, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecret(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "not whsec_ and base64",
		"secret":                           "not whsec_ and base64",
		"whsec_!":                          "not whsec_ and base64",
		"whsec_c2hvcnQ=":                   "has 5 octets",
		"whsec_" + strings.Repeat("A", 88): "has 66 octets",
	} {
		if _, err := parseSecret(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// driver makes one with a secret.
func driver(t *testing.T, url string, change func(*config.Webhook)) *Driver {
	t.Helper()
	c := &config.Webhook{URL: url, Secret: filepath.Join(t.TempDir(), "secret"), Timeout: 5 * time.Second}
	if err := os.WriteFile(c.Secret, []byte(secretText+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(c)
	}
	return newDriver(c)
}

// push1 delivers one role and tells what became of it.
func push1(t *testing.T, d push.Driver) string {
	t.Helper()
	items := pushtest.Pair(t, 1, false).Items()
	d.Push(t.Context(), items)
	return pushtest.Stages(items)[0]
}

// TestPost looks at what arrives, over TLS with a CA of our own: a thousand roles, one POST; a second try has the same id.
func TestPost(t *testing.T) {
	var mu sync.Mutex
	var headers []http.Header
	var bodies [][]byte
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		headers, bodies = append(headers, r.Header), append(bodies, body)
		if len(bodies) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	d := driver(t, srv.URL, func(c *config.Webhook) { c.CA = ca })
	reg := pushtest.Pair(t, 1000, false)
	for i, want := range []string{"failed: the service says 500 Internal Server Error", "acked", "acked"} {
		if i == 2 {
			reg.Switch("ex2")
		}
		items := reg.Items()
		d.Push(t.Context(), items)
		for _, got := range pushtest.Stages(items) {
			if got != want {
				t.Fatalf("push %d: %q, want %q", i, got, want)
			}
		}
	}
	if len(bodies) != 3 || !bytes.Equal(bodies[0], bodies[1]) || bytes.Count(bodies[0], []byte(`"role":`)) != 1000 {
		t.Fatalf("%d bodies", len(bodies))
	}
	first, again, next := headers[0].Get("webhook-id"), headers[1].Get("webhook-id"), headers[2].Get("webhook-id")
	if first == "" || first != again || first == next {
		t.Errorf("ids %q, %q, %q: the same state has one, another state another one", first, again, next)
	}
	secret, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secretText, "whsec_"))
	var at int64
	fmt.Sscan(headers[1].Get("webhook-timestamp"), &at)
	if got, want := headers[1].Get("webhook-signature"), sign(secret, again, time.Unix(at, 0), bodies[1]); got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
	if since := time.Since(time.Unix(at, 0)); since < -time.Second || since > time.Minute {
		t.Errorf("timestamp %d", at)
	}
	if got := headers[1].Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if string(bodies[2]) != string(notice.New(reg.Items()).JSON()) {
		t.Error("the body is not the notice")
	}
}

func TestRefused(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect is followed") }))
	defer elsewhere.Close()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		change func(*config.Webhook)
		want   string
	}{
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil, "acked"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, nil, "failed: the service says 307 Temporary Redirect"},
		{"says why", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no\n\x1b[31m such\troom", 404) }, nil, `failed: the service says 404 Not Found: no \x1b[31m such room`},
		{"says much", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			for range 1 << 16 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
					return
				}
			}
		}, nil, "failed: the service says 500 Internal Server Error: " + strings.Repeat("x", 120)},
		{"header without end", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 10000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), "y")
			}
		}, nil, "failed: net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 32768 bytes; aborted"},
		{"slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(c *config.Webhook) { c.Timeout = 100 * time.Millisecond }, "failed: no answer within 100ms"},
		{"slow body", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, nil, "acked"},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			_, _ = io.WriteString(conn, "220 smtp.corp.example ESMTP\r\n")
			conn.Close()
		}, nil, `failed: net/http: HTTP/1.x transport connection broken: malformed HTTP status code "smtp.corp.example"`},
		{"secret for all", nil, func(c *config.Webhook) { _ = os.Chmod(c.Secret, 0o644) }, "failed: SECRET has mode 0644 and is open to others: chmod 600 SECRET"},
		{"no secret", nil, func(c *config.Webhook) { _ = os.Remove(c.Secret) }, "failed: open SECRET: no such file or directory"},
		{"bad secret", nil, func(c *config.Webhook) { _ = os.WriteFile(c.Secret, []byte("x"), 0o600) }, "failed: SECRET: the secret is not whsec_ and base64"},
		{"CA is none", nil, func(c *config.Webhook) { c.CA = c.Secret }, "failed: SECRET has no certificate in PEM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // without that the server does not see the client leave
				if tt.answer != nil {
					tt.answer(w, r)
				}
			}))
			srv.Start()
			defer srv.Close()
			d := driver(t, srv.URL, tt.change)
			got := strings.ReplaceAll(push1(t, d), d.secret, "SECRET")
			if got != tt.want {
				t.Errorf("got %q\nwant %q", got, tt.want)
			}
			if strings.Contains(got, srv.URL) {
				t.Errorf("%q shows the URL", got)
			}
		})
	}
}

// TestStranger: a certificate that the CA did not make, and a server that is not there.
func TestStranger(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a stranger is told") }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	d := driver(t, srv.URL, nil)
	if got := push1(t, d); !strings.HasPrefix(got, "failed: tls: failed to verify certificate") {
		t.Errorf("got %q", got)
	}
	srv.Close()
	if got := push1(t, d); !strings.Contains(got, "connection refused") {
		t.Errorf("got %q", got)
	}
}

// TestRetryAfter leaves the service alone for as long as it says, a minute at most.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		d := driver(t, "http://127.0.0.1/", nil)
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			told++
			resp := &http.Response{StatusCode: 503, Status: "503 Busy", Header: http.Header{}, Body: http.NoBody, Request: r}
			resp.Header.Set("Retry-After", "86400")
			return resp, nil
		})}
		d.client = func(string) (*http.Client, error) { return client, nil }
		items := pushtest.Pair(t, 1, false).Items()
		d.Push(t.Context(), items)
		d.Push(t.Context(), items)
		if got, want := pushtest.Stages(items)[0], "failed: the service asks to be left alone for another 1m0s (Retry-After)"; got != want || told != 1 {
			t.Errorf("told %d times, %q, want %q", told, got, want)
		}
		time.Sleep(time.Minute)
		d.Push(t.Context(), items)
		if told != 2 {
			t.Errorf("told %d times after a minute", told)
		}
	})
	now := time.Unix(1000, 0).UTC()
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-5": 0, "x": 0, "99999999999999999999": 0, now.Add(time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestCancel: the worker's end ends a POST at once.
func TestCancel(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		cancel()
		_, _ = io.Copy(io.Discard, conn)
	}()
	items := pushtest.Pair(t, 1, false).Items()
	driver(t, "http://"+ln.Addr().String(), nil).Push(ctx, items)
	if _, _, why := items[0].Stage(); !errors.Is(why, context.Canceled) {
		t.Errorf("why: %v", why)
	}
}
