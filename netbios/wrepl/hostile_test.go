package wrepl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios/wins"
)

// loopback serves on 127.0.0.1 with the partners given.
func loopback(t *testing.T, store Store, partners ...string) (*Replicator, string) {
	t.Helper()
	set := Settings{Address: ip("192.0.2.53")}
	for _, p := range partners {
		set.Partners = append(set.Partners, to(p))
	}
	r := New(set, store, nil, zerolog.Nop())
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := r.Serve(ctx, ln); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		tasks.Wait()
	})
	return r, ln.Addr().String()
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// hear reads messages to the end, in words: "start-reply, stop 4".
func hear(t *testing.T, conn net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(conn)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("reading: %v", err)
	}
	var out []string
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint32(b)) + 4
		m, err := Parse(b[4:n])
		if err != nil {
			t.Fatal(err)
		}
		word := m.Body.String()
		if s, ok := m.Body.(*Stop); ok {
			word += " " + number(uint64(s.Reason))
		}
		out, b = append(out, word), b[n:]
	}
	return strings.Join(out, ", ")
}

// begin opens an association and returns the server's handle.
func begin(t *testing.T, conn net.Conn) uint32 {
	t.Helper()
	a, err := invite(conn)
	if err != nil {
		t.Fatal(err)
	}
	if a.theirs == 0 {
		t.Fatal("the handle is zero")
	}
	return a.theirs
}

func TestStranger(t *testing.T) {
	r, addr := loopback(t, newMemory(), "192.0.2.1")
	for range 300 {
		conn := connect(t, addr)
		_, _ = conn.Write(Message{Body: &Start{Major: Major, Minor: Minor, Handle: 1}}.Append(nil))
		same(t, "what a stranger is told", hear(t, conn), "")
	}
	if n := r.Turned(); n != 300 {
		t.Errorf("%d were turned away", n)
	}
}

// TestIdle: a partner that opens connections without end has a few at a time.
func TestIdle(t *testing.T) {
	r, addr := loopback(t, newMemory(), "127.0.0.1")
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for range 300 {
		conns = append(conns, connect(t, addr))
	}
	last := conns[len(conns)-1]
	begin(t, last)
	if n := r.Status()[0].Accepted; n != maxAccepted {
		t.Errorf("%d are open", n)
	}
	for _, c := range conns[:len(conns)-maxAccepted] {
		same(t, "an old one", hear(t, c), "")
	}
	if n := runtime.NumGoroutine(); n > before+2*maxAccepted {
		t.Errorf("%d goroutines, before %d", n, before)
	}
}

// TestRudeness is what a partner may not do on a connection of its own.
func TestRudeness(t *testing.T) {
	store := newMemory()
	store.put(t, "MAIL<20>", "192.0.2.11")
	_, addr := loopback(t, store, "127.0.0.1")
	start := Message{Body: &Start{Major: Major, Minor: Minor, Handle: 1}}.Append(nil)
	other := begin(t, connect(t, addr))
	for _, tt := range []struct {
		name  string
		begin bool
		send  func(handle uint32) []byte
		want  string
	}{
		{"16 MiB before the start", false, func(uint32) []byte { return []byte{1, 0, 0, 0} }, ""},
		{"65 octets before the start", false, func(uint32) []byte { return append([]byte{0, 0, 0, 65}, make([]byte, 65)...) }, ""},
		{"a start that is too short", false, func(uint32) []byte { return append([]byte{0, 0, 0, 12}, make([]byte, 12)...) }, ""},
		{"an empty message", false, func(uint32) []byte { return make([]byte, 4) }, ""},
		{"a question before the start", false, func(uint32) []byte { return Message{Body: TableQuery{}}.Append(nil) }, "stop 4"},
		{"a start reply", false, func(uint32) []byte { return Message{Body: &Start{Reply: true, Major: Major}}.Append(nil) }, "stop 4"},
		{"version 3", false, func(uint32) []byte { return Message{Body: &Start{Major: 3}}.Append(nil) }, "stop 4"},
		{"a question", true, func(h uint32) []byte {
			return append(Message{Handle: h, Body: TableQuery{}}.Append(nil), Message{Handle: h, Body: &Stop{}}.Append(nil)...)
		}, "table"},
		{"records", true, func(h uint32) []byte {
			q := &RecordQuery{Owner: Owner{Addr: ip("192.0.2.53")}}
			return append(Message{Handle: h, Body: q}.Append(nil), Message{Handle: h, Body: &Stop{}}.Append(nil)...)
		}, "records"},
		{"the handle of another connection", true, func(uint32) []byte { return Message{Handle: other, Body: TableQuery{}}.Append(nil) }, "stop 4"},
		{"no handle", true, func(uint32) []byte { return Message{Body: TableQuery{}}.Append(nil) }, "stop 4"},
		{"a second start", true, func(uint32) []byte { return start }, "stop 4"},
		{"a second start with the handle", true, func(h uint32) []byte { return Message{Handle: h, Body: &Start{Major: Major}}.Append(nil) }, "stop 4"},
		{"an answer that nobody asked for", true, func(h uint32) []byte { return Message{Handle: h, Body: &RecordReply{}}.Append(nil) }, "stop 4"},
		{"a table that nobody asked for", true, func(h uint32) []byte { return Message{Handle: h, Body: &Table{Command: TableReply}}.Append(nil) }, "stop 4"},
		{"4 G records", true, func(h uint32) []byte {
			b := Message{Handle: h, Body: &RecordReply{}}.Append(nil)
			return append(b[:len(b)-4], 0xff, 0xff, 0xff, 0xff)
		}, "stop 4"},
		{"a message that nobody knows", true, func(h uint32) []byte { return Message{Handle: h, Body: &Unknown{Type: 9}}.Append(nil) }, "stop 4"},
		{"a long message", true, func(uint32) []byte { return binary.BigEndian.AppendUint32(nil, maxQuery+1) }, "stop 4"},
		{"4 GiB", true, func(uint32) []byte { return binary.BigEndian.AppendUint32(nil, 0xffffffff) }, "stop 4"},
	} {
		conn := connect(t, addr)
		var handle uint32
		if tt.begin {
			handle = begin(t, conn)
		}
		if _, err := conn.Write(tt.send(handle)); err != nil {
			t.Fatal(err)
		}
		same(t, tt.name, hear(t, conn), tt.want)
	}
}

// TestSlow: a partner that sends an octet now and then does not hold a connection for long.
func TestSlow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin bool
		most  time.Duration
	}{
		{"before the start", false, 2 * startTime},
		{"in a message", true, bodyTime + time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T, w *wire) []*server {
				one := w.server(a, to(b))
				raw := dialRaw(t, w)
				var handle uint32
				if tt.begin {
					handle = begin(t, raw)
				}
				at := time.Now()
				msg := Message{Handle: handle, Body: &Table{Command: Update, Owners: make([]Owner, 100)}}.Append(nil)
				if !tt.begin {
					msg = Message{Body: &Start{Major: Major}}.Append(nil)
				}
				var err error
				for i := 0; i < len(msg) && err == nil; i++ {
					_, err = raw.Write(msg[i : i+1])
					time.Sleep(3 * time.Second)
				}
				if took := time.Since(at); err == nil || took > tt.most+6*time.Second {
					t.Errorf("%v after %s", err, took)
				}
				return []*server{one}
			})
		})
	}
}

// dialRaw connects to server a as b does; nothing that is written is looked at.
func dialRaw(t *testing.T, w *wire) net.Conn {
	t.Helper()
	conn, err := w.dialFrom(netip.MustParseAddr(b))(t.Context(), netip.MustParseAddrPort(a+":42"))
	if err != nil {
		t.Fatal(err)
	}
	raw := conn.(end).Conn
	t.Cleanup(func() { raw.Close() })
	return raw
}

// TestMute: a partner that accepts connections and says nothing delays nobody else.
func TestMute(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		mute := &fakeListener{conns: make(chan net.Conn, 1000), down: make(chan struct{})}
		w.hosts[netip.MustParseAddr(b)] = mute
		one, three := w.server(a, to(b), to(c)), w.server(c, to(a))
		synctest.Wait()
		at := time.Now()
		version := one.put(t, "MAIL<20>", "192.0.2.11")
		if err := one.Tell(t.Context(), three.addr, version, func() {}); err != nil {
			t.Error(err)
		}
		if took := time.Since(at); took > 0 {
			t.Errorf("it took %s", took)
		}
		time.Sleep(time.Hour)
		if n := len(mute.conns); n > 250 {
			t.Errorf("%d connections in an hour", n)
		}
		return []*server{one, three}
	})
}

// TestHangUp: a partner that closes each connection as soon as it was told something is not told all the time.
func TestHangUp(t *testing.T) {
	world(t, func(t *testing.T, w *wire) []*server {
		l := &fakeListener{conns: make(chan net.Conn), down: make(chan struct{})}
		w.hosts[netip.MustParseAddr(b)] = l
		told := 0
		var tasks sync.WaitGroup
		tasks.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				tasks.Go(func() {
					defer conn.Close()
					as := newAssociation(conn)
					if as.welcome() == nil {
						if m, err := as.read(maxQuery, time.Hour); err == nil && m.Body.String() == "inform" {
							told++
						}
					}
				})
			}
		})
		one := w.server(a, to(b, func(p *Partner) { p.Pull = 0 }))
		one.put(t, "MAIL<20>", "192.0.2.11")
		time.Sleep(time.Hour)
		one.stop()
		l.Close()
		tasks.Wait()
		if told < 30 || told > 200 {
			t.Errorf("told %d times in an hour", told)
		}
		return nil
	})
}

// TestLies: what a partner says of owners and records is taken for what it is.
func TestLies(t *testing.T) {
	lies := &RecordReply{Records: []Record{
		{Label: "GOOD           \x20\x00", Version: 3, Members: []Member{{Addr: ip("192.0.2.11")}}},
		{Label: "OLD            \x20\x00", Version: 1, Members: []Member{{Addr: ip("192.0.2.11")}}},
		{Label: "NEW            \x20\x00", Version: 9, Members: []Member{{Addr: ip("192.0.2.11")}}},
		{Label: "SCOPE          \x20..\x00", Version: 3, Members: []Member{{Addr: ip("192.0.2.11")}}},
		{Label: "STATE          \x20\x00", Flags: 3 << 2, Version: 3, Members: []Member{{Addr: ip("192.0.2.11")}}},
	}}
	near, far := net.Pipe()
	store := newMemory()
	store.seen[ip(b)] = 1
	store.verified[ip(b)] = wins.StampOf(time.Now())
	r := New(Settings{Address: ip(a), Partners: []Partner{to(b)}}, store, nil, zerolog.Nop())
	var tasks sync.WaitGroup
	tasks.Go(func() {
		as := &association{conn: far, in: newAssociation(far).in}
		if _, err := as.read(maxQuery, time.Minute); err == nil {
			_ = as.write(lies)
		}
	})
	as := newAssociation(near)
	as.mine = 0
	t0 := &Table{Owners: []Owner{{Addr: ip(b), Max: 5}, {Addr: wins.IPv4{}, Max: 5}, {Addr: ip(a), Max: 1 << 40}}}
	applied, _, err := r.fetch(t.Context(), r.partners[0], as, t0)
	tasks.Wait()
	if err != nil || applied.Stored != 1 {
		t.Errorf("%+v, %v", applied, err)
	}
	same(t, "what was taken", store.taken(), "GOOD<20> unique active B 3: 192.0.2.11 of 192.0.2.2 from 192.0.2.2")
	if len(store.raised) != 1 || store.seen[ip(b)] != 5 {
		t.Errorf("raised to %v, seen %v", store.raised, store.seen)
	}
}

// FuzzConverse gives a server whatever a partner may send behind the start. It must end by itself and say nothing but
// whole messages.
func FuzzConverse(f *testing.F) {
	const handle = 77
	f.Add(Message{Handle: handle, Body: TableQuery{}}.Append(nil))
	f.Add(Message{Handle: handle, Body: &RecordQuery{Owner: Owner{Addr: ip(a)}}}.Append(nil))
	f.Add(Message{Handle: handle, Body: &Table{Command: Update, Owners: []Owner{{Addr: ip(b), Max: 3}}}}.Append(nil))
	for _, list := range vectors(f) {
		for _, v := range list {
			m, err := Parse(v.octets[4:])
			if err != nil {
				f.Fatal(err)
			}
			m.Handle = handle
			f.Add(m.Append(nil))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		store := newMemory()
		store.put(t, "MAIL<20>", "192.0.2.11")
		r := New(Settings{Address: ip(a), Partners: []Partner{to("192.0.2.2")}}, store, nil, zerolog.Nop())
		conn := &script{in: *bytes.NewReader(b)}
		as := newAssociation(conn)
		as.mine = handle
		_ = r.converse(t.Context(), r.partners[0], as, time.Minute)
		for out := conn.out.Bytes(); len(out) > 0; {
			n := int(binary.BigEndian.Uint32(out)) + 4
			if _, err := Parse(out[4:n]); err != nil {
				t.Fatal(err)
			}
			out = out[n:]
		}
	})
}

// script is a connection whose other end has said all that it will.
type script struct {
	net.Conn
	in  bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return s.out.Write(b) }
func (s *script) Close() error                     { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// TestAskNonsense: an answer of another kind, a refusal and a silent partner are errors.
func TestAskNonsense(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer Body
		want   error
	}{
		{"records to a table query", &RecordReply{}, errNoAnswer},
		{"an update to a table query", &Table{Command: Update}, errNoAnswer},
		{"a stop", &Stop{Reason: StopRefused}, errStopped},
	} {
		conn := &script{in: *bytes.NewReader(Message{Handle: 5, Body: tt.answer}.Append(nil))}
		as := newAssociation(conn)
		as.mine = 5
		if _, err := as.table(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	conn := &script{in: *bytes.NewReader(Message{Handle: 5, Body: &Stop{Reason: StopRefused}}.Append(nil))}
	if _, err := invite(conn); !errors.Is(err, errRefused) {
		t.Errorf("a refusal: %v", err)
	}
}
