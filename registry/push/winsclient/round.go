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
	// maxOutstanding is the number of requests that the server has to answer at one time. Its receive buffer holds
	// about 160 if nobody made it larger, and there may be another guard.
	maxOutstanding = 64
	// maxNames is the number of names under way, those included for which the server asked for time: it challenges
	// the owners of many at once.
	maxNames = 512
	// A packet is sent so often, and an answer waited for so long after each: lost ones are to cost little, and a
	// server that writes each change to its disk is not to get all again.
	tries   = 10
	timeout = 500 * time.Millisecond
	// patience is what a server may need for a challenge of a few dead owners, 5 + 4 seconds for each as it says, and the rest.
	patience = 15 * time.Second
)

// round is one call of Push or Verify.
type round struct {
	*Driver
	locals []netip.Addr
	slots  chan struct{} // one for each request that is not answered
	heard  atomic.Bool   // the server has answered anything
	giveUp context.CancelCauseFunc
}

// each has the work done for each name of the items, and done called for an item when it is done for all of its own.
func (d *Driver) each(ctx context.Context, items []*push.Item, work func(*round, context.Context, *job) error, done func(*push.Item, []*job)) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	r := &round{Driver: d, locals: d.local(), slots: make(chan struct{}, maxOutstanding), giveUp: giveUp}
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

// talk makes one exchange with the server about an address, if any, when it is its turn.
func (r *round) talk(ctx context.Context, about netip.Addr, exchange func(*nbns.Client) error) error {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	free := sync.OnceFunc(func() { <-r.slots })
	defer free()
	if ctx.Err() != nil { // the select above may have had a choice
		return context.Cause(ctx)
	}
	if !slices.Contains(r.locals, about) {
		about = netip.Addr{}
	}
	conn, err := r.listen(ctx, about)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = exchange(&nbns.Client{Conn: conn, UnicastTries: tries, UnicastTimeout: timeout, Wacked: func() {
		r.heard.Store(true)
		free()
	}})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		r.heard.Store(r.heard.Load() || ctx.Err() == nil)
	} else if !r.heard.Load() {
		// It would not answer about all the other names either.
		r.giveUp(fmt.Errorf("%s does not answer", r.server))
	}
	return err
}

// query asks the server where the name is. That it knows none is no error.
func (r *round) query(ctx context.Context, j *job) error {
	j.found = nil
	return r.talk(ctx, netip.Addr{}, func(c *nbns.Client) error {
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
	err := r.talk(ctx, addr, func(c *nbns.Client) (err error) {
		result, err = c.Claim(ctx, r.server, form(0, j.name, r.ttl, netbios.Address{Flags: j.flags, Addr: addr}))
		return err
	})
	return result, err
}
