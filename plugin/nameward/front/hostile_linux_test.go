package front

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/servetest"
)

func startOne(t testing.TB) (*world, string) {
	w, port := newWorld(t), servetest.FreePort(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	w.start(t, fmt.Sprintf(".:%d {\nbind 127.0.0.1\necho\n}", port), addr)
	return w, addr
}

func dial(t testing.TB, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	m.Compress = true
	raw, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func frame(raw []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
}

// changed returns raw with one octet set.
func changed(raw []byte, at int, to byte) []byte {
	raw = append([]byte(nil), raw...)
	raw[at] = to
	return raw
}

// TestHeaders: what is answered, with what, and what never is. UPDATE's opcode brings it to us.
func TestHeaders(t *testing.T) {
	w, addr := startOne(t)
	good := pack(t, update())
	for _, tt := range []struct {
		name  string
		raw   []byte
		want  Outcome
		rcode int // -1: no answer
	}{
		{"good", good, Served, dns.RcodeSuccess},
		{"a response", changed(good, 2, 0xa8), Ignored, -1},
		{"no zone", changed(good, 5, 0), Rejected, dns.RcodeFormatError},
		{"two zones", changed(good, 5, 2), Rejected, dns.RcodeFormatError},
		{"more records than there are", changed(good, 9, 200), Rejected, dns.RcodeFormatError},
		{"cut", good[:len(good)-3], Rejected, dns.RcodeFormatError},
		{"a header alone", good[:12], Rejected, dns.RcodeFormatError},
		{"less", good[:11], Ignored, -1},
		{"a panic", pack(t, new(dns.Msg).SetUpdate("panic.example.")), Served, dns.RcodeServerFailure},
	} {
		for over, network := range Networks {
			t.Run(tt.name+" over "+network, func(t *testing.T) {
				before := w.Count(network, tt.want)
				c := dial(t, network, addr)
				raw := tt.raw
				if network == "tcp" {
					raw = frame(raw)
				}
				if _, err := c.Write(raw); err != nil {
					t.Fatal(err)
				}
				eventually(t, "counted", func() bool { return w.Count(network, tt.want) == before+1 })
				if tt.rcode < 0 {
					_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
					if n, err := c.Read(make([]byte, 1)); n != 0 || (over == int(overUDP)) != errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("answered, or a connection not closed: %d %v", n, err)
					}
					return
				}
				m, err := (&dns.Conn{Conn: c, UDPSize: dns.MaxMsgSize}).ReadMsg()
				if err != nil || m.Rcode != tt.rcode || m.Id != binary.BigEndian.Uint16(tt.raw) || m.Opcode != dns.OpcodeUpdate || !m.Response {
					t.Errorf("%v %v", err, m)
				}
			})
		}
	}
}

// TestStreams: many messages in one segment, one in many, and the largest there is.
func TestStreams(t *testing.T) {
	_, addr := startOne(t)
	c := &dns.Conn{Conn: dial(t, "tcp", addr)}
	var stream []byte
	for i := range 50 {
		m := query(dns.TypeA)
		m.Id = uint16(i)
		stream = append(stream, frame(pack(t, m))...)
	}
	large := updateOf(1)
	for size := 0; size < 65000; size = len(pack(t, large)) {
		large.Ns = append(large.Ns, updateOf(100).Ns...)
	}
	pad := &dns.TXT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNULL, Class: dns.ClassINET}}
	null := &dns.NULL{Hdr: pad.Hdr}
	large.Ns = append(large.Ns[:2000:2000], null)
	null.Data = string(make([]byte, dns.MaxMsgSize-len(pack(t, large))))
	large.Id = 50
	if n := len(pack(t, large)); n != dns.MaxMsgSize {
		t.Fatalf("%d octets", n)
	}
	stream = append(stream, frame(pack(t, large))...)
	go func() {
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(700))
			if _, err := c.Conn.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	for i := range 51 {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		m, err := c.ReadMsg()
		if err != nil || m.Id != uint16(i) || said(m) != withRaw {
			t.Fatalf("%d: %v %v", i, err, m)
		}
	}
}

// TestIdleConnections: two thousand clients that say nothing, or half of something, shut nobody out.
func TestIdleConnections(t *testing.T) {
	w, addr := startOne(t)
	w.conns.mu.Lock()
	w.conns.max = 1500
	w.conns.mu.Unlock()
	for i := range 2000 {
		c := dial(t, "tcp", addr)
		switch i % 3 {
		case 1:
			_, _ = c.Write([]byte{0xff})
		case 2:
			_, _ = c.Write([]byte{0xff, 0xff, 1, 2, 3})
		}
	}
	for range 20 {
		if got := said(ask(t, "tcp", addr, update())); got != withRaw {
			t.Fatal(got)
		}
	}
	if w.Count("tcp", Shed) < 500 {
		t.Errorf("%d connections were closed to make room", w.Count("tcp", Shed))
	}
	eventually(t, "they are closed when they say nothing for long", func() bool {
		w.conns.mu.Lock()
		defer w.conns.mu.Unlock()
		return len(w.conns.all) <= 1 && w.conns.idle.Len() <= 1
	})
}

// TestShed: packets beyond the bound are dropped and counted, and the next ones are served again.
func TestShed(t *testing.T) {
	w, addr := startOne(t)
	for range cap(w.packets) {
		w.packets <- struct{}{}
	}
	c := dial(t, "udp", addr)
	if _, err := c.Write(pack(t, update())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "counted", func() bool { return w.Count("udp", Shed) == 1 })
	for range cap(w.packets) {
		<-w.packets
	}
	if got := said(ask(t, "udp", addr, update())); got != withRaw {
		t.Fatal(got)
	}
}

// TestGarbage: nothing that is sent stops the front, and no reply is longer than what was asked.
func TestGarbage(t *testing.T) {
	_, addr := startOne(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	seeds := [][]byte{pack(t, update()), pack(t, tkey())}
	u := dial(t, "udp", addr)
	go func() { _, _ = io.Copy(io.Discard, u) }()
	for i := range 3000 {
		raw := append([]byte(nil), seeds[i%2]...)
		for range 1 + rnd.IntN(8) {
			raw[rnd.IntN(len(raw))] = byte(rnd.Uint32())
		}
		raw = raw[:rnd.IntN(len(raw)+1)]
		_, _ = u.Write(raw)
		if i%20 == 0 {
			c := dial(t, "tcp", addr)
			_, _ = c.Write(frame(raw)[:rnd.IntN(len(raw)+3)])
			_ = c.Close()
		}
	}
	for range 10 {
		for _, network := range Networks {
			if got := said(ask(t, network, addr, update())); got != withRaw {
				t.Fatal(got)
			}
		}
	}
}

// TestEndLeavesNothing: Run ends at once though clients hold connections, and gives back descriptors.
func TestEndLeavesNothing(t *testing.T) {
	w, addr := startOne(t)
	c := dial(t, "tcp", addr)
	if got := said(ask(t, "tcp", addr, update())); got != withRaw {
		t.Fatal(got)
	}
	eventually(t, "the idle connection is there", func() bool {
		w.conns.mu.Lock()
		defer w.conns.mu.Unlock()
		return len(w.conns.all) == 1
	})
	started := time.Now()
	w.end()
	if d := time.Since(started); d > grace/5 {
		t.Errorf("it took %v", d)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection: %v", err)
	}
	for _, network := range Networks {
		if got := said(ask(t, network, addr, query(dns.TypeA))); got != withoutRaw {
			t.Errorf("%s: %s", network, got)
		}
	}
}
