package main

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// fakeServer answers what reply returns for the n-th packet, on the loopback, until the test ends.
func fakeServer(t *testing.T, reply func(n int, m netbios.Message) []netbios.Message) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, netbios.MaxDatagram)
		for n := 0; ; n++ {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			m, err := netbios.ParseRequest(buf[:size])
			if err != nil {
				t.Error(err)
				continue
			}
			for _, a := range reply(n, m) {
				b, err := a.Append(nil)
				if err != nil {
					t.Error(err)
				}
				conn.WriteTo(b, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func right(m netbios.Message) []netbios.Message {
	name, addr := m.Questions[0].Name, netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr(addresses[0])}
	switch m.Form() {
	case netbios.FormQuery:
		return []netbios.Message{netbios.NewPositiveQuery(m.ID, name, 300, addr)}
	case netbios.FormRelease:
		return []netbios.Message{netbios.NewPositiveRelease(m.ID, name, addr)}
	}
	return []netbios.Message{netbios.NewPositiveRegistration(m.ID, name, 300, addr)}
}

func TestLoadClient(t *testing.T) {
	const names = 200
	tests := []struct {
		name  string
		op    operation
		tries int
		reply func(n int, m netbios.Message) []netbios.Message
		want  loadResult // the counts only
	}{
		{"query", opQuery, 1, func(_ int, m netbios.Message) []netbios.Message { return right(m) }, loadResult{Replies: names}},
		{"register", opRegister, 1, func(_ int, m netbios.Message) []netbios.Message { return right(m) }, loadResult{Replies: names}},
		{"refresh", opRefresh, 1, func(_ int, m netbios.Message) []netbios.Message { return right(m) }, loadResult{Replies: names}},
		{"release", opRelease, 1, func(_ int, m netbios.Message) []netbios.Message { return right(m) }, loadResult{Replies: names}},
		{"every answer twice", opQuery, 1, func(_ int, m netbios.Message) []netbios.Message {
			return append(right(m), right(m)...)
		}, loadResult{Replies: names}},
		{"the first ten are lost", opQuery, 1, func(n int, m netbios.Message) []netbios.Message {
			if n < 10 {
				return nil
			}
			return right(m)
		}, loadResult{Replies: names - 10, Lost: 10}},
		{"the first ten are lost, and sent again", opRegister, 2, func(n int, m netbios.Message) []netbios.Message {
			if n < 10 {
				return nil
			}
			return right(m)
		}, loadResult{Replies: names, Resent: 10}},
		{"a WACK, then no packet more", opRegister, 3, func(n int, m netbios.Message) []netbios.Message {
			if n == 0 {
				time.Sleep(60 * time.Millisecond)
				return append([]netbios.Message{netbios.NewWack(m.Header, m.Questions[0].Name, 9)}, right(m)...)
			}
			return right(m)
		}, loadResult{Replies: names, Wacked: 1}},
		{"one is refused", opRegister, 1, func(n int, m netbios.Message) []netbios.Message {
			if n == 5 {
				return []netbios.Message{netbios.NewNegativeRegistration(m.ID, netbios.RcodeActive, m.Questions[0].Name, 1, m.Additional[0].Data.(netbios.NB)...)}
			}
			return right(m)
		}, loadResult{Replies: names - 1, Wrong: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newLoad(fakeServer(t, tt.reply), names)
			o.op, o.tries, o.outstanding, o.timeout = tt.op, tt.tries, 16, 300*time.Millisecond
			got, err := o.run()
			if err != nil {
				t.Fatal(err)
			}
			if got.Replies > 0 && (got.Rate <= 0 || got.Seconds <= 0 || got.P50 <= 0 || got.P99 < got.P50) {
				t.Errorf("times %+v", got)
			}
			if (got.Odd != "") != (got.Wrong > 0) {
				t.Errorf("odd answer %q of %d", got.Odd, got.Wrong)
			}
			counts := loadResult{Replies: got.Replies, Lost: got.Lost, Wrong: got.Wrong, Resent: got.Resent, Wacked: got.Wacked}
			if counts != tt.want {
				t.Errorf("got %+v, want %+v", counts, tt.want)
			}
		})
	}
}

// TestLoadClientForAWhile asks for names again and again.
func TestLoadClientForAWhile(t *testing.T) {
	o := newLoad(fakeServer(t, func(_ int, m netbios.Message) []netbios.Message { return right(m) }), 10)
	o.load = 200 * time.Millisecond
	got, err := o.run()
	if err != nil || got.Replies < 50 || got.Lost+got.Wrong > 0 || got.Seconds < 0.15 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestDeadOwner needs port 137 of an address, and so root.
func TestDeadOwner(t *testing.T) {
	probe, err := net.ListenPacket("udp4", "127.0.0.2:137")
	if err != nil {
		t.Skipf("port 137 cannot be opened: %v", err)
	}
	probe.Close()
	owners := map[netbios.Name]netip.Addr{}
	server := fakeServer(t, func(_ int, m netbios.Message) []netbios.Message {
		name := m.Questions[0].Name
		if m.Form() == netbios.FormQuery {
			return []netbios.Message{netbios.NewPositiveQuery(m.ID, name, 1, netbios.Address{Addr: owners[name]})}
		}
		claim, _ := m.Claim()
		var replies []netbios.Message
		if owner, found := owners[name]; found {
			ask(t, owner, name)
			replies = append(replies, netbios.NewWack(m.Header, name, 9))
		}
		owners[name] = claim.Addrs[0].Addr
		return append(replies, netbios.NewPositiveRegistration(m.ID, name, 1, claim.Addrs...))
	})
	d := deadOwner{
		server: netip.MustParseAddrPort(server), owner: netip.MustParseAddr("127.0.0.2"), claimant: netip.MustParseAddr("127.0.0.3"), names: 3,
	}
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := d.result; len(r.Millis) != 3 || r.Asked != 1 || r.Wacked != 3 {
		t.Errorf("got %+v", r)
	}
}

// ask sends a challenge to an owner.
func ask(t *testing.T, owner netip.Addr, name netbios.Name) {
	t.Helper()
	conn, err := net.Dial("udp4", netip.AddrPortFrom(owner, netbios.Port).String())
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	b, err := netbios.NewQuery(1, name).Append(nil)
	if err == nil {
		_, err = conn.Write(b)
	}
	if err != nil {
		t.Error(err)
	}
}
