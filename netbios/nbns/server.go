package nbns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry"
)

// Server answers for guarded names from the live state of their roles. Set the fields, call Configure,
// then Serve once for each socket; all sockets share the settings, the counters and the limits.
type Server struct {
	// Snapshot returns the state to answer from; it is called once for each batch of packets.
	Snapshot func() *registry.Snapshot
	Log      zerolog.Logger
	Counters Counters

	settings  atomic.Pointer[Settings]
	mu        sync.Mutex
	underWay  map[pendingKey]struct{}
	downUntil map[netip.AddrPort]time.Time // WINS servers that did not answer
}

// Settings may be changed while the server runs.
type Settings struct {
	// Name is the server's own name, upper case, with suffix 00.
	Name netbios.Name
	// StatusFull lists the prefixes whose node status requests are answered with every name served.
	StatusFull []netip.Prefix
	// StatusOff says that others get no node status at all; otherwise they get the own name only,
	// which is smaller than any useful amplification.
	StatusOff bool
	// Forward lists the WINS servers that are asked, in this order, for names that are not guarded.
	Forward []netip.AddrPort
	WINS    WINS
}

// Configure puts settings in force for the packets to come.
func (s *Server) Configure(set Settings) { s.settings.Store(&set) }

// packet is a datagram with what the socket knows of its way here.
type packet struct {
	data      []byte
	from      netip.AddrPort
	broadcast bool
	route     route
	desk      *desk
}

// desk is where the packets of one socket are dealt with: who sends their late answers, and who notes what
// was asked for.
type desk struct {
	late  *lateSink
	now   wins.Stamp      // of the batch in hand
	notes *usage.Recorder // of the tracker that tracks says; nil for none
	of    *usage.Tracker
}

// track takes notes with another tracker from now on.
func (d *desk) track(t *usage.Tracker) {
	if d.of == t {
		return
	}
	if d.notes != nil {
		d.notes.Close()
	}
	d.of, d.notes = t, nil
	if t != nil {
		d.notes = t.Recorder()
	}
	d.late.notes.Store(d.notes)
}

// later is a reply that takes time, with the packet's outcome; it is called in a goroutine of its own.
type later func(ctx context.Context) ([]byte, Outcome)

// Serve answers what arrives on the socket until ctx ends, and waits for what is under way.
func (s *Server) Serve(ctx context.Context, sock *Socket) error {
	stop := context.AfterFunc(ctx, sock.interrupt)
	defer stop()
	// Of this socket alone: others may go on for as long as they like.
	var forwarding sync.WaitGroup
	defer forwarding.Wait()
	d := &desk{late: &lateSink{server: s, out: newOutgoing(sock)}}
	defer d.track(nil)
	for {
		n, err := sock.read()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// Linux reports the ICMP errors of earlier replies here; they are not ours to die of.
			s.Log.Debug().Err(err).Msg("receiving")
			continue
		}
		s.serveBatch(ctx, sock, n, d, &forwarding)
	}
}

func (s *Server) serveBatch(ctx context.Context, sock *Socket, n int, d *desk, forwarding *sync.WaitGroup) {
	snap := s.Snapshot()
	d.track(s.settings.Load().WINS.Usage)
	d.now = now()
	for i := range n {
		p, ok := sock.packet(i)
		if !ok {
			s.Counters[Silent].Add(1)
			continue
		}
		p.desk = d
		reply, more, outcome := s.handle(snap, p, sock.room(i))
		if more != nil {
			send := sock.replier(i)
			forwarding.Go(func() { s.answerLater(ctx, send, more) })
			continue
		}
		s.Counters[outcome].Add(1)
		if len(reply) > 0 {
			sock.queue(i, reply)
		}
	}
	if err := sock.flush(); err != nil {
		s.Log.Debug().Err(err).Msg("sending")
	}
}

func (s *Server) answerLater(ctx context.Context, send func([]byte) error, more later) {
	reply, outcome := more(ctx)
	if len(reply) > 0 && send(reply) != nil {
		outcome = SendFailed
	}
	s.Counters[outcome].Add(1)
}
