package nbns

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
)

// frontWait is how long a server behind may think before the node is told to wait: nodes ask again after
// 1.5 s.
const frontWait = 700 * time.Millisecond

// frontWack is for how long the node then waits, in seconds: a challenge of five addresses, and some.
const frontWack = 30

// front passes a claim on to the servers behind, and their word to the database, which answers. What is
// not to be published is never passed on, and for a role's name the state of the role is the word.
func (s *Server) front(set *Settings, r *claimed, v *wins.Verdict) ([]byte, later, Outcome) {
	if v.Guarded || v.Local || v.Action != wins.Publish {
		r.Upstream = wins.SendToo
		return s.submit(set, r, nil)
	}
	key, servers, begun := pendingKey{r.Source, r.ID}, s.answering(set.Forward), Shed
	if len(servers) > 0 {
		begun = s.begin(key)
	}
	switch begun {
	case Silent:
		return nil, nil, Silent
	case Shed:
		r.Upstream = wins.Unreachable
		return s.submit(set, r, nil)
	}
	return nil, func(ctx context.Context) ([]byte, Outcome) {
		defer s.forget(key)
		slow := time.AfterFunc(frontWait, func() { r.To.(*lateSink).wack(r, frontWack) })
		s.pass(ctx, servers, r, r.message(v.Addrs))
		r.Waits = !slow.Stop()
		set.WINS.DB.Judge(&r.Request) // it has taken a while
		reply, _, outcome := s.submit(set, r, nil)
		return reply, outcome
	}, Registered
}

// pass tells the first server that answers, and notes its word in the request.
func (s *Server) pass(ctx context.Context, servers []netip.AddrPort, r *claimed, m netbios.Message) {
	client := Client{UnicastTries: forwardTries, UnicastTimeout: forwardTimeout}
	r.Upstream = wins.Unreachable
	for _, server := range servers {
		result, err := client.Claim(ctx, server, m)
		var negative *NegativeError
		if ctx.Err() == nil {
			s.answered(server, !errors.Is(err, os.ErrDeadlineExceeded))
		}
		switch {
		case err == nil:
			r.Upstream, r.UpstreamTTL = wins.Accepted, uint32(result.TTL/time.Second)
			return
		case errors.As(err, &negative):
			r.Upstream, r.UpstreamRcode = wins.Denied, negative.Rcode
			return
		}
		s.Log.Debug().Err(err).Stringer("server", server).Msg("passing on to the WINS server")
	}
}

// message is the claim with other addresses.
func (r *claimed) message(addrs []netbios.Address) netbios.Message {
	m := claimMessage(r.Op, r.Name, r.TTL, addrs...)
	m.Opcode, m.Flags = r.header.Opcode, r.header.Flags
	return m
}

func claimMessage(op wins.Op, name netbios.Name, ttl uint32, addrs ...netbios.Address) netbios.Message {
	switch op {
	case wins.Release:
		return netbios.NewRelease(0, name, addrs...)
	case wins.Refresh:
		return netbios.NewRefresh(0, name, ttl, addrs...)
	case wins.RegisterMultihomed:
		return netbios.NewMultihomed(0, name, ttl, addrs...)
	}
	return netbios.NewRegistration(0, name, ttl, addrs...)
}

const (
	outboxBatch = 256
	outboxRetry = time.Second
	// outboxSlow bounds the wait between two tries while no server behind answers, and so how late it learns
	// when it is back.
	outboxSlow = 10 * time.Second
)

// ServeOutbox tells the servers behind what they could not be told when it was asked for. It returns when
// ctx ends.
func (s *Server) ServeOutbox(ctx context.Context, db *wins.Database) error {
	wait := outboxRetry
	for ctx.Err() == nil {
		told, left := s.tell(ctx, db)
		wake := db.OutboxWake()
		switch {
		case told > 0 && left > 0:
			wait = outboxRetry
			continue // with the next of them
		case told > 0:
			wait = outboxRetry
		case left > 0:
			wait, wake = min(2*wait, outboxSlow), nil // nobody listens: more to tell is no reason to try
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-wake:
		}
	}
	return nil
}

// tell sends what waits, one after the other, until nobody answers. It returns how many were answered and
// how many are left.
func (s *Server) tell(ctx context.Context, db *wins.Database) (told, left int) {
	set := s.settings.Load()
	outs, waiting := db.Outbox(outboxBatch)
	if len(set.Forward) == 0 || len(outs) == 0 {
		return 0, 0
	}
	var answered []wins.Out
	for _, o := range outs {
		r := &claimed{Request: wins.Request{Op: o.Op, Name: o.Name, TTL: o.TTL}}
		own := netbios.Address{Flags: o.Flags, Addr: o.Addr.Addr()}
		if s.pass(ctx, set.Forward, r, claimMessage(o.Op, o.Name, o.TTL, own)); r.Upstream == wins.Unreachable {
			break
		}
		answered = append(answered, o)
		if r.Upstream == wins.Denied {
			db.Note(wins.Held{
				Name: o.Name, What: wins.What(o.Op), Fate: wins.IsRefused, Source: o.Addr.Addr(), Reason: wins.ReasonUpstream,
				Rule: r.UpstreamRcode.String(), Claimed: []netbios.Address{own},
			})
		}
	}
	if len(answered) > 0 && db.Told(ctx, answered) != nil {
		return 0, waiting
	}
	return len(answered), waiting - len(answered)
}
