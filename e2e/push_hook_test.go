//go:build linux

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// manyRoles are a thousand roles of ex1 and ex2, and the targets.
func manyRoles(targets string) string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "      - {name: r%d, dns: [r%d.corp.example.], source: {operator: {initial: ex1}}}\n", i, i)
	}
	return strings.Replace(pair, "zones:\n", b.String()+"zones:\n", 1) + "push:\n  targets:\n" + targets
}

// receiver is a web service that keeps what it is sent, and refuses what is not signed right.
type receiver struct {
	mu     sync.Mutex
	key    []byte
	bodies []string
	ids    []string
	bad    int
	status int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	h := hmac.New(sha256.New, r.key)
	fmt.Fprintf(h, "%s.%s.%s", req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp"), body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)) {
		r.bad++
	}
	r.bodies, r.ids = append(r.bodies, string(body)), append(r.ids, req.Header.Get("webhook-id"))
	w.WriteHeader(r.status)
}

func (r *receiver) last() (roles, addr, id string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bodies) == 0 {
		return "", "", "", 0
	}
	var notice struct {
		Roles []struct{ Addresses []string }
	}
	if err := json.Unmarshal([]byte(r.bodies[len(r.bodies)-1]), &notice); err == nil && len(notice.Roles) > 0 {
		addr = notice.Roles[0].Addresses[0]
	}
	return fmt.Sprint(len(notice.Roles)), addr, r.ids[len(r.ids)-1], len(r.bodies)
}

func (r *receiver) answer(status int) { r.mu.Lock(); defer r.mu.Unlock(); r.status = status }

// TestPushHooks tells a program and a web service that a thousand roles have moved, each at once; a program that is slow
// while nameward is killed is run again, and a service that was out of order hears the latest.
func TestPushHooks(t *testing.T) {
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	key := []byte("0123456789abcdef0123456789abcdef")
	rec := &receiver{key: key, status: 204}
	srv := httptest.NewUnstartedServer(rec)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Listener.Close()
	srv.Listener = client.listen(t, clientAddr+":443")
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := l.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	secret := l.write("secret", "whsec_"+base64.StdEncoding.EncodeToString(key)+"\n")
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	slow, runs, told := l.path("slow"), l.path("runs"), l.path("told")
	script := l.write("moved.sh", fmt.Sprintf("#!/bin/sh\necho run $$ >>%s\nif [ -e %s ]; then sleep 60; fi\ncat >%s.new && mv %s.new %s\n", runs, slow, told, told, told))
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	// The certificate of httptest is for example.com and 127.0.0.1; the name of the service stands in the hosts file.
	hosts := "/etc/netns/" + guard.ns
	if err := os.MkdirAll(hosts, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(hosts) })
	if err := os.WriteFile(hosts+"/hosts", []byte(clientAddr+" example.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := guard.nameward(t, manyRoles(fmt.Sprintf(`
    - {name: program, hook: {command: [%s], timeout: 5s, verify: {dns: %s}}}
    - {name: service, webhook: {url: "https://example.com/moved", secret: %s, ca: %s}}
`, script, guardAddr, secret, ca)))
	service := func(want string) time.Duration {
		t.Helper()
		return soon(t, "the service", 10*time.Second, want, func() string { roles, addr, _, _ := rec.last(); return roles + " " + addr })
	}
	program := func() string {
		text, _ := os.ReadFile(told)
		return fmt.Sprint(strings.Count(string(text), `"role":`), strings.Count(string(text), `"addresses":["192.0.2.12"`))
	}
	service("1001 192.0.2.11")
	soon(t, "the program", 10*time.Second, "1001 0", program)
	_, _, _, before := rec.last()
	began := time.Now()
	out := n.do(t, "switch", "--all", "--to", "ex2", "--wait")
	t.Logf("1001 roles moved, both verified after %s\n%s", time.Since(began), tail(out, 6))
	service("1001 192.0.2.12")
	same(t, "the program", program(), "1001 1001")
	if _, _, _, after := rec.last(); after != before+1 {
		t.Errorf("the service got %d messages for one change", after-before)
	}

	// Out of order: the same state has one id, and the last state is what it hears in the end.
	rec.answer(503)
	n.do(t, "switch", "mailbox", "--to", "ex1")
	soon(t, "a second try", 10*time.Second, "true", func() string { _, _, _, now := rec.last(); return fmt.Sprint(now >= before+3) })
	rec.mu.Lock()
	same(t, "the id of the second try", rec.ids[before+2], rec.ids[before+1])
	rec.mu.Unlock()
	n.do(t, "switch", "mailbox", "--to", "ex2")
	n.do(t, "switch", "mailbox", "--to", "ex1")
	rec.answer(200)
	service("1 192.0.2.11")

	// Killed while the program runs: it is run again.
	l.write("slow", "")
	lines := func() int { text, _ := os.ReadFile(runs); return strings.Count(string(text), "run") }
	was := lines()
	n.do(t, "switch", "mailbox", "--to", "ex2")
	soon(t, "the program runs", 5*time.Second, "true", func() string { return fmt.Sprint(lines() > was) })
	n.kill()
	if err := os.Remove(slow); err != nil {
		t.Fatal(err)
	}
	n.up(t)
	soon(t, "the program, after the kill", 10*time.Second, "1 1", program)

	// A program that does not end is ended.
	l.write("slow", "")
	n.do(t, "switch", "mailbox", "--to", "ex1")
	soon(t, "status of a slow program", 10*time.Second, "true", func() string {
		return fmt.Sprint(strings.Contains(n.do(t, "push", "status"), "it did not end within 5s"))
	})
	if err := os.Remove(slow); err != nil {
		t.Fatal(err)
	}
	soon(t, "the program, in the end", 15*time.Second, "1 0", program)
	if rec.bad > 0 {
		t.Errorf("%d messages were not signed right", rec.bad)
	}
}
