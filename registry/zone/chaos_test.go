package zone

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal/journaltest"
)

// chaos is a lab on a bad disk, with what its clients know.
type chaos struct {
	pulling sync.Mutex // of the secondary
	*lab
	disk *journaltest.BadDisk

	mu    sync.Mutex
	rnd   *rand.Rand
	known map[string]*word // by name, each of one client
	dead  bool             // the kill was: what is said from now on is heard by nobody
}

// word is the last word on a name: the data that it has, "" for none.
type word struct {
	has    string
	maybe  []string // what failed, and may come to light after a kill
	isBusy bool
}

func (c *chaos) intn(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n)
}

func (c *chaos) open() {
	c.t.Helper()
	db, err := Open(c.disk, DefaultLimits, c.reg.Snapshot, nopLog)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := db.Run(ctx); err != nil {
			c.t.Error(err)
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(time.Duration(c.intn(300)) * time.Millisecond)
			if err := db.Checkpoint(ctx); err != nil && !errors.Is(err, errDisk) && !errors.Is(err, ErrStopped) && ctx.Err() == nil {
				c.t.Error(err)
			}
		}
	})
	c.db, c.stop = db, sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
}

// client changes names of its own.
func (c *chaos) client(ctx context.Context, id int) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("n%d-%d", id, c.intn(5))
		data := fmt.Sprintf("%d-%d", id, c.intn(1_000_000))
		text := fmt.Sprintf("- %s; + %s 5 TXT %s", name, name, data)
		if c.intn(4) == 0 {
			data, text = "", "- "+name
		}
		c.mu.Lock()
		w := c.known[name]
		if w == nil {
			w = &word{}
			c.known[name] = w
		}
		if !c.dead {
			w.isBusy = true
			w.maybe = append(w.maybe, data)
		}
		c.mu.Unlock()
		rcode, ok := c.send(ctx, text)
		c.mu.Lock()
		if ok && !c.dead {
			w.isBusy = false
			switch rcode {
			case dns.RcodeSuccess:
				w.has, w.maybe = data, nil
			case dns.RcodeServerFailure:
			default:
				c.t.Errorf("%s: %s", text, dns.RcodeToString[rcode])
			}
		}
		c.mu.Unlock()
		time.Sleep(time.Duration(c.intn(60)) * time.Millisecond)
	}
}

func (c *chaos) send(ctx context.Context, text string) (int, bool) {
	u := Update{Zone: corp, By: &By{}}
	for line := range strings.SplitSeq(text, ";") {
		u.Changes = append(u.Changes, rr(c.t, strings.TrimSpace(line)))
	}
	u.Changes = unpacked(c.t, u.Changes)
	if r := Check(corp, nil, u.Changes); r.Rcode != 0 {
		c.t.Error(r.Why)
	}
	r, err := c.db.Do(ctx, u)
	return r.Rcode, err == nil
}

// operator moves the role, and takes records back.
func (c *chaos) operator(ctx context.Context) {
	for ctx.Err() == nil {
		to := []string{"ex1", "ex2"}[c.intn(2)]
		if _, err := c.reg.Switch(ctx, registry.SwitchRequest{Roles: []string{"mailbox"}, To: to}); err != nil && ctx.Err() == nil {
			c.t.Error(err)
		}
		time.Sleep(time.Duration(c.intn(400)) * time.Millisecond)
	}
}

// pullOften is a secondary until ctx ends.
func (c *chaos) pullOften(ctx context.Context, s *secondary) {
	for ctx.Err() == nil {
		c.pull(s)
		time.Sleep(time.Duration(c.intn(200)) * time.Millisecond)
	}
}

func (c *chaos) pull(s *secondary) {
	c.t.Helper()
	c.pulling.Lock() // the secondary may be at it by itself
	defer c.pulling.Unlock()
	v := c.db.View(corp)
	if s.serial != 0 && v.Serial != s.serial && !Newer(v.Serial, s.serial) {
		c.t.Errorf("the serial went back from %d to %d", s.serial, v.Serial)
	}
	s.pull(v)
	s.same(v)
}

// generation runs the clients for a while, ends the zones, mostly by a kill, and opens what the disk has.
func (c *chaos) generation(s *secondary) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for id := range 4 {
		all.Go(func() { c.client(ctx, id) })
	}
	all.Go(func() { c.operator(ctx) })
	all.Go(func() { c.pullOften(ctx, s) })
	for range 4 {
		c.disk.Chance.Store([]int32{0, 0, 5, 50, 100}[c.intn(5)])
		time.Sleep(time.Duration(c.intn(3000)) * time.Millisecond)
	}
	isKill := c.intn(4) > 0
	c.mu.Lock()
	c.dead = isKill
	c.mu.Unlock()
	left := c.disk.Killed()
	if isKill {
		c.pull(s) // what only those know who heard it in time
	}
	cancel()
	all.Wait()
	c.stop()
	if !isKill {
		left = c.disk.Killed()
	}
	c.mu.Lock()
	c.disk, c.dead = left, false
	c.mu.Unlock()
	c.open()
	c.check()
	c.pull(s)
}

// check compares the zone that was opened again with what the clients know.
func (c *chaos) check() {
	c.t.Helper()
	v := c.db.View(corp)
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, w := range c.known {
		has := ""
		if s := v.Name(name + "." + corp).Set(dns.TypeTXT); s != nil {
			has = s.Records[0].RR.(*dns.TXT).Txt[0]
		}
		if has != w.has && !slices.Contains(w.maybe, has) {
			c.t.Errorf("%s has %q, want %q or one of %q", name, has, w.has, w.maybe)
		}
		*w = word{has: has}
	}
}

// TestChaos has clients update and an operator switch, on a disk that fails, with checkpoints all the time and
// kills: what was acknowledged is there afterwards, what was refused is not, the serial never goes back, and a
// secondary that pulls now and then always has what the zone has.
func TestChaos(t *testing.T) {
	seeds := uint64(10)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &chaos{
					lab: newLab(t), disk: journaltest.NewBadDisk(rand.New(rand.NewPCG(seed, 8))),
					rnd: rand.New(rand.NewPCG(seed, 7)), known: map[string]*word{},
				}
				c.stop()
				c.open()
				s := &secondary{t: t}
				for range 12 {
					c.generation(s)
				}
				c.stop()
			})
		})
	}
}
