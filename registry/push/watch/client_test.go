package watch

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
)

// server is what a test makes of the other side of each connection, in order.
type server func(*peer)

// peer is one connection as the server sees it.
type peer struct {
	t    *testing.T
	conn net.Conn
}

func (p *peer) send(m dso.Message) { p.sendRaw(m.Append(nil)) }

func (p *peer) sendRaw(wire []byte) {
	_, _ = p.conn.Write(dso.AppendFrame(nil, func(dst []byte) []byte { return append(dst, wire...) }))
}

// next is what the client sends next, nothing when it has gone.
func (p *peer) next() (m dso.Message) {
	msg, err := dso.ReadFrame(p.conn, nil, dns.MaxMsgSize)
	if err != nil {
		return m
	}
	if m, err = dso.Parse(msg); err != nil {
		p.t.Errorf("%x: %v", msg, err)
	}
	return m
}

// grant answers the Keepalive and so many subscriptions.
func (p *peer) grant(n, rcode int) {
	m := p.next()
	p.send(dso.Message{ID: m.ID, Response: true, TLVs: []dso.TLV{dso.Keepalive(15*time.Second, 20*time.Second)}})
	for range n {
		m := p.next()
		if m.Primary() != dso.TypeSubscribe {
			p.t.Errorf("%+v, want a SUBSCRIBE", m)
		}
		p.send(dso.Message{ID: m.ID, Response: true, Rcode: uint8(rcode)})
	}
}

func (p *peer) push(changes ...[]byte) {
	wire, _ := dso.AppendPush(nil, changes)
	p.sendRaw(wire)
}

func change(t *testing.T, text string, ttl uint32) []byte {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	wire, err := dso.Change(rr, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// watch runs a client against servers, one for each connection, and returns the events until the last one is over.
func watch(t *testing.T, servers ...server) (events []string, err error) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := &Client{
			Questions: []dso.Question{{Name: "mail.corp.example.", Type: dns.TypeA, Class: dns.ClassINET}, {Name: "mail.corp.example.", Type: dns.TypeTXT, Class: dns.ClassINET}},
			Tell:      func(e Event) { events = append(events, textOf(e)) },
			Dial: func(context.Context) (net.Conn, error) {
				if len(servers) == 0 {
					cancel()
					return nil, errors.New("nobody is there any more")
				}
				ours, theirs := net.Pipe()
				go func(serve server) {
					serve(&peer{t, theirs})
					_ = theirs.Close()
				}(servers[0])
				servers = servers[1:]
				return ours, nil
			},
		}
		err = c.Run(ctx)
	})
	return events, err
}

func textOf(e Event) string {
	switch e.Kind {
	case Added, Removed:
		return e.Kind.String() + " " + strings.Join(strings.Fields(e.Record.String()), " ")
	case Refused:
		return "refused " + dns.TypeToString[e.Question.Type] + " " + dns.RcodeToString[e.Rcode]
	}
	return e.Kind.String()
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestChanges(t *testing.T) {
	one, two, text := change(t, "mail.corp.example. A 192.0.2.1", 5), change(t, "mail.corp.example. A 192.0.2.2", 5), change(t, `mail.corp.example. TXT "x"`, 60)
	gone := change(t, "mail.corp.example. A 192.0.2.1", dso.Removed)
	events, err := watch(t, func(p *peer) {
		p.grant(2, dns.RcodeSuccess)
		p.push(one, two, text, one)
		p.push(change(t, "other.corp.example. A 192.0.2.9", 5), change(t, "mail.corp.example. AAAA 2001:db8::1", 5)) // nobody asked
		p.push(gone, gone, change(t, "MAIL.corp.example. A 192.0.2.2", 9), change(t, "mail.corp.example. A 192.0.2.3", 0x80000000))
		p.push(dso.AllGone(one, dns.TypeA))
		p.push(one, dso.AllGone(one, dns.TypeANY))
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, events, "connected",
		"added mail.corp.example. 5 IN A 192.0.2.1", "added mail.corp.example. 5 IN A 192.0.2.2", `added mail.corp.example. 60 IN TXT "x"`,
		"removed mail.corp.example. 5 IN A 192.0.2.1", "added MAIL.corp.example. 9 IN A 192.0.2.2",
		"removed MAIL.corp.example. 9 IN A 192.0.2.2",
		"added mail.corp.example. 5 IN A 192.0.2.1", `removed mail.corp.example. 60 IN TXT "x"`, "removed mail.corp.example. 5 IN A 192.0.2.1",
		"lost")
}

func TestConnectionsAreMadeAnew(t *testing.T) {
	one := change(t, "mail.corp.example. A 192.0.2.1", 5)
	serve := func(p *peer) {
		p.grant(2, dns.RcodeSuccess)
		p.push(one)
	}
	events, err := watch(t, serve, func(*peer) {}, serve)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, events, "connected", "added mail.corp.example. 5 IN A 192.0.2.1", "lost", "connected", "lost",
		"connected", "added mail.corp.example. 5 IN A 192.0.2.1", "lost")
}

func TestServerAsksToComeBackLater(t *testing.T) {
	var left, back time.Time
	_, err := watch(t, func(p *peer) {
		p.grant(2, dns.RcodeSuccess)
		p.send(dso.Message{TLVs: []dso.TLV{dso.RetryDelay(time.Minute)}})
		p.next() // the end
		left = time.Now()
	}, func(*peer) { back = time.Now() })
	if err != nil || back.Sub(left) != time.Minute {
		t.Errorf("back after %s, %v", back.Sub(left), err)
	}
}

func TestServerIsKeptAlive(t *testing.T) {
	var asked []time.Duration
	var silent time.Duration
	_, err := watch(t, func(p *peer) {
		p.grant(2, dns.RcodeSuccess)
		for range 3 {
			start := time.Now()
			m := p.next()
			asked = append(asked, time.Since(start))
			p.send(dso.Message{ID: m.ID, Response: true, TLVs: []dso.TLV{dso.Keepalive(0, 30*time.Second)}})
		}
		start := time.Now()
		p.next() // is not answered
		p.next()
		silent = time.Since(start)
	})
	if err != nil || !slices.Equal(asked, []time.Duration{20 * time.Second, 30 * time.Second, 30 * time.Second}) || silent != 35*time.Second {
		t.Errorf("asked after %s, given up after %s, %v", asked, silent, err)
	}
}

func TestRefused(t *testing.T) {
	events, err := watch(t, func(p *peer) { p.grant(2, dns.RcodeNotAuth); p.next() })
	if !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	expect(t, events, "connected", "refused A NOTAUTH", "refused TXT NOTAUTH")
}

func TestWithoutAServer(t *testing.T) {
	c := &Client{Tell: func(e Event) { t.Error(textOf(e)) }, Dial: func(context.Context) (net.Conn, error) { return nil, io.ErrClosedPipe }}
	if err := c.Run(t.Context()); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// What a server must not do ends the session, and the client tries again.
func TestBadServers(t *testing.T) {
	for name, serve := range map[string]server{
		"a server without DSO": func(p *peer) {
			m := p.next()
			p.send(dso.Message{ID: m.ID, Response: true, Rcode: dns.RcodeNotImplemented})
		},
		"a response to nothing":     func(p *peer) { p.send(dso.Message{Response: true}) },
		"an empty PUSH":             func(p *peer) { p.send(dso.Message{TLVs: []dso.TLV{{Type: dso.TypePush}}}) },
		"garbage in a PUSH":         func(p *peer) { p.send(dso.Message{TLVs: []dso.TLV{{Type: dso.TypePush, Data: []byte("garbage")}}}) },
		"SUBSCRIBE":                 func(p *peer) { p.send(dso.Message{TLVs: []dso.TLV{{Type: dso.TypeSubscribe}}}) },
		"a keepalive interval of 0": func(p *peer) { p.send(dso.Message{TLVs: []dso.TLV{dso.Keepalive(0, 0)}}) },
		"an ordinary answer":        func(p *peer) { p.sendRaw(make([]byte, 12)) },
	} {
		t.Run(name, func(t *testing.T) {
			events, err := watch(t, func(p *peer) {
				serve(p)
				for p.next().TLVs != nil { // until the client has gone
				}
			}, func(*peer) {})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, events, "connected", "lost", "connected", "lost")
		})
	}
}

// Requests of later versions are answered and do no harm.
func TestRequestsOfTheServer(t *testing.T) {
	var m dso.Message
	_, err := watch(t, func(p *peer) {
		p.grant(2, dns.RcodeSuccess)
		p.send(dso.Message{ID: 77, TLVs: []dso.TLV{{Type: 0xf000}}})
		m = p.next()
	})
	if err != nil || m.ID != 77 || m.Rcode != 11 {
		t.Errorf("%+v, %v", m, err)
	}
}
