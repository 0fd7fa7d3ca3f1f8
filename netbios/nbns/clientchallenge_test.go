package nbns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/netbios"
)

var (
	owner1, owner2 = node1.Addr(), node2.Addr()
	owners         = []netip.Addr{owner1, owner2}
	claimant       = netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("192.0.2.21")}
	errNoRoute     = errors.New("no route")
)

// confirms is a node's answer, without RA.
func confirms(id uint16, addrs ...netbios.Address) netbios.Message {
	m := netbios.NewPositiveQuery(id, mail, 0, addrs...)
	m.Flags &^= netbios.FlagRecursionAvailable
	return m
}

func denies(id uint16) netbios.Message { return netbios.NewNegativeQuery(id, netbios.RcodeName, mail) }

// lastTo is where the packet goes that the script is called for.
func (c *fakeConn) lastTo() netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to[len(c.to)-1]
}

// wait is the time between two tries.
const wait = DefaultChallengeTimeout

func TestChallenge(t *testing.T) {
	silent1, silent2 := OwnerAnswer{Owner: owner1}, OwnerAnswer{Owner: owner2}
	confirmed := OwnerAnswer{Owner: owner1, Stance: OwnerConfirms, Addrs: []netbios.Address{addr1}, RTT: second / 2}
	denied1 := OwnerAnswer{Owner: owner1, Stance: OwnerDenies, Rcode: netbios.RcodeName, RTT: second / 2}
	denied2 := OwnerAnswer{Owner: owner2, Stance: OwnerDenies, Rcode: netbios.RcodeName, RTT: second / 2}
	// from answers the packets to one owner.
	from := func(who netip.AddrPort, answer func(id uint16) netbios.Message) func(*fakeConn, int, netbios.Message) {
		return func(c *fakeConn, _ int, q netbios.Message) {
			if c.lastTo() == who {
				c.send(second/2, who, answer(q.ID))
			}
		}
	}
	own := func(id uint16) netbios.Message { return confirms(id, addr1) }
	both := func(id uint16) netbios.Message { return confirms(id, addr1, claimant) }
	tests := []struct {
		name   string
		script func(c *fakeConn, try int, q netbios.Message)
		want   []OwnerAnswer
		sent   []time.Duration
		end    time.Duration
	}{
		{"all silent", nil, []OwnerAnswer{silent1, silent2},
			[]time.Duration{0, 0, wait, wait, 2 * wait, 2 * wait}, 3 * wait},
		{"the first confirms", from(node1, own), []OwnerAnswer{confirmed, silent2}, []time.Duration{0, 0}, second / 2},
		{"it lists the claimant", from(node1, both), []OwnerAnswer{
			{Owner: owner1, Stance: OwnerConfirms, Addrs: []netbios.Address{addr1, claimant}, RTT: second / 2}, silent2,
		}, []time.Duration{0, 0}, second / 2},
		{"one denies", from(node1, denies), []OwnerAnswer{denied1, silent2},
			[]time.Duration{0, 0, wait, 2 * wait}, 3 * wait},
		{"both deny", func(c *fakeConn, _ int, q netbios.Message) { c.send(second/2, c.lastTo(), denies(q.ID)) },
			[]OwnerAnswer{denied1, denied2}, []time.Duration{0, 0}, second / 2},
		{"one denies, then the other confirms", func(c *fakeConn, try int, q netbios.Message) {
			if c.lastTo() == node2 {
				c.send(second/2, node2, denies(q.ID))
			} else if try > 2 {
				c.send(second/2, node1, own(q.ID))
			}
		}, []OwnerAnswer{{Owner: owner1, Stance: OwnerConfirms, Addrs: confirmed.Addrs, RTT: wait + second/2}, denied2},
			[]time.Duration{0, 0, wait}, wait + second/2},
		{"a late answer to the first packet", func(c *fakeConn, try int, q netbios.Message) {
			if try == 1 {
				c.send(2800*time.Millisecond, node1, own(q.ID))
			}
		}, []OwnerAnswer{{Owner: owner1, Stance: OwnerConfirms, Addrs: confirmed.Addrs, RTT: 2800 * time.Millisecond}, silent2},
			[]time.Duration{0, 0, wait, wait, 2 * wait, 2 * wait}, 2800 * time.Millisecond},
		{"too late an answer", func(c *fakeConn, try int, q netbios.Message) {
			if try == 1 {
				c.send(3*wait+1, node1, own(q.ID))
			}
		}, []OwnerAnswer{silent1, silent2}, []time.Duration{0, 0, wait, wait, 2 * wait, 2 * wait}, 3 * wait},
		{"denies first and confirms afterwards", func(c *fakeConn, try int, q netbios.Message) {
			if c.lastTo() == node1 {
				c.send(second/2, node1, denies(q.ID))
				c.send(second, node1, own(q.ID))
			}
		}, []OwnerAnswer{denied1, silent2}, []time.Duration{0, 0, wait, 2 * wait}, 3 * wait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := newFakeConn(t, tt.script)
				c := &Client{Conn: conn}
				got, err := c.Challenge(t.Context(), mail, owners)
				if diff := cmp.Diff(tt.want, got, byValue); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
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

// TestChallengePackets looks at what is asked: nobody's database, and each address with its own id.
func TestChallengePackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := map[netip.AddrPort]map[uint16]bool{}
		conn := newFakeConn(t, func(c *fakeConn, _ int, q netbios.Message) {
			if q.Form() != netbios.FormQuery || q.Flags != 0 || q.Questions[0].Name != mail {
				t.Errorf("asked %+v", q)
			}
			if ids[c.lastTo()] == nil {
				ids[c.lastTo()] = map[uint16]bool{}
			}
			ids[c.lastTo()][q.ID] = true
		})
		c := &Client{Conn: conn, ChallengeTries: 2, ChallengeTimeout: 4 * second, ChallengePort: 1137}
		mapped := netip.AddrFrom16(owner1.As16())
		many := []netip.Addr{owner1, mapped, owner2, owner1}
		for i := range 8 {
			many = append(many, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		}
		got, err := c.Challenge(t.Context(), mail, many)
		if err != nil || len(got) != 10 || got[0].Owner != owner1 || got[1].Owner != owner2 {
			t.Errorf("an address given several times: %+v, %v", got, err)
		}
		if end := time.Since(conn.start); end != 8*second || len(conn.sent) != 20 {
			t.Errorf("%d packets in %v", len(conn.sent), end)
		}
		all := map[uint16]bool{}
		for to, of := range ids {
			if to.Port() != 1137 || len(of) != 1 {
				t.Errorf("%v asked with ids %v", to, of)
			}
			for id := range of {
				all[id] = true
			}
		}
		if len(all) < 8 { // of ten; chance may make some equal
			t.Errorf("ids %v", ids)
		}
	})
}

// TestChallengeForged has answers that must not count; each would settle the challenge.
func TestChallengeForged(t *testing.T) {
	tests := []struct {
		name string
		send func(c *fakeConn, q netbios.Message, ids map[netip.AddrPort]uint16)
		want Ignored
	}{
		{"stranger", func(c *fakeConn, q netbios.Message, _ map[netip.AddrPort]uint16) {
			c.send(0, server, confirms(q.ID, addr1))
		}, Ignored{Source: 1}},
		{"other port", func(c *fakeConn, q netbios.Message, _ map[netip.AddrPort]uint16) {
			c.send(0, netip.AddrPortFrom(owner1, 1137), confirms(q.ID, addr1))
		}, Ignored{Source: 1}},
		{"other id", func(c *fakeConn, q netbios.Message, ids map[netip.AddrPort]uint16) {
			c.send(0, node1, confirms(ids[node1]^0x5555, addr1))
		}, Ignored{ID: 1}},
		{"one owner with the id of the other", func(c *fakeConn, q netbios.Message, ids map[netip.AddrPort]uint16) {
			if ids[node1] != ids[node2] {
				c.send(0, node1, confirms(ids[node2], addr1))
			} else {
				c.send(0, node1, confirms(ids[node1]+1, addr1))
			}
		}, Ignored{ID: 1}},
		{"request", func(c *fakeConn, q netbios.Message, ids map[netip.AddrPort]uint16) { c.send(0, node2, q) }, Ignored{Request: 1}},
		{"empty", func(c *fakeConn, _ netbios.Message, _ map[netip.AddrPort]uint16) { c.sendBytes(0, node1, nil) }, Ignored{Malformed: 1}},
		{"other name", func(c *fakeConn, q netbios.Message, ids map[netip.AddrPort]uint16) {
			c.send(0, node2, netbios.NewPositiveQuery(ids[node2], star, 0, addr2))
		}, Ignored{Mismatch: 1}},
		{"no address", func(c *fakeConn, q netbios.Message, ids map[netip.AddrPort]uint16) {
			c.send(0, node2, confirms(ids[node2]))
		}, Ignored{Mismatch: 1}},
		{"redirect", func(c *fakeConn, q netbios.Message, ids map[netip.AddrPort]uint16) {
			c.send(0, node2, netbios.NewRedirect(ids[node2], mail, 1, mail, owner1))
		}, Ignored{Mismatch: 1}},
		{"WACKs", func(c *fakeConn, q netbios.Message, _ map[netip.AddrPort]uint16) {
			c.send(0, node2, netbios.NewWack(q.Header, mail, 60))
			c.send(0, node2, netbios.NewWack(q.Header, mail, 60))
		}, Ignored{Mismatch: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ids := map[netip.AddrPort]uint16{}
				conn := newFakeConn(t, func(c *fakeConn, try int, q netbios.Message) {
					if ids[c.lastTo()] = q.ID; try == 2 {
						tt.send(c, q, ids)
					}
				})
				c := &Client{Conn: conn}
				got, err := c.Challenge(t.Context(), mail, owners)
				if diff := cmp.Diff([]OwnerAnswer{{Owner: owner1}, {Owner: owner2}}, got, byValue); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				if got := time.Since(conn.start); got != 3*wait {
					t.Errorf("ended after %v", got)
				}
				if got := c.Ignored(); got != tt.want {
					t.Errorf("ignored %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

func TestChallengeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Conn: newFakeConn(t, nil)}
		conn := c.Conn.(*fakeConn)
		if got, err := c.Challenge(t.Context(), mail, nil); len(got) != 0 || err != nil {
			t.Errorf("nobody: %v, %v", got, err)
		}
		if got, err := c.Challenge(t.Context(), mail, make([]netip.Addr, maxOwners+1)); len(got) != 0 || err == nil {
			t.Errorf("too many: %v, %v", got, err)
		}
		if got, err := c.Challenge(t.Context(), netbios.Name{}, owners); len(got) != 0 || err == nil {
			t.Errorf("no name: %v, %v", got, err)
		}
		if len(conn.sent) != 0 || time.Since(conn.start) != 0 {
			t.Errorf("%d packets in %v", len(conn.sent), time.Since(conn.start))
		}
	})
}

func TestChallengeContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newFakeConn(t, func(c *fakeConn, _ int, q netbios.Message) {
			if c.lastTo() == node1 {
				c.send(second/2, node1, denies(q.ID))
			}
		})
		c := &Client{Conn: conn}
		ctx, cancel := context.WithTimeout(t.Context(), 3*second/2)
		defer cancel()
		got, err := c.Challenge(ctx, mail, owners)
		if !errors.Is(err, context.DeadlineExceeded) || got != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if end := time.Since(conn.start); end != 3*second/2 {
			t.Errorf("ended after %v", end)
		}
	})
}

// deafConn cannot send to one address, some of the time.
type deafConn struct {
	*fakeConn
	to    netip.AddrPort
	fails int
	err   error
}

func (c *deafConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if addrPort(to) == c.to && c.fails > 0 {
		c.fails--
		return 0, c.err
	}
	return c.fakeConn.WriteTo(b, to)
}

func TestChallengeUnreachable(t *testing.T) {
	other := func(c *fakeConn, try int, q netbios.Message) {
		if try == 3 { // the first of the third round
			c.send(second/2, c.lastTo(), denies(q.ID))
		}
	}
	tests := []struct {
		name  string
		fails int
		err   error
		want  []OwnerAnswer
		fail  error
	}{
		{"always", 3, errNoRoute, []OwnerAnswer{
			{Owner: owner1, Err: errNoRoute},
			{Owner: owner2, Stance: OwnerDenies, Rcode: netbios.RcodeName, RTT: 2*wait + second/2},
		}, nil},
		{"at first", 2, errNoRoute, []OwnerAnswer{
			{Owner: owner1, Stance: OwnerDenies, Rcode: netbios.RcodeName, RTT: 2*wait + second/2}, {Owner: owner2},
		}, nil},
		{"socket closed", 1, net.ErrClosed, nil, net.ErrClosed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := newFakeConn(t, other)
				c := &Client{Conn: &deafConn{conn, node1, tt.fails, tt.err}}
				got, err := c.Challenge(t.Context(), mail, owners)
				if !errors.Is(err, tt.fail) {
					t.Fatalf("got error %v, want %v", err, tt.fail)
				}
				same := cmp.Comparer(func(a, b error) bool { return a == b })
				if diff := cmp.Diff(tt.want, got, byValue, same); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestChallengeOnLoopback has an owner that answers, and one whose port is closed.
func TestChallengeOnLoopback(t *testing.T) {
	at := serve(t, func(q netbios.Message) netbios.Message { return confirms(q.ID, addr1) })
	c := &Client{ChallengePort: at.Port(), ChallengeTimeout: 100 * time.Millisecond}
	got, err := c.Challenge(t.Context(), mail, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil || len(got) != 1 || got[0].Stance != OwnerConfirms || got[0].Addrs[0] != addr1 || got[0].RTT <= 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	closed, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = &Client{ChallengePort: addrPort(closed.LocalAddr()).Port(), ChallengeTimeout: 100 * time.Millisecond}
	closed.Close()
	begin := time.Now()
	got, err = c.Challenge(t.Context(), mail, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil || len(got) != 1 || got[0].Stance != OwnerSilent || got[0].Err != nil {
		t.Errorf("closed port: %+v, %v", got, err)
	}
	if took := time.Since(begin); took < 300*time.Millisecond {
		t.Errorf("closed port: gave up after %v", took)
	}
}

func TestChallengeCancelledOnLoopback(t *testing.T) {
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	c := &Client{ChallengePort: addrPort(silent.LocalAddr()).Port(), ChallengeTimeout: time.Minute}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begin := time.Now()
	_, err = c.Challenge(ctx, mail, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if !errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

func TestStanceString(t *testing.T) {
	for s, want := range map[Stance]string{OwnerSilent: "silent", OwnerDenies: "denies", OwnerConfirms: "confirms"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %q, want %q", s, got, want)
		}
	}
}
