package nbns

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nameward/nameward/netbios"
)

var (
	mail   = netbios.MustParseName("MAIL<20>")
	star   = netbios.MustParseName("*")
	server = netip.MustParseAddrPort("192.0.2.2:137")
	bcast  = netip.MustParseAddrPort("192.0.2.255:137")
	node1  = netip.MustParseAddrPort("192.0.2.11:137")
	node2  = netip.MustParseAddrPort("192.0.2.12:137")
	addr1  = netbios.Address{Flags: netbios.HNode, Addr: node1.Addr()}
	addr2  = netbios.Address{Flags: netbios.HNode, Addr: node2.Addr()}

	byValue = cmpopts.EquateComparable(netbios.Name{}, netip.Addr{}, netip.AddrPort{})
)

const second = time.Second

func TestNoAnswer(t *testing.T) {
	query := func(ctx context.Context, c *Client) error { _, err := c.Query(ctx, server, mail); return err }
	status := func(ctx context.Context, c *Client) error { _, err := c.NodeStatus(ctx, server, star); return err }
	broadcast := func(ctx context.Context, c *Client) error { _, err := c.QueryBroadcast(ctx, bcast, mail); return err }
	ms := time.Millisecond
	tests := []struct {
		name   string
		client *Client
		ask    func(context.Context, *Client) error
		sent   []time.Duration
		end    time.Duration
	}{
		{"query", &Client{}, query, []time.Duration{0, 5 * second, 10 * second}, 15 * second},
		{"node status", &Client{}, status, []time.Duration{0, 5 * second, 10 * second}, 15 * second},
		{"broadcast", &Client{}, broadcast, []time.Duration{0, 250 * ms, 500 * ms}, 750 * ms},
		{"other retries", &Client{UnicastTries: 2, UnicastTimeout: second}, query, []time.Duration{0, second}, 2 * second},
		{"soon, and then less often", &Client{UnicastTries: 4, UnicastTimeout: second, UnicastFirst: 400 * ms}, query, []time.Duration{0, 400 * ms, 1200 * ms, 2200 * ms}, 3200 * ms},
		{"other broadcasts", &Client{BroadcastTries: 1, BroadcastTimeout: second}, broadcast, []time.Duration{0}, second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := newFakeConn(t, nil)
				tt.client.Conn = conn
				if err := tt.ask(t.Context(), tt.client); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
				}
				if diff := cmp.Diff(tt.sent, conn.sent); diff != "" {
					t.Errorf("packets sent (-want +got):\n%s", diff)
				}
				if got := time.Since(conn.start); got != tt.end {
					t.Errorf("ended after %v, want %v", got, tt.end)
				}
			})
		})
	}
}

func TestQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newFakeConn(t, func(c *fakeConn, try int, q netbios.Message) {
			if try == 2 {
				c.send(second, server, netbios.NewPositiveQuery(q.ID, mail, 300, addr1, addr2))
			}
		})
		c := &Client{Conn: conn}
		got, err := c.Query(t.Context(), server, mail)
		want := QueryResult{
			Name: mail, Addrs: []netbios.Address{addr1, addr2}, TTL: 300 * second, RTT: 6 * second, From: server,
		}
		if diff := cmp.Diff(want, got, byValue); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if len(conn.sent) != 2 || conn.to[0] != server {
			t.Errorf("sent at %v to %v", conn.sent, conn.to)
		}
	})
}

func TestQueryRefused(t *testing.T) {
	ns := netbios.MustParseName("NS<20>")
	tests := []struct {
		name   string
		answer func(id uint16) netbios.Message
		want   error
	}{
		{
			"negative",
			func(id uint16) netbios.Message { return netbios.NewNegativeQuery(id, netbios.RcodeName, mail) },
			&NegativeError{Name: mail, Rcode: netbios.RcodeName, From: server},
		},
		{
			"redirect",
			func(id uint16) netbios.Message { return netbios.NewRedirect(id, mail, 1, ns, node1.Addr()) },
			&RedirectError{Name: mail, Server: node1.Addr(), From: server},
		},
		{
			"redirect without address",
			func(id uint16) netbios.Message {
				m := netbios.NewRedirect(id, mail, 1, ns, node1.Addr())
				m.Additional = nil
				return m
			},
			&RedirectError{Name: mail, From: server},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{Conn: newFakeConn(t, func(c *fakeConn, _ int, q netbios.Message) {
					c.send(second, server, tt.answer(q.ID))
				})}
				_, err := c.Query(t.Context(), server, mail)
				if diff := cmp.Diff(tt.want, err, byValue); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestIgnored(t *testing.T) {
	good := func(id uint16) netbios.Message { return netbios.NewPositiveQuery(id, mail, 300, addr1) }
	other := netbios.MustParseName("OTHER<20>")
	tests := []struct {
		name string
		send func(c *fakeConn, q netbios.Message)
		want Ignored
	}{
		{"other address", func(c *fakeConn, q netbios.Message) { c.send(0, node2, good(q.ID)) }, Ignored{Source: 1}},
		{"other port", func(c *fakeConn, q netbios.Message) {
			c.send(0, netip.AddrPortFrom(server.Addr(), 1137), good(q.ID))
		}, Ignored{Source: 1}},
		{"other id", func(c *fakeConn, q netbios.Message) { c.send(0, server, good(q.ID+1)) }, Ignored{ID: 1}},
		{"request", func(c *fakeConn, q netbios.Message) { c.send(0, server, q) }, Ignored{Request: 1}},
		{"empty", func(c *fakeConn, _ netbios.Message) { c.sendBytes(0, server, nil) }, Ignored{Malformed: 1}},
		{"cut off", func(c *fakeConn, q netbios.Message) {
			b, _ := good(q.ID).Append(nil)
			c.sendBytes(0, server, b[:len(b)-1])
		}, Ignored{Malformed: 1}},
		{"other name", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewPositiveQuery(q.ID, other, 1, addr1))
		}, Ignored{Mismatch: 1}},
		{"other scope", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewPositiveQuery(q.ID, netbios.MustParseName("MAIL<20>.a"), 1, addr1))
		}, Ignored{Mismatch: 1}},
		{"node status", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewNodeStatusResponse(q.ID, mail, netbios.NodeStatus{}))
		}, Ignored{Mismatch: 1}},
		{"registration response", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewPositiveRegistration(q.ID, mail, 1, addr1))
		}, Ignored{Mismatch: 1}},
		{"no address", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewPositiveQuery(q.ID, mail, 1))
		}, Ignored{Mismatch: 1}},
		{"two answers", func(c *fakeConn, q netbios.Message) {
			m := good(q.ID)
			m.Answers = append(m.Answers, m.Answers[0])
			c.send(0, server, m)
		}, Ignored{Mismatch: 1}},
		{"negative without a record", func(c *fakeConn, q netbios.Message) {
			m := netbios.NewNegativeQuery(q.ID, netbios.RcodeName, mail)
			m.Answers, m.Authority = nil, m.Answers
			c.send(0, server, m)
		}, Ignored{Mismatch: 1}},
		{"WACK without a record", func(c *fakeConn, q netbios.Message) {
			m := netbios.NewWack(q.Header, mail, 9)
			m.Answers, m.Authority = nil, m.Answers
			c.send(0, server, m)
		}, Ignored{Mismatch: 1}},
		{"redirect of another name", func(c *fakeConn, q netbios.Message) {
			c.send(0, server, netbios.NewRedirect(q.ID, other, 1, other, node1.Addr()))
		}, Ignored{Mismatch: 1}},
		{"WACK of another request", func(c *fakeConn, q netbios.Message) {
			h := q.Header
			h.Opcode = netbios.OpRelease
			c.send(0, server, netbios.NewWack(h, mail, 9))
		}, Ignored{Mismatch: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{Conn: newFakeConn(t, func(c *fakeConn, _ int, q netbios.Message) {
					tt.send(c, q)
					c.send(second, server, good(q.ID))
				})}
				got, err := c.Query(t.Context(), server, mail)
				if err != nil || got.RTT != second || got.Addrs[0] != addr1 {
					t.Errorf("got %+v, %v", got, err)
				}
				if got := c.Ignored(); got != tt.want {
					t.Errorf("ignored %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

func TestQueryBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newFakeConn(t, func(c *fakeConn, try int, q netbios.Message) {
			if q.Flags&netbios.FlagBroadcast == 0 {
				t.Error("B flag is not set")
			}
			if try != 2 {
				return
			}
			ms := time.Millisecond
			c.send(10*ms, node1, netbios.NewNegativeQuery(q.ID, netbios.RcodeName, mail))
			c.send(20*ms, node1, netbios.NewPositiveQuery(q.ID, mail, 0, addr1))
			c.send(21*ms, node1, netbios.NewPositiveQuery(q.ID, mail, 0, addr1))
			c.send(30*ms, node2, netbios.NewPositiveQuery(q.ID, mail, 0, addr2))
		})
		c := &Client{Conn: conn}
		got, err := c.QueryBroadcast(t.Context(), bcast, mail)
		want := []QueryResult{
			{Name: mail, Addrs: []netbios.Address{addr1}, RTT: 270 * time.Millisecond, From: node1},
			{Name: mail, Addrs: []netbios.Address{addr2}, RTT: 280 * time.Millisecond, From: node2},
		}
		if diff := cmp.Diff(want, got, byValue); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if end := time.Since(conn.start); end != 500*time.Millisecond || len(conn.sent) != 2 {
			t.Errorf("ended after %v and %d packets", end, len(conn.sent))
		}
		if c.Ignored() != (Ignored{Mismatch: 1}) {
			t.Errorf("ignored %+v", c.Ignored())
		}
	})
}

func TestNodeStatus(t *testing.T) {
	status := netbios.NodeStatus{
		Names:      []netbios.NodeName{{Name: mail, Flags: netbios.Active}},
		Statistics: netbios.NewStatistics([6]byte{2, 0, 0x5e, 0, 0x53, 1}),
	}
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Conn: newFakeConn(t, func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewNodeStatusResponse(q.ID, star, status))
		})}
		got, err := c.NodeStatus(t.Context(), server, star)
		want := StatusResult{Name: star, Status: status, RTT: second, From: server}
		if diff := cmp.Diff(want, got, byValue); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newFakeConn(t, func(c *fakeConn, try int, q netbios.Message) {
			if try == 2 { // the first of the second query
				c.send(second, server, netbios.NewPositiveQuery(q.ID, mail, 1, addr1))
			}
		})
		c := &Client{Conn: conn}
		ctx, cancel := context.WithTimeout(t.Context(), 3*second)
		defer cancel()
		if _, err := c.Query(ctx, server, mail); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
		if got := time.Since(conn.start); got != 3*second {
			t.Errorf("ended after %v", got)
		}
		if _, err := c.Query(t.Context(), server, mail); err != nil {
			t.Errorf("the connection does not serve for the next query: %v", err)
		}
		if _, err := c.Query(ctx, server, mail); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("query in a context that has ended: %v", err)
		}
	})
}

func TestQueryBadName(t *testing.T) {
	if _, err := (&Client{}).Query(t.Context(), server, netbios.Name{}); err == nil {
		t.Error("the zero Name is asked for")
	}
}

func TestOneRequestAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Conn: newFakeConn(t, func(c *fakeConn, _ int, q netbios.Message) {
			c.send(second, server, netbios.NewPositiveQuery(q.ID, q.Questions[0].Name, 1, addr1))
		})}
		conn := c.Conn.(*fakeConn)
		errs := make(chan error)
		for suffix := range 4 {
			go func() {
				_, err := c.Query(t.Context(), server, mail.WithSuffix(byte(suffix)))
				errs <- err
			}()
		}
		for range 4 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if got := time.Since(conn.start); got != 4*second {
			t.Errorf("ended after %v, want one second for each", got)
		}
		if got := c.Ignored(); got != (Ignored{}) {
			t.Errorf("answers went astray: %+v", got)
		}
	})
}

func TestContextEndsBeforeTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Conn: newFakeConn(t, nil)}
		first := make(chan error)
		go func() {
			_, err := c.Query(t.Context(), server, mail)
			first <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), second)
		defer cancel()
		begin := time.Now()
		_, err := c.Query(ctx, server, mail)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		<-first
	})
}
