package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/push/stream/streamtest"
)

// renew puts another certificate into the place of the one that is there, and trusts it.
func (l *live) renew(serial int64) {
	l.t.Helper()
	var err error
	if l.cfg.Certificate, l.cfg.Key, err = streamtest.WritePair(l.dir, serial); err != nil {
		l.t.Fatal(err)
	}
	content, err := os.ReadFile(l.cfg.Certificate)
	if err != nil {
		l.t.Fatal(err)
	}
	l.pool = x509.NewCertPool()
	l.pool.AppendCertsFromPEM(content)
}

// live is a server on a port of the loopback, in real time.
type live struct {
	*lab
	cfg  *config.Stream
	dir  string
	pool *x509.CertPool
}

func newLive(t testing.TB, sessions int) *live {
	t.Helper()
	l := &live{lab: newLab(t), dir: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { l.srv.keys.follow(ctx) })
	t.Cleanup(func() { cancel(); following.Wait() })
	l.cfg = &config.Stream{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Keepalive: 15 * time.Second,
		Limits: config.StreamLimits{Sessions: sessions, PerSource: sessions, PerSession: 8, Subscriptions: 2 * sessions},
	}
	l.renew(1)
	if err := l.srv.Apply(l.cfg); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *live) tls() *tls.Config { return &tls.Config{RootCAs: l.pool, ServerName: "localhost"} }

// connect makes a session over TLS.
func (l *live) connect() (net.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: l.tls()}
	return d.DialContext(l.t.Context(), "tcp", l.srv.Addr().String())
}

func (l *live) mustConnect() net.Conn {
	l.t.Helper()
	c, err := l.connect()
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	return c
}

// begin subscribes and takes the first PUSH.
func begin(t testing.TB, c net.Conn, name string) {
	t.Helper()
	m := &dso.Message{ID: 1, TLVs: []dso.TLV{subscribeTLV(t, name, dns.TypeA)}}
	if _, err := c.Write(dso.AppendFrame(nil, m.Append)); err != nil {
		t.Fatal(err)
	}
	for _, isResponse := range []bool{true, false} {
		msg := receive(t, c)
		if m, err := dso.Parse(msg); err != nil || m.Response != isResponse || m.Rcode != 0 {
			t.Fatalf("%+v, %v", m, err)
		}
	}
}

func receive(t testing.TB, c net.Conn) []byte {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	msg, err := dso.ReadFrame(c, nil, dns.MaxMsgSize)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// eventually waits for what happens behind a socket.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

func TestOverTLS(t *testing.T) {
	l := newLive(t, 3)
	c := l.mustConnect()
	begin(t, c, "mail.corp.example.")
	l.switchTo("ex2")
	msg := receive(t, c)
	m, err := dso.Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	rrs, err := dso.ParsePush(msg, m.TLVs[0])
	if err != nil || len(rrs) != 2 || textOf(rrs[1]) != "mail.corp.example. 5 A 198.51.100.12" {
		t.Errorf("%v, %v", rrs, err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	l := newLive(t, 3)
	old := l.tls()
	old.MaxVersion = tls.VersionTLS11
	if c, err := tls.Dial("tcp", l.srv.Addr().String(), old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is taken")
	}
	eventually(t, "the handshake is counted", func() bool { return l.srv.Stats().Connections[NoTLS] == 1 })
}

// What is sent before the handshake is no message, whatever it says.
func TestPlainTextIsRefused(t *testing.T) {
	l := newLive(t, 3)
	for _, text := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		string(dso.AppendFrame(nil, (&dso.Message{ID: 1, TLVs: []dso.TLV{subscribeTLV(t, "mail.corp.example.", dns.TypeA)}}).Append)),
		"",
	} {
		c, err := net.Dial("tcp", l.srv.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			_ = c.Close()
			continue
		}
		_ = c.SetReadDeadline(time.Now().Add(handshakeTimeout + 5*time.Second))
		for err == nil {
			_, err = c.Read(make([]byte, 100)) // an alert may come
		}
		if isTimeout(err) {
			t.Errorf("%q keeps the connection open", text)
		}
		_ = c.Close()
	}
	eventually(t, "all are counted", func() bool {
		st := l.srv.Stats()
		return st.Connections[NoTLS] == 3 && st.Sessions == 0
	})
}

func TestSessionsAreLimited(t *testing.T) {
	l := newLive(t, 2)
	a, b := l.mustConnect(), l.mustConnect()
	begin(t, a, "mail.corp.example.")
	begin(t, b, "mail.corp.example.")
	if c, err := l.connect(); err == nil {
		_ = c.Close()
		t.Error("a third session is taken")
	}
	if n := l.srv.Stats().Connections[Full]; n != 1 {
		t.Errorf("%d connections were too many", n)
	}
	_ = a.Close()
	eventually(t, "there is room again", func() bool { return l.srv.Stats().Sessions == 1 })
	begin(t, l.mustConnect(), "mail.corp.example.")
}

// TestSourcesAreLimited: one source does not take all sessions.
func TestSourcesAreLimited(t *testing.T) {
	l := newLive(t, 4)
	fewer := *l.cfg
	fewer.Limits.PerSource = 1
	if err := l.srv.Apply(&fewer); err != nil {
		t.Fatal(err)
	}
	a := l.mustConnect()
	begin(t, a, "mail.corp.example.")
	if c, err := l.connect(); err == nil {
		_ = c.Close()
		t.Error("a second session is taken")
	}
	other := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	d := tls.Dialer{NetDialer: &other, Config: l.tls()}
	b, err := d.DialContext(t.Context(), "tcp", l.srv.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	begin(t, b, "mail.corp.example.")
	if st := l.srv.Stats(); st.Connections[Crowded] != 1 || st.Connections[Full] != 0 || st.Sessions != 2 {
		t.Errorf("%+v", st)
	}
	_ = a.Close()
	eventually(t, "there is room again", func() bool { return l.srv.Stats().Sessions == 1 })
	begin(t, l.mustConnect(), "mail.corp.example.")
	for at, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := sourceOf(remote{at: netip.MustParseAddr(at)}).String(); got != want {
			t.Errorf("%s is of %s, want %s", at, got, want)
		}
	}
}

// remote is a connection of which nothing is known but the other end.
type remote struct {
	net.Conn
	at netip.Addr
}

func (r remote) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.at, 1024)) }

func TestCertificateIsReplaced(t *testing.T) {
	l := newLive(t, 3)
	serial := func() int64 {
		c, err := l.connect()
		if err != nil {
			return 0
		}
		defer func() { _ = c.Close() }()
		return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Fatalf("certificate %d", n)
	}
	if err := streamtest.Replace(l.cfg.Key, []byte("no key at all")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // nothing is to happen
	if n := serial(); n != 1 {
		t.Fatalf("certificate %d beside a bad key", n)
	}
	l.renew(2)
	eventually(t, "the new certificate is in force", func() bool { return serial() == 2 })
}

func TestApply(t *testing.T) {
	l := newLive(t, 3)
	c := l.mustConnect()
	begin(t, c, "mail.corp.example.")
	before := l.srv.Addr()

	bad := *l.cfg
	bad.Key = bad.Certificate
	if err := l.srv.Apply(&bad); err == nil {
		t.Error("a certificate is taken for a key")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	bad = *l.cfg
	bad.Listen = taken.Addr().(*net.TCPAddr).AddrPort()
	if err := l.srv.Apply(&bad); err == nil {
		t.Error("an address that is taken is taken")
	}
	more := *l.cfg
	more.Limits.Sessions = 9
	if err := l.srv.Apply(&more); err != nil || l.srv.Addr() != before {
		t.Errorf("%v, %s; was at %s", err, l.srv.Addr(), before)
	}
	l.switchTo("ex2")
	receive(t, c) // the session goes on through all of that

	if err := l.srv.Apply(nil); err != nil || l.srv.Addr() != nil {
		t.Errorf("%v, %v", err, l.srv.Addr())
	}
	if m, err := dso.Parse(receive(t, c)); err != nil || m.Primary() != dso.TypeRetryDelay {
		t.Errorf("%+v, %v", m, err)
	}
	_ = c.Close()
	if err := l.srv.Apply(l.cfg); err != nil {
		t.Fatal(err)
	}
	begin(t, l.mustConnect(), "mail.corp.example.")
	l.srv.Close()
	if err := l.srv.Apply(l.cfg); err != registry.ErrStopped {
		t.Errorf("after the end: %v", err)
	}
}

// What 1,000 clients that subscribed to a name wait for when its role moves: the time until the last has it.
func BenchmarkSwitch1000(b *testing.B) { benchSwitch(b, 1000, nil) }

// The same beside 1,000 clients that take nothing.
func BenchmarkSwitch1000Beside1000Slow(b *testing.B) {
	benchSwitch(b, 1000, func(l *live) {
		for range 1000 {
			begin(b, l.mustConnect(), "mail.corp.example.")
		}
	})
}

func benchSwitch(b *testing.B, clients int, beside func(*live)) {
	l := newLive(b, 4*clients)
	if beside != nil {
		beside(l)
	}
	var arrived sync.WaitGroup
	for range clients {
		c := l.mustConnect()
		begin(b, c, "mail.corp.example.")
		_ = c.SetReadDeadline(time.Time{})
		go func() {
			for {
				if _, err := dso.ReadFrame(c, nil, dns.MaxMsgSize); err != nil {
					return
				}
				arrived.Done()
			}
		}()
	}
	nodes, i := []string{"ex2", "ex1"}, 0
	var worst time.Duration
	for b.Loop() {
		arrived.Add(clients)
		start := time.Now()
		l.switchTo(nodes[i%2])
		arrived.Wait()
		worst = max(worst, time.Since(start))
		i++
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/switch")
}
