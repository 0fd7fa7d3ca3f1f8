package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/registry/config"
)

// serve answers every connection on loopback with what do does, and returns the address.
func serve(t *testing.T, do func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				do(conn)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, "221 bye\r\n")
	}
}

func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func TestCheckSMTP(t *testing.T) {
	tests := []struct {
		name string
		do   func(net.Conn)
		want string // part of the error; "" for none
	}{
		{"greeting", says("220 ex1.corp.example ESMTP\r\n"), ""},
		{"greeting of several lines", says("220-ex1\r\n220-welcome\r\n220 go\r\n"), ""},
		{"bare code", says("220\r\n"), ""},
		{"busy", says("421 too many connections\r\n"), "is 421, want 220"},
		{"refused", says("554 no\r\n"), "is 554, want 220"},
		{"goodbye", says("221 bye\r\n"), "is 221, want 220"},
		{"HTTP", says("HTTP/1.1 400 Bad Request\r\n"), "no SMTP reply"},
		{"secret in garbage", says("\x1b[31mhello\r\n"), "no SMTP reply"},
		{"endless line", func(c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("2", 1<<20)) }, "closed before"},
		{"endless greeting", func(c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("220-more\r\n", 1<<16)) }, "closed before"},
		{"closes", func(net.Conn) {}, "closed before"},
		{"silence", silent, "no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := serve(t, tt.do)
			expect(t, Check(t.Context(), target(config.ProbeSMTP, at)), tt.want)
		})
	}
}

func TestCheckSMTPQuits(t *testing.T) {
	said := make(chan string, 1)
	at := serve(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 ex1\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		said <- line
		_, _ = io.WriteString(c, "221 bye\r\n")
	})
	expect(t, Check(t.Context(), target(config.ProbeSMTP, at)), "")
	if line := <-said; line != "QUIT\r\n" {
		t.Errorf("after the greeting: %q, want QUIT", line)
	}
}

func TestCheckTCP(t *testing.T) {
	expect(t, Check(t.Context(), target(config.ProbeTCP, serve(t, silent))), "")
	expect(t, Check(t.Context(), target(config.ProbeTCP, closedPort(t))), "connection refused")
	expect(t, Check(t.Context(), target("icmp", closedPort(t))), `no probe of kind "icmp"`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if Check(ctx, target(config.ProbeTCP, closedPort(t))) == nil {
		t.Error("no error from a check that was cancelled")
	}
}

func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func target(kind string, at netip.AddrPort) Target {
	return Target{Addr: at.Addr(), Probe: &config.Probe{
		Kind: kind, Class: "public", Port: at.Port(), Interval: time.Second, Timeout: 300 * time.Millisecond, Rise: 2, Fall: 3,
		HTTP: config.HTTPProbe{Scheme: "http", Path: "/health?full=1", Status: []int{200}},
	}}
}

func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestCheckHTTP(t *testing.T) {
	answers := func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case "sick":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "slow":
			time.Sleep(time.Second)
		case "large":
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat("x", 1<<10))
			}
			_, _ = io.WriteString(w, "primary")
		default:
			_, _ = fmt.Fprintf(w, "role: primary at %s", r.URL)
		}
	}
	plain, secure := httptest.NewServer(http.HandlerFunc(answers)), httptest.NewUnstartedServer(http.HandlerFunc(answers))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	tests := []struct {
		name string
		edit func(*config.HTTPProbe)
		want string
	}{
		{"status", func(*config.HTTPProbe) {}, ""},
		{"body", func(p *config.HTTPProbe) { p.Body = "primary at /health?full=1" }, ""},
		{"other body", func(p *config.HTTPProbe) { p.Body = "replica" }, `does not contain "replica"`},
		{"other status", func(p *config.HTTPProbe) { p.Host = "sick" }, "HTTP status 503, want 200"},
		{"status that is wanted", func(p *config.HTTPProbe) { p.Host = "sick"; p.Status = []int{200, 503} }, ""},
		{"a redirect is not followed", func(p *config.HTTPProbe) { p.Host = "moved" }, "HTTP status 302"},
		{"slow", func(p *config.HTTPProbe) { p.Host = "slow" }, "no answer in time"},
		{"text beyond the bound", func(p *config.HTTPProbe) { p.Host = "large"; p.Body = "primary" }, "does not contain"},
		{"unknown certificate", func(p *config.HTTPProbe) { p.Scheme = "https" }, "certificate"},
		{"certificate not verified", func(p *config.HTTPProbe) { p.Scheme, p.InsecureTLS = "https", true }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := target(config.ProbeHTTP, netip.AddrPort{})
			tt.edit(&p.Probe.HTTP)
			server := plain
			if p.Probe.HTTP.Scheme == "https" {
				server = secure
			}
			at := server.Listener.Addr().(*net.TCPAddr).AddrPort()
			p.Addr, p.Probe.Port = at.Addr(), at.Port()
			expect(t, Check(t.Context(), p), tt.want)
		})
	}
}
