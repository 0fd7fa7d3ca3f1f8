package nameward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// secondary is one target of NOTIFYs with what it has been told. It belongs to the goroutine of run.
type secondary struct {
	owner   *notifier
	target  netip.AddrPort
	world   *registry.World
	zones   []*registry.Zone   // of world, those that name the target
	notices map[string]*notice // by zone
	out     bool               // a NOTIFY failed, and since then there was always one not acknowledged

	conn    *dns.Conn     // nil while nothing is to be sent
	in      chan response // from all connections
	readers sync.WaitGroup
	trouble error // what the socket said since the last NOTIFY was sent
}

// notice is a NOTIFY for the newest serial of a zone.
type notice struct {
	msg     *dns.Msg
	serial  uint32
	sent    time.Time // last
	due     time.Time // when to send it, or send it again
	wait    time.Duration
	waiting bool // for the response to what was sent last
	failed  bool // at least once since the zone's last acknowledgement
	acked   bool
}

type response struct {
	msg *dns.Msg
	err error
}

// Waits for a response until a NOTIFY is sent again. RFC 1996, Section 3.6, leaves them to us: a packet
// that was lost in a failover must not cost much, and a target that is dead for long is asked gently.
const (
	firstWait = 250 * time.Millisecond
	lastWait  = 30 * time.Second
)

// spacing is the least time between NOTIFYs of new serials of a zone: a burst of changes is told as one.
const spacing = 50 * time.Millisecond

var errSilent = errors.New("no response")

func newSecondary(n *notifier, target netip.AddrPort) *secondary {
	return &secondary{owner: n, target: target, notices: map[string]*notice{}, in: make(chan response)}
}

// run follows the state by level until ctx ends: what is sent is always the newest serial.
func (s *secondary) run(ctx context.Context) {
	defer s.readers.Wait()
	defer s.hangUp()
	for {
		superseded := s.owner.zones.Superseded()
		s.follow(s.owner.zones)
		var again <-chan time.Time
		if next := s.sendDue(ctx); next.IsZero() {
			s.hangUp()
		} else {
			again = time.After(time.Until(next))
		}
		select {
		case <-superseded:
		case r := <-s.in:
			s.take(r)
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// follow makes a notice for each zone whose serial moved.
func (s *secondary) follow(zones *zone.DB) {
	if w := zones.State().World; w != s.world {
		s.chooseZones(w)
	}
	for _, z := range s.zones {
		v := zones.View(z.Name)
		if v == nil {
			continue // another configuration is coming into force
		}
		serial := v.Serial
		last := s.notices[z.Name]
		if last == nil {
			last = new(notice)
		} else if last.serial == serial {
			continue
		}
		m := new(dns.Msg).SetNotify(z.Name)
		m.Answer = []dns.RR{v.SOA()} // RFC 1996, Section 3.7
		s.notices[z.Name] = &notice{
			msg: m, serial: serial, sent: last.sent, due: last.sent.Add(spacing), wait: firstWait, failed: last.failed,
		}
	}
}

func (s *secondary) chooseZones(w *registry.World) {
	s.world, s.zones = w, nil
	known := s.notices
	s.notices = make(map[string]*notice, len(known))
	for _, z := range w.Zones {
		if !slices.Contains(z.Notify, s.target) {
			continue
		}
		s.zones = append(s.zones, z)
		if n := known[z.Name]; n != nil {
			s.notices[z.Name] = n
		}
	}
	s.out = s.out && s.failing()
}

func (s *secondary) failing() bool {
	for _, n := range s.notices {
		if n.failed {
			return true
		}
	}
	return false
}

// sendDue sends what is due and returns when the next one will be, zero if all is acknowledged.
func (s *secondary) sendDue(ctx context.Context) (next time.Time) {
	now := time.Now()
	for zone, n := range s.notices {
		if n.acked {
			continue
		}
		if !now.Before(n.due) {
			if n.waiting {
				s.fail(zone, n, cmp.Or(s.trouble, errSilent))
			}
			s.send(ctx, zone, n, now)
		}
		if next.IsZero() || n.due.Before(next) {
			next = n.due
		}
	}
	return next
}

// send sends a notice. The id stays: a late response to what was sent before is one to this serial too.
func (s *secondary) send(ctx context.Context, zone string, n *notice, now time.Time) {
	n.goesOut(now)
	s.trouble = nil
	err := s.dial(ctx)
	if err == nil {
		s.conn.SetWriteDeadline(now.Add(firstWait))
		err = s.conn.WriteMsg(n.msg)
	}
	if err != nil {
		s.fail(zone, n, err)
		s.hangUp() // another socket may have another source address
	}
}

// goesOut notes that the notice is sent now, and when it will be again. The jitter keeps guards that
// started together from asking together.
func (n *notice) goesOut(now time.Time) {
	n.sent, n.due, n.waiting = now, now.Add(n.wait-rand.N(n.wait/4)), true
	n.wait = min(2*n.wait, lastWait)
}

// dial opens a socket that hears the target alone, if none is open.
func (s *secondary) dial(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	c, err := new(net.Dialer).DialContext(ctx, "udp", s.target.String())
	if err != nil {
		return err
	}
	conn := &dns.Conn{Conn: c, UDPSize: dns.DefaultMsgSize}
	s.conn = conn
	s.readers.Go(func() { s.receive(ctx, conn) })
	return nil
}

func (s *secondary) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// receive hands over what comes in until the connection is closed.
func (s *secondary) receive(ctx context.Context, conn *dns.Conn) {
	for {
		m, err := conn.ReadMsg()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case s.in <- response{m, err}:
		case <-ctx.Done():
			return
		}
	}
}

// take judges a response: RFC 1996, Sections 3.12 and 4.7. One that is to nothing we asked is passed over.
func (s *secondary) take(r response) {
	if r.err != nil {
		s.trouble = r.err // the retry will tell whether it matters
		return
	}
	for zone, n := range s.notices {
		switch {
		case n.acked || !n.answeredBy(zone, r.msg):
		case r.msg.Rcode == dns.RcodeSuccess:
			s.acknowledge(zone, n)
		case n.waiting:
			s.fail(zone, n, fmt.Errorf("the response is %s", dns.RcodeToString[r.msg.Rcode]))
		}
	}
}

func (n *notice) answeredBy(zone string, m *dns.Msg) bool {
	return m.Response && m.Opcode == dns.OpcodeNotify && m.Id == n.msg.Id &&
		(len(m.Question) == 0 || strings.EqualFold(m.Question[0].Name, zone))
}

func (s *secondary) acknowledge(zone string, n *notice) {
	n.acked, n.waiting, n.failed = true, false, false
	s.owner.counts.acknowledged.Add(1)
	s.owner.log.Debug().Stringer("target", s.target).Str("zone", zone).Uint32("serial", n.serial).Msg("the secondary acknowledges NOTIFY")
	if s.out && !s.failing() {
		s.out = false
		s.owner.log.Info().Stringer("target", s.target).Msg("the secondary acknowledges NOTIFY again")
	}
}

// fail notes that what was sent last has failed. An outage is told once.
func (s *secondary) fail(zone string, n *notice, why error) {
	n.waiting, n.failed = false, true
	s.owner.counts.failed.Add(1)
	level := s.owner.log.Debug()
	if !s.out {
		s.out = true
		level = s.owner.log.Warn()
	}
	level.Err(why).Stringer("target", s.target).Str("zone", zone).Uint32("serial", n.serial).
		Msg("the secondary does not acknowledge NOTIFY; it is told again until it does")
}
