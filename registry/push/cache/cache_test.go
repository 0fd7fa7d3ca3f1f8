package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushtest"
	"github.com/nameward/nameward/registry/servetest"
)

// list is a resolver that notes what it is told.
type list struct {
	mu    sync.Mutex
	names []string
	err   map[string]error
}

func (l *list) flush(_ context.Context, names []string) []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, names...)
	var errs []error
	for _, n := range names {
		errs = append(errs, l.err[n])
	}
	return errs
}

// TestPush: each name once, the reverse names of what was left and taken, and who fails with which name.
func TestPush(t *testing.T) {
	reg := pushtest.Pair(t, 2, false)
	reg.Switch("ex2")
	l := &list{err: map[string]error{"role1.corp.example.": errors.New("no")}}
	items := reg.Items("192.0.2.11")
	(&Driver{l}).Push(t.Context(), items)
	if got := pushtest.Stages(items); !slices.Equal(got, []string{"acked", "failed: no"}) {
		t.Errorf("got %q", got)
	}
	want := []string{
		"role0.corp.example.", "12.2.0.192.in-addr.arpa.", "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		"11.2.0.192.in-addr.arpa.", "role1.corp.example.",
	}
	if !slices.Equal(l.names, want) {
		t.Errorf("flushed %q\nwant %q", l.names, want)
	}
	l.names, l.err = nil, map[string]error{"11.2.0.192.in-addr.arpa.": errors.New("no")}
	items = reg.Items()
	(&Driver{l}).Push(t.Context(), items)
	if got := pushtest.Stages(items); !slices.Equal(got, []string{"failed: no", "failed: no"}) || len(l.names) != 6 {
		t.Errorf("first delivery, all members: got %q after %q", got, l.names)
	}
}

func TestContent(t *testing.T) {
	reg := pushtest.Pair(t, 1, false)
	d := &Driver{&list{}}
	role := reg.Items()[0].Role
	if got, want := d.Content(nil, role), "role0.corp.example. at 192.0.2.11 2001:db8::11"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	nameless := *role
	copied := *role.Role
	copied.DNS, nameless.Role = nil, &copied
	if got := d.Content(nil, &nameless); got != "" {
		t.Errorf("a role without DNS names: %q", got)
	}
}

// TestVerify: what is stale is flushed again, and nothing else.
func TestVerify(t *testing.T) {
	reg := pushtest.Pair(t, 2, false)
	reg.Switch("ex2")
	_, conn := servetest.Listen(t)
	var rd bool
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		rd = q.RecursionDesired
		node := "2"
		if q.Question[0].Name == "role1.corp.example." {
			node = "1" // stale
		}
		text := map[uint16]string{dns.TypeA: "A 192.0.2.1" + node, dns.TypeAAAA: "AAAA 2001:db8::1" + node}[q.Question[0].Qtype]
		rr, _ := dns.NewRR(q.Question[0].Name + " 5 IN " + text)
		m.Answer = append(m.Answer, rr)
		_ = w.WriteMsg(m)
	})}
	servetest.Serve(t, srv)
	l := &list{}
	v := &Verifying{&Driver{l}, conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	items := reg.Items("192.0.2.11", "2001:db8::11")
	v.Verify(t.Context(), items)
	if got := pushtest.Stages(items); !slices.Equal(got, []string{"verified", "stale"}) || !rd {
		t.Errorf("got %q, recursion desired %t", got, rd)
	}
	if len(l.names) != 5 || l.names[0] != "role1.corp.example." {
		t.Errorf("flushed %q", l.names)
	}
	l.err = map[string]error{"role1.corp.example.": errors.New("no")}
	v.Verify(t.Context(), items)
	if got := pushtest.Stages(items); !slices.Equal(got, []string{"verified", "failed: no"}) {
		t.Errorf("flushing again fails: %q", got)
	}
}

func TestNew(t *testing.T) {
	for _, kind := range []string{config.CacheUnbound, config.CacheBIND, config.CacheDnsmasq, config.CachePowerDNS, config.CacheResolved} {
		d := New(&config.Cache{Kind: kind})
		if _, asks := d.(push.Verifier); asks {
			t.Errorf("%s without a server is asked", kind)
		}
		if d.(*Driver).flusher == nil {
			t.Errorf("%s is told by nobody", kind)
		}
		if _, asks := New(&config.Cache{Kind: kind, Server: netip.MustParseAddrPort("127.0.0.1:53")}).(push.Verifier); !asks {
			t.Errorf("%s with a server is not asked", kind)
		}
	}
}

// unboundFake answers each connection by a function of the command.
func unboundFake(t *testing.T, answer func(command string, conn net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ctl")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				buf := make([]byte, 512)
				n, _ := conn.Read(buf)
				answer(string(buf[:n]), conn)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return path
}

func TestUnbound(t *testing.T) {
	forever := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for _, tt := range []struct {
		name   string
		answer func(command string, conn net.Conn)
		want   string
	}{
		{"ok", func(command string, conn net.Conn) {
			if command != "UBCT1 flush a.example.\n" {
				t.Errorf("unbound got %q", command)
			}
			_, _ = io.WriteString(conn, "ok\n")
		}, "<nil>"},
		{"error", func(_ string, conn net.Conn) { _, _ = io.WriteString(conn, "error bad\x1bname\nok\n") }, `flush a.example.: unbound says: error bad\x1bname`},
		{"hangs up", func(string, net.Conn) {}, "unbound closes the connection without a word: is control over TLS, and has it the right certificates?"},
		{"silent", func(_ string, conn net.Conn) { forever(conn) }, "context deadline exceeded"},
		{"slow", func(_ string, conn net.Conn) { _, _ = io.WriteString(conn, "o"); forever(conn) }, "context deadline exceeded"},
		{"endless", func(_ string, conn net.Conn) {
			for {
				if _, err := io.WriteString(conn, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		}, "flush a.example.: unbound says: " + strings.Repeat("x", 120)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			u := &unbound{socket: unboundFake(t, tt.answer)}
			if got := fmt.Sprint(u.flush(ctx, []string{"a.example."})[0]); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestUnboundMany: unbound takes ten connections at a time and drops the others.
func TestUnboundMany(t *testing.T) {
	var mu sync.Mutex
	now, most, all := 0, 0, map[string]bool{}
	path := unboundFake(t, func(command string, conn net.Conn) {
		mu.Lock()
		now++
		most, all[command] = max(most, now), true
		mu.Unlock()
		time.Sleep(time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		_, _ = io.WriteString(conn, "ok\n")
	})
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("n%d.example.", i))
	}
	for i, err := range (&unbound{socket: path}).flush(t.Context(), names) {
		if err != nil {
			t.Fatal(i, err)
		}
	}
	if most > atOnce || len(all) != 1000 {
		t.Errorf("%d connections at once, %d commands", most, len(all))
	}
}

func TestUnboundKeys(t *testing.T) {
	u := &unbound{addr: netip.MustParseAddrPort("127.0.0.1:1"), key: filepath.Join(t.TempDir(), "none"), cert: "x", ca: "x"}
	if err := u.flush(t.Context(), []string{"a.example."})[0]; !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestPowerDNS(t *testing.T) {
	var got []string
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		status int
		text   string
		want   string
	}{
		{"flushed", 200, `{"count": 1, "result": "Flushed cache."}`, "<nil>"},
		{"nothing to flush", 200, `{"count": 0, "result": "Flushed cache."}`, "<nil>"},
		{"wrong key", 401, "Unauthorized", "powerdns does not take the API key"},
		{"error", 422, `{"error": "DNS Name 'x' is\u001b not canonical"}`, `flush of a.example.: powerdns says: DNS Name 'x' is\x1b not canonical`},
		{"no API", 404, "Not Found", "flush of a.example.: powerdns says 404: Not Found"},
		{"another service", 200, "<html>", "flush of a.example.: powerdns says 200: <html>"},
		{"JSON of another", 200, "{}", "flush of a.example.: powerdns says 200: {}"},
		{"redirect", 302, "", "flush of a.example.: powerdns says 302: "},
		{"endless", 200, strings.Repeat(" ", 1<<20) + `{"count": 1}`, "flush of a.example.: powerdns says 200: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = append(got, r.Method+" "+r.RequestURI+" "+r.Header.Get("X-API-Key"))
				w.Header().Set("Location", "http://192.0.2.1/")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.text)
			}))
			defer srv.Close()
			if got := fmt.Sprint((&powerDNS{url: srv.URL, key: key}).flush(t.Context(), []string{"a.example."})[0]); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if want := "PUT /api/v1/servers/localhost/cache/flush?domain=a.example. secret"; got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (&powerDNS{url: "http://127.0.0.1:1", key: key}).flush(t.Context(), []string{"a.example."})[0]; err == nil || !strings.Contains(err.Error(), "open to others") {
		t.Errorf("a key for all: %v", err)
	}
}

// TestBINDGone: one failure of the connection is that of all names.
func TestBINDGone(t *testing.T) {
	key := filepath.Join(t.TempDir(), "rndc.key")
	if err := os.WriteFile(key, []byte(`key "rndc-key" { algorithm hmac-sha256; secret "c2VjcmV0"; };`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bind{addr: netip.MustParseAddrPort("127.0.0.1:1"), key: key, view: "internal"}
	for _, err := range b.flush(t.Context(), []string{"a.example.", "b.example."}) {
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v", err)
		}
	}
	if got := b.command("a.example."); got != "flushname a.example. internal" {
		t.Errorf("command %q", got)
	}
	b.key += "none"
	if err := b.flush(t.Context(), []string{"a.example."})[0]; !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no key: %v", err)
	}
}

func FuzzSays(f *testing.F) {
	f.Add(200, []byte(`{"count": 1, "result": "Flushed cache."}`))
	f.Add(401, []byte("ok\n"))
	f.Add(422, []byte(`{"error": "x"}`))
	f.Add(0, []byte("1234\n"))
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		if err := unboundSays(text, "flush x."); err == nil && !strings.HasPrefix(string(text)+"\n", "ok\n") {
			t.Errorf("%q is ok", text)
		}
		if err := powerDNSSays(status, text, "x."); err == nil && (status != 200 || !json.Valid(text)) {
			t.Errorf("%d %q is ok", status, text)
		}
		if pid, err := parsePID("file", string(text)); err == nil && pid < 2 {
			t.Errorf("%q is process %d", text, pid)
		}
	})
}
