package wrepl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios/wins"
)

// maxAccepted is how many connections one partner may have open; Windows and Samba need two. The oldest goes first,
// for a partner that was cut off leaves connections that nobody closes.
const maxAccepted = 8

// acceptPause is the wait after an error of the listener, such as too many open files.
const acceptPause = 100 * time.Millisecond

// Serve accepts partners' connections until ctx ends, and returns when all of them are closed.
func (r *Replicator) Serve(ctx context.Context, ln net.Listener) error {
	defer r.served.Wait()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			r.noise.Warn().Err(err).Msg("a WINS partner's connection cannot be accepted")
			time.Sleep(acceptPause)
			continue
		}
		r.accept(ctx, conn)
	}
}

// accept turns strangers away before anything is read or kept for them.
func (r *Replicator) accept(ctx context.Context, conn net.Conn) {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	p := r.byAddr[from.Addr().Unmap()]
	if err != nil || p == nil {
		r.turned.Add(1)
		r.noise.Warn().Stringer("source", conn.RemoteAddr()).Msg("a stranger wanted to replicate WINS records; it is no partner, and was turned away")
		conn.Close()
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive)
	}
	a := newAssociation(conn)
	gone := p.accepted(a)
	r.served.Go(func() {
		defer closeWith(ctx, conn)()
		defer gone()
		if err := r.host(ctx, p, a); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
			r.noise.Warn().Str("partner", p.String()).Err(err).Msg("a connection of a WINS partner has ended")
		}
	})
}

func (r *Replicator) host(ctx context.Context, p *partner, a *association) error {
	if err := a.welcome(); err != nil {
		if errors.Is(err, errStart) {
			a.stop(StopRefused)
		}
		return err
	}
	p.heard()
	return r.converse(ctx, p, a, idleTime)
}

// converse answers a partner on a connection that either of both has opened, until that ends or the partner is silent
// for too long.
func (r *Replicator) converse(ctx context.Context, p *partner, a *association, idle time.Duration) error {
	for {
		m, err := a.read(maxQuery, idle)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				a.stop(StopRefused)
			}
			return err
		}
		goesOn, err := r.reply(ctx, p, a, m.Body)
		if err != nil {
			a.stop(StopRefused)
			return fmt.Errorf("%s: %w", m.Body, err)
		}
		if !goesOn {
			return nil
		}
	}
}

// reply deals with one message and reports whether the association goes on.
func (r *Replicator) reply(ctx context.Context, p *partner, a *association, b Body) (goesOn bool, err error) {
	switch b := b.(type) {
	case TableQuery:
		t, _ := r.table(TableReply, r.set.Address)
		return true, a.write(t)
	case *RecordQuery:
		return true, r.give(p, a, b.Owner)
	case *Stop:
		return false, nil
	case *Table:
		switch b.Command {
		case Inform, InformPropagate:
			p.poke(b)
			return true, nil
		case Update, UpdatePropagate:
			return false, r.follow(ctx, p, a, b)
		}
	}
	return false, errUnasked
}

// follow asks for what a partner has announced, on the connection where it did.
func (r *Replicator) follow(ctx context.Context, p *partner, a *association, t *Table) error {
	_, err := p.take(ctx, a, t, t.Command)
	if err == nil {
		a.stop(StopDone)
	}
	return err
}

// give answers with records.
func (r *Replicator) give(p *partner, a *association, q Owner) error {
	owner := q.Addr
	if owner == r.set.Address {
		owner = wins.IPv4{}
	}
	version := r.version() // before the records are looked at, which may be newer
	reply := &RecordReply{}
	high := q.Max
	if high == 0 {
		high = math.MaxUint64
	}
	for rec := range r.store.Records(owner, q.Min, high) {
		wire, err := recordOf(rec, r.set.Address)
		if err != nil {
			r.noise.Warn().Err(err).Msg("a record is not replicated")
			continue
		}
		reply.Records = append(reply.Records, wire)
	}
	if err := a.write(reply); err != nil {
		return err
	}
	version = min(version, high)
	if owner == (wins.IPv4{}) && q.Min <= version {
		p.gave(version)
	}
	return nil
}
