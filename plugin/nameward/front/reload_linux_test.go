package front

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/servetest"
)

// load asks without a pause until the context ends, and counts what was not answered.
type load struct {
	asked, lost atomic.Uint64
	raw, plain  atomic.Uint64
	tasks       sync.WaitGroup
	t           testing.TB
}

func (l *load) run(ctx context.Context, network, addr string, m func() *dns.Msg) {
	l.tasks.Go(func() {
		c := dns.Client{Net: network, Timeout: 2 * time.Second}
		for ctx.Err() == nil {
			q := m()
			reply, _, err := c.Exchange(q, addr)
			l.asked.Add(1)
			switch {
			case err != nil || reply.Rcode != 0:
				l.lost.Add(1)
				l.t.Logf("%s over %s: %v %v", kindOf(q), network, err, reply)
			case said(reply) == withRaw:
				l.raw.Add(1)
			default:
				l.plain.Add(1)
			}
		}
	})
}

func TestReloadLosesNothing(t *testing.T) {
	for _, block := range []string{"", "multisocket 3"} {
		t.Run(block, func(t *testing.T) {
			w, port := newWorld(t), servetest.FreePort(t)
			addr := fmt.Sprintf("127.0.0.1:%d", port)
			corefile := fmt.Sprintf(".:%d {\nbind 127.0.0.1\necho\n%s\n}", port, block)
			i := w.start(t, corefile, addr)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			queries, updates, streams := &load{t: t}, &load{t: t}, &load{t: t}
			queries.run(ctx, "udp", addr, func() *dns.Msg { return query(dns.TypeA) })
			updates.run(ctx, "udp", addr, update)
			streams.run(ctx, "tcp", addr, update)
			for n := range 8 {
				time.Sleep(20 * time.Millisecond) // so that requests come between reloads too
				w.broken.Store(n%4 == 3)
				next, err := i.Restart(input(corefile))
				if (err != nil) != (n%4 == 3) {
					t.Fatal(err)
				}
				i = next
			}
			w.broken.Store(false)
			cancel()
			queries.tasks.Wait()
			updates.tasks.Wait()
			streams.tasks.Wait()
			for name, l := range map[string]*load{"queries": queries, "updates": updates, "over TCP": streams} {
				t.Logf("%s: %d asked, %d lost, %d as they came, %d not", name, l.asked.Load(), l.lost.Load(), l.raw.Load(), l.plain.Load())
				if l.lost.Load() != 0 || l.asked.Load() == 0 {
					t.Errorf("%s: %d of %d lost", name, l.lost.Load(), l.asked.Load())
				}
			}
			if queries.raw.Load() != 0 || updates.plain.Load() != 0 || streams.plain.Load() != 0 {
				t.Error("steered wrongly")
			}
			w.checkSteered(t, addr)
		})
	}
}

// TestComesLater: CoreDNS listens already when a reload brings the plugin, so our sockets come last in
// their groups. Afterwards it goes again and gives everything back.
func TestComesLater(t *testing.T) {
	for _, block := range []string{"", "multisocket 3"} {
		t.Run(block, func(t *testing.T) {
			w, port := newWorld(t), servetest.FreePort(t)
			addr := fmt.Sprintf("127.0.0.1:%d", port)
			with := fmt.Sprintf(".:%d {\nbind 127.0.0.1\necho\n%s\n}", port, block)
			without := fmt.Sprintf(".:%d {\nbind 127.0.0.1\nplain\n%s\n}", port, block)
			i := w.start(t, without)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			packets, streams := &load{t: t}, &load{t: t}
			packets.run(ctx, "udp", addr, func() *dns.Msg { return query(dns.TypeA) })
			packets.run(ctx, "udp", addr, update)
			i = restart(t, i, with)
			w.awaitSteered(t, addr)
			if w.door(addr).lanes[overUDP].index == 0 {
				t.Error("the test does not test what it is to: our socket is the first")
			}
			w.checkSteered(t, addr)
			// CoreDNS cuts its own connections when it is reloaded, so there are none then.
			streaming, stop := context.WithCancel(ctx)
			defer stop()
			streams.run(streaming, "tcp", addr, update)
			i = restart(t, i, without)
			w.end()
			stop()
			streams.tasks.Wait()
			before := w.cell("udp", "query", false).Load()
			for range 50 {
				for _, network := range []string{"udp", "tcp"} {
					if got := said(ask(t, network, addr, query(dns.TypeA))); got != withoutRaw {
						t.Fatal(got)
					}
				}
			}
			if w.cell("udp", "query", false).Load() != before {
				t.Error("the plugin that went still sees queries")
			}
			restart(t, i, without)
			cancel()
			packets.tasks.Wait()
			t.Logf("%d asked over UDP, %d lost; %d over TCP, %d lost", packets.asked.Load(), packets.lost.Load(), streams.asked.Load(), streams.lost.Load())
			if packets.lost.Load() > 1 || streams.lost.Load() > 0 || streams.asked.Load() == 0 { // a datagram: see close
				t.Error("requests were lost")
			}
		})
	}
}

func (f *Front) door(addr string) *door {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.doors[addr]
}

func restart(t testing.TB, i *caddy.Instance, corefile string) *caddy.Instance {
	t.Helper()
	next, err := i.Restart(input(corefile))
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// TestAddressesComeAndGo: a reload changes where CoreDNS listens, and how many sockets it has.
func TestAddressesComeAndGo(t *testing.T) {
	w, port := newWorld(t), servetest.FreePort(t)
	block := func(hosts, more string) string {
		return fmt.Sprintf(".:%d {\nbind %s\necho\n%s\n}", port, hosts, more)
	}
	one, two := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.2:%d", port)
	i := w.start(t, block("127.0.0.1", ""), one)
	for _, tt := range []struct {
		hosts, more string
		addrs       []string
	}{
		{"127.0.0.1 127.0.0.2", "", []string{one, two}}, {"127.0.0.2", "", []string{two}}, {"127.0.0.1", "multisocket 4", []string{one}},
		{"127.0.0.1", "", []string{one}}, {"127.0.0.1", "multisocket 2", []string{one}},
	} {
		i = restart(t, i, block(tt.hosts, tt.more))
		w.awaitSteered(t, tt.addrs...)
		for _, addr := range tt.addrs {
			// How many sockets CoreDNS has is looked at again every few seconds.
			eventually(t, "queries are CoreDNS's again", func() bool { return leftAlone(t, addr) })
			w.checkSteered(t, addr)
		}
	}
	if w.door(two) != nil {
		t.Error("an address that is not listened on any more is kept")
	}
}

// TestSuccession: the servers of the instance before serve until those of the next are known, and again
// if that one fails; one that is gone has no say.
func TestSuccession(t *testing.T) {
	addr := fmt.Sprintf("127.0.0.1:%d", servetest.FreePort(t))
	f := New(zerolog.Nop())
	defer f.Close()
	server := func() *dnsserver.Server { return &dnsserver.Server{Addr: "dns://" + addr} }
	listen := func(owner any) {
		if err := f.Listen(owner, []string{addr}); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := server(), server(), server()
	listen(1)
	f.SetServer(1, first)
	listen(2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Only(2)
	}()
	select {
	case <-done:
		t.Fatal("it did not wait for the servers of the next instance")
	case <-time.After(20 * time.Millisecond):
	}
	serves := func(want *dnsserver.Server) {
		t.Helper()
		if f.door(addr).server.Load() != want {
			t.Error("another server serves")
		}
	}
	serves(first)
	f.SetServer(2, second)
	serves(second)
	<-done
	f.SetServer(1, first)
	serves(second)
	listen(3)
	f.SetServer(3, third)
	serves(third)
	f.Only(2)
	serves(second)
}
