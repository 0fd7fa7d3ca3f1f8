package nameward

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/servetest"
)

// runUpstream serves answers by name and counts the questions.
func runUpstream(t *testing.T, answers map[string]string) (addr string, asked *atomic.Int64) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int64)
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		asked.Add(1)
		q := r.Question[0]
		m := upstream(t, q.Name, q.Qtype, 0, answers[strings.ToLower(q.Name)])
		m.Id, m.Question = r.Id, r.Question
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	})}
	done := make(chan error)
	go func() { done <- s.ActivateAndServe() }()
	t.Cleanup(func() {
		s.Shutdown()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return conn.LocalAddr().String(), asked
}

// TestServerUpstream: what the cache holds is looked at with the rules and the state of the moment.
func TestServerUpstream(t *testing.T) {
	addr, asked := runUpstream(t, map[string]string{
		"m.else.example.":     lines("m.else.example. 600 IN A 10.9.0.11", "m.else.example. 600 IN A 172.16.1.1"),
		"alias.else.example.": lines("alias.else.example. 600 IN CNAME mail.other.example.", "mail.other.example. 600 IN A 203.0.113.66"),
	})
	path := writeConfig(t, "classes: {management: [10.9.0.0/16]}\n")
	port := servetest.FreePort(t)
	start(t, fmt.Sprintf(".:%d {\n bind 127.0.0.1\n nameward %s\n cache\n forward . %s\n}", port, path, addr))
	r := running{plain: fmt.Sprintf("127.0.0.1:%d", port), guard: guards.first()}
	before := counted(t, "upstream_scrubbed_answers_total", ScrubRebinding)
	is := func(name, want string) {
		t.Helper()
		var got []string
		for _, rr := range r.ask(t, "udp", question(name, dns.TypeA)).Answer {
			rr.Header().Ttl = 0
			got = append(got, strings.Join(strings.Fields(rr.String())[3:], " "))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	is("m.else.example.", "A 172.16.1.1")
	is("alias.else.example.", "CNAME mail.other.example., A 192.0.2.11")
	claim(t, r.guard.reg, "mailbox", "ex2")
	is("alias.else.example.", "CNAME mail.other.example., A 198.51.100.12")

	write(t, path, configText(strings.TrimSuffix(path, "/nameward.yaml"), "answers: {rebinding: {private_zones: []}}\n"))
	if err := r.guard.Reload(); err != nil {
		t.Fatal(err)
	}
	// The class is gone with the reload, the protection has come.
	is("m.else.example.", "")
	if n := counted(t, "upstream_scrubbed_answers_total", ScrubRebinding) - before; n != 1 {
		t.Errorf("%v answers are counted as rebinding, want 1", n)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("upstream was asked %d times, want 2: the rest comes from the cache", n)
	}
}
