package notify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/zone"
)

// secondary is one secondary with what it has been told. It belongs to the goroutine of run.
type secondary struct {
	owner   *Sender
	target  netip.AddrPort
	board   *board
	world   *registry.World
	zones   []*registry.Zone   // of world, those that name the target
	notices map[string]*notice // by zone
	out     bool               // a NOTIFY failed, and since then there was always one not acknowledged

	conn    net.Conn      // nil while nothing is to be sent
	in      chan response // from all connections
	readers sync.WaitGroup
	trouble error // what the socket said since the last NOTIFY was sent
}

func newSecondary(s *Sender, target netip.AddrPort) *secondary {
	return &secondary{owner: s, target: target, board: s.board(target), notices: map[string]*notice{}, in: make(chan response)}
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
		case <-s.board.wake:
			s.tellOnceMore(s.board.takeBehind())
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
		if last := s.notices[z.Name]; last == nil || last.serial != v.Serial {
			s.notices[z.Name] = newNotice(v, last)
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

func (s *secondary) send(ctx context.Context, zone string, n *notice, now time.Time) {
	n.goesOut(now)
	s.trouble = nil
	wire, err := n.pack(s.owner.key(s.target))
	if err == nil {
		s.board.note(zone, func(p *progress) { p.sent, p.refusal = p.sent.raised(n.serial), nil })
		err = s.dial(ctx)
	}
	if err == nil {
		s.conn.SetWriteDeadline(now.Add(firstWait))
		_, err = s.conn.Write(wire)
	}
	if err != nil {
		s.fail(zone, n, err)
		s.hangUp() // another socket may have another source address
	}
}

// dial opens a socket that hears the target alone, if none is open.
func (s *secondary) dial(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	conn, err := s.owner.dial(ctx, s.target)
	if err != nil {
		return err
	}
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
func (s *secondary) receive(ctx context.Context, conn net.Conn) {
	for buf := make([]byte, dns.DefaultMsgSize); ; {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		r := response{msg: new(dns.Msg), wire: bytes.Clone(buf[:n]), err: err}
		if err == nil {
			r.err = r.msg.Unpack(r.wire)
		}
		select {
		case s.in <- r:
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
		f, ok, err := n.flightOf(zone, r)
		switch {
		case !ok:
		case err == nil && r.msg.Rcode == dns.RcodeSuccess:
			s.board.note(zone, func(p *progress) { p.acked = p.acked.raised(f.serial) })
			if f.serial == n.serial && !n.acked {
				s.acknowledge(zone, n)
			}
		case f.serial == n.serial && n.waiting:
			s.refused(zone, n, cmp.Or(err, errors.New(wordOf(r.msg))))
		}
	}
}

func (s *secondary) acknowledge(zone string, n *notice) {
	wasOut := n.failed
	n.acked, n.waiting, n.failed = true, false, false
	s.owner.acknowledged.Add(1)
	s.board.note(zone, func(p *progress) { p.refusal, p.trouble = nil, nil })
	s.owner.log.Debug().Stringer("target", s.target).Str("zone", zone).Uint32("serial", n.serial).Msg("the secondary acknowledges NOTIFY")
	if s.out && !s.failing() {
		s.out = false
		s.owner.log.Info().Stringer("target", s.target).Msg("the secondary acknowledges NOTIFY again")
	}
	if wasOut {
		s.hurry()
	}
}

// hurry shortens the waits of what else a secondary that is back has to be told.
func (s *secondary) hurry() {
	now := time.Now()
	for _, n := range s.notices {
		if soon := now.Add(spacing); !n.acked && n.due.After(soon) {
			n.due, n.wait = soon, firstWait
		}
	}
}

// refused takes a response that does not acknowledge. The NOTIFY is sent again when it would be without a response.
func (s *secondary) refused(zone string, n *notice, why error) {
	s.board.note(zone, func(p *progress) { p.refusal = why })
	s.fail(zone, n, why)
}

// fail notes that what was sent last has failed. An outage is told once.
func (s *secondary) fail(zone string, n *notice, why error) {
	n.waiting, n.failed = false, true
	s.owner.failed.Add(1)
	s.board.note(zone, func(p *progress) { p.trouble = fmt.Errorf("NOTIFY of %s: %w", zone, why) })
	level := s.owner.log.Debug()
	if !s.out {
		s.out = true
		level = s.owner.log.Warn()
	}
	level.Err(why).Stringer("target", s.target).Str("zone", zone).Uint32("serial", n.serial).
		Msg("the secondary does not acknowledge NOTIFY; it is told again until it does")
}

// tellOnceMore sends NOTIFY again for zones whose serial the secondary has acknowledged and does not have, though it
// had the time to transfer it.
func (s *secondary) tellOnceMore(behind map[string]uint32) {
	now := time.Now()
	for name, serial := range behind {
		n := s.notices[name]
		if n == nil || !n.acked || zone.Newer(serial, n.serial) || now.Sub(n.sent) < n.behind {
			continue
		}
		n.acked, n.due, n.wait = false, now, firstWait
		n.behind = min(2*n.behind, lastWait)
		s.owner.log.Debug().Stringer("target", s.target).Str("zone", name).Uint32("serial", n.serial).
			Msg("the secondary has acknowledged NOTIFY and does not have the serial; it is told once more")
	}
}
