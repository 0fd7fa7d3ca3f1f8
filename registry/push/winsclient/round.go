package winsclient

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry/push"
)

const (
	// maxNames is the number of names under way, those included for which the server asked for time: it challenges
	// the owners of many at once.
	maxNames = 512
	// After the first packet an answer is waited for a little longer than the server should need, and then twice as long,
	// up to timeout: a lost one costs little, and a slow server does not get all many times. It is dead when it does
	// not answer for about as long as giveUpAfter.
	timeout     = 600 * time.Millisecond
	giveUpAfter = 5 * time.Second
	// patience is what a server may need for a challenge of a few dead owners, 5 + 4 seconds for each as it says, and the rest.
	patience = 15 * time.Second
)

// round is one call of Push or Verify.
type round struct {
	*Driver
	locals []netip.Addr
	heard  atomic.Bool // the server has answered anything
	giveUp context.CancelCauseFunc
}

// each has the work done for each name of the items, and done called for an item when it is done for all of its own.
func (d *Driver) each(ctx context.Context, items []*push.Item, work func(*round, context.Context, *job) error, done func(*push.Item, []*job)) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	r := &round{Driver: d, locals: d.local(), giveUp: giveUp}
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, maxNames)
	for _, it := range items {
		jobs := d.jobs(it)
		var left atomic.Int64
		left.Store(int64(len(jobs)))
		for _, j := range jobs {
			room <- struct{}{}
			wg.Go(func() {
				defer func() { <-room }()
				if j.err = work(r, ctx, j); left.Add(-1) == 0 {
					done(it, jobs)
				}
			})
		}
	}
}

// talk makes one exchange with the server about an address, if any, when it is its turn. told says that the server may
// have to write something down for it.
func (r *round) talk(ctx context.Context, about netip.Addr, told bool, exchange func(*nbns.Client) error) error {
	if err := r.window.take(ctx); err != nil {
		return err
	}
	begin, answered := time.Now(), false
	free := sync.OnceFunc(func() { r.window.give(time.Since(begin), answered) })
	defer free()
	if !slices.Contains(r.locals, about) {
		about = netip.Addr{}
	}
	conn, err := r.listen(ctx, about)
	if err != nil {
		return err
	}
	defer conn.Close()
	first := r.window.expected(told)
	last := max(timeout, first)
	err = exchange(&nbns.Client{Conn: conn, UnicastTries: int(giveUpAfter / last), UnicastTimeout: last, UnicastFirst: first, Wacked: func() {
		answered = true
		r.heard.Store(true)
		free()
	}})
	switch silent := errors.Is(err, os.ErrDeadlineExceeded); {
	case !silent && ctx.Err() == nil:
		answered = true
		r.heard.Store(true)
	case silent && !r.heard.Load():
		// It would not answer about all the other names either.
		r.giveUp(fmt.Errorf("%s does not answer", r.server))
	}
	return err
}

// query asks the server where the name is. That it knows none is no error.
func (r *round) query(ctx context.Context, j *job) error {
	j.found = nil
	return r.talk(ctx, netip.Addr{}, false, func(c *nbns.Client) error {
		got, err := c.Query(ctx, r.server, j.name)
		var negative *nbns.NegativeError
		if errors.As(err, &negative) && negative.Rcode == netbios.RcodeName {
			return nil
		}
		for _, a := range got.Addrs {
			j.found = append(j.found, a.Addr)
		}
		return err
	})
}

// claim sends a registration, refresh or release of the job's name, with one address: servers drop a packet with more,
// or take the first.
func (r *round) claim(ctx context.Context, j *job, addr netip.Addr, form func(uint16, netbios.Name, uint32, ...netbios.Address) netbios.Message) (nbns.ClaimResult, error) {
	var result nbns.ClaimResult
	err := r.talk(ctx, addr, true, func(c *nbns.Client) (err error) {
		result, err = c.Claim(ctx, r.server, form(0, j.name, r.ttl, netbios.Address{Flags: j.flags, Addr: addr}))
		if err == nil && !result.Wacked {
			r.window.wrote(result.RTT)
		}
		return err
	})
	return result, err
}
