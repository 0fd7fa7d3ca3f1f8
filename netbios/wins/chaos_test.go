package wins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/store/journal/journaltest"
)

var errDisk = journaltest.ErrDisk

// chaos is a database under requests from many sides, with what is known of it.
type chaos struct {
	t    *testing.T
	disk *journaltest.BadDisk
	db   *Database
	stop func()

	mu       sync.Mutex
	rnd      *rand.Rand
	answers  map[*Request][]Answer
	names    map[netbios.Name]*known
	versions map[uint64]string // who was given a version
	lastSeen uint64
	id       uint16
	dead     bool // the kill was: what the database says from now on is heard by nobody
}

// known is what a node knows of its own name, which nobody else asks for.
type known struct {
	ops  int  // begun and ended
	busy bool // one is under way
	has  bool
	// unsure is true when the last word was a failure: both may be.
	unsure bool
	told   bool // the server behind is to be told
}

func (c *chaos) Answer(r *Request, a Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[r] = append(c.answers[r], a)
}

func (c *chaos) Flush() {}

func (c *chaos) Admit(r *Request) Verdict {
	if r.Name.Suffix() == 0x77 {
		return Verdict{Action: Park, Guarded: true, Role: "mailbox", Addrs: r.Addrs, Reason: "role"}
	}
	return Verdict{Action: Publish, Addrs: r.Addrs}
}

func (c *chaos) intn(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n)
}

func (c *chaos) owner(ctx context.Context, _ netbios.Name, addrs []IPv4) ([]Challenged, error) {
	select {
	case <-time.After(time.Duration(c.intn(3000)) * time.Millisecond):
	case <-ctx.Done():
		return nil, nil
	}
	switch c.intn(4) {
	case 0:
		return nil, nil
	case 1:
		return nil, errors.New("no socket")
	case 2:
		return []Challenged{{Addr: addrs[0], Has: true, Lists: addrs}}, nil
	}
	return []Challenged{{Addr: addrs[0], Has: true, Lists: append(slices.Clone(addrs), IPv4{192, 0, 2, 1}, IPv4{192, 0, 2, 2})}}, nil
}

func (c *chaos) open() {
	c.t.Helper()
	set := Settings{Timers: DefaultTimers, Limits: DefaultLimits}
	set.Limits.Challenges = 3
	set.Limits.PerAddress = 40
	set.Partners = c.rnd.IntN(2) == 0
	db, err := Open(c.disk, set, c, c.owner, zerolog.Nop())
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { db.Run(ctx) })
	disk := c.disk
	all.Go(func() { c.checkpoint(ctx, db, disk) })
	c.db, c.stop = db, sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
}

// checkpoint does what checkpoints does, and much more often.
func (c *chaos) checkpoint(ctx context.Context, db *Database, disk *journaltest.BadDisk) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(c.intn(100)) * time.Millisecond)
		s := db.Snapshot()
		if s.Err != nil {
			continue
		}
		slow := func(yield func([]byte) bool) {
			for b := range db.base(s) {
				time.Sleep(time.Duration(c.intn(50)) * time.Millisecond)
				if !yield(b) {
					return
				}
			}
		}
		if err := disk.Checkpoint(ctx, s.seq, slow); err != nil {
			c.t.Error(err)
		}
	}
}

// submit sends and waits for the last word; false if the database stopped before.
func (c *chaos) submit(ctx context.Context, op Op, name netbios.Name, addr IPv4, up Upstream) (Answer, bool) {
	c.mu.Lock()
	c.id++
	r := &Request{
		Op: op, ID: c.id, Name: name, TTL: 300000, Source: portOf(addr), To: c, Upstream: up,
		Addrs: []netbios.Address{{Flags: netbios.HNode, Addr: addr.Addr()}},
	}
	c.answers[r] = nil
	c.mu.Unlock()
	if a := c.db.Submit(r); a.Outcome != Waiting {
		c.Answer(r, a)
	}
	for {
		c.mu.Lock()
		got := c.answers[r]
		c.mu.Unlock()
		if n := len(got); n > 0 && !got[n-1].Wack {
			return got[n-1], true
		}
		if ctx.Err() != nil {
			return Answer{}, false
		}
		time.Sleep(time.Millisecond)
	}
}

// node registers, refreshes and releases names of its own until ctx ends.
func (c *chaos) node(ctx context.Context, addr IPv4) {
	for ctx.Err() == nil {
		name := netbios.MustParseName(fmt.Sprintf("OWN%d-%d", addr[3], c.intn(6)))
		if c.intn(8) == 0 {
			name = name.WithSuffix(suffixMaster)
		}
		op := []Op{Register, Refresh, Release}[c.intn(3)]
		c.mu.Lock()
		k := c.names[name]
		if k == nil {
			k = &known{}
			c.names[name] = k
		}
		k.busy = true
		k.ops++
		c.mu.Unlock()
		a, ok := c.submit(ctx, op, name, addr, SendToo)
		if !ok {
			return
		}
		c.learn(k, op, name, a)
		time.Sleep(time.Duration(c.intn(30)) * time.Millisecond)
	}
}

func (c *chaos) learn(k *known, op Op, name netbios.Name, a Answer) {
	r, _ := c.db.Snapshot().Find(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	k.busy = false
	k.ops++
	switch a.Outcome {
	case Registered:
		k.has, k.unsure, k.told = true, false, true
		text := fmt.Sprintf("%s %s", name, r.Members()[0].Addr)
		if was, ok := c.versions[r.Version]; ok {
			c.t.Errorf("version %d was given to %s and to %s", r.Version, was, text)
		}
		c.versions[r.Version] = text
		c.lastSeen = max(c.lastSeen, r.Version)
	case Refreshed:
		if !k.unsure && !k.has {
			c.t.Errorf("%s was refreshed, and nobody had it", name)
		}
		k.has = true // a renewal needs no disk: after a failure both may still be
	case ReleasedOwn:
		k.has, k.unsure, k.told = false, false, true
	case NotReleased:
		if !k.unsure && k.has {
			c.t.Errorf("%s was there and could not be released", name)
		}
		k.has = false
	case Unsaved:
		// A batch that was called an error may be there after a kill.
		k.unsure = true
	default:
		c.t.Errorf("%s %s: %s", op, name, a.Outcome)
	}
}

// stranger asks for names that others have as well, and for those of a role.
func (c *chaos) stranger(ctx context.Context, addr IPv4) {
	for ctx.Err() == nil {
		name := netbios.MustParseName(fmt.Sprintf("SHARED%d", c.intn(4))).WithSuffix([]byte{0, 0, 0, 0x1c, 0x77}[c.intn(5)])
		op := []Op{Register, RegisterMultihomed, Refresh, Release}[c.intn(4)]
		if _, ok := c.submit(ctx, op, name, addr, NotAsked); !ok {
			return
		}
		time.Sleep(time.Duration(c.intn(10)) * time.Millisecond)
	}
}

// generation runs the nodes for a while, kills the database and opens what the disk has.
func (c *chaos) generation() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range byte(4) {
		all.Go(func() { c.node(ctx, IPv4{198, 51, 100, i + 1}) })
	}
	for i := range byte(5) {
		all.Go(func() { c.stranger(ctx, IPv4{192, 0, 2, i + 1}) })
	}
	for range 4 {
		c.disk.Chance.Store([]int32{0, 0, 5, 50, 100}[c.intn(5)])
		time.Sleep(time.Duration(c.intn(3000)) * time.Millisecond)
	}
	isKill := c.intn(3) > 0
	if !isKill {
		c.disk.Chance.Store(0)
	}
	c.mu.Lock()
	c.dead = isKill
	c.mu.Unlock()
	before, last := c.state()
	dead := c.disk.Killed()
	after, _ := c.state()
	cancel()
	all.Wait()
	if !isKill {
		c.settle()
	}
	c.stop()
	if !isKill {
		dead = c.disk.Killed()
		before, last = c.state()
		after = before
	}
	c.disk, c.dead = dead, false
	c.open()
	c.check(before, after, last)
}

// settle waits until every request has its answer.
func (c *chaos) settle() {
	c.t.Helper()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for r, got := range c.answers {
		if err := oneAnswer(got); err != nil {
			c.t.Errorf("%s %s from %s: %v: %+v", r.Op, r.Name, r.Source, err, got)
		}
	}
	clear(c.answers)
	if n := len(c.db.pending); n > 0 {
		c.t.Errorf("%d challenges are under way", n)
	}
}

func (c *chaos) state() (map[netbios.Name]known, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[netbios.Name]known{}
	for n, k := range c.names {
		out[n] = *k
	}
	return out, c.lastSeen
}

// check compares the database that was opened again with what its nodes know.
func (c *chaos) check(before, after map[netbios.Name]known, last uint64) {
	c.t.Helper()
	s := c.db.Snapshot()
	if s.Version < last {
		c.t.Errorf("the last version is %d, and %d was given out", s.Version, last)
	}
	outs, _ := c.db.Outbox(1 << 20)
	out := map[netbios.Name]bool{}
	for _, o := range outs {
		out[o.Name] = true
	}
	for n, k := range after {
		_, has := s.Query(nil, n, StampOf(time.Now()))
		if b := before[n]; !k.busy && !k.unsure && b == k {
			if has != k.has {
				c.t.Errorf("%s: after a restart it is there: %t, want %t", n, has, k.has)
			}
			if k.told && !out[n] {
				c.t.Errorf("%s: what the server behind is to be told was lost", n)
			}
		}
	}
	c.mu.Lock()
	for n, k := range c.names {
		_, k.has = s.Query(nil, n, StampOf(time.Now()))
		k.busy, k.unsure, k.told = false, false, out[n]
	}
	for r, got := range c.answers {
		if len(got) > 1 && oneAnswer(got) != nil {
			c.t.Errorf("%s %s from %s: %+v", r.Op, r.Name, r.Source, got)
		}
	}
	clear(c.answers)
	c.mu.Unlock()
	c.recount()
}

// recount compares what the writer counts with the table.
func (c *chaos) recount() {
	c.t.Helper()
	err := c.db.ask(c.t.Context(), func(w *work) {
		want := map[IPv4]uint32{}
		var masters []netbios.Name
		versions := map[uint64]netbios.Name{}
		for n, r := range contents(c.t, w.before.Table) {
			for _, m := range r.Members() {
				want[m.Addr]++
			}
			if n.Suffix() == suffixMaster {
				masters = append(masters, n)
			}
			if was, ok := versions[r.Version]; ok || r.Version > w.before.Version {
				c.t.Errorf("%s has version %d of %d, and so has %s", n, r.Version, w.before.Version, was)
			}
			versions[r.Version] = n
		}
		if !maps.Equal(w.d.perAddr, want) {
			c.t.Errorf("records by address %v, want %v", w.d.perAddr, want)
		}
		w.before.checkIndex(c.t)
		have := slices.SortedFunc(slices.Values(w.before.masters), netbios.Name.Compare)
		if !slices.Equal(have, slices.SortedFunc(slices.Values(masters), netbios.Name.Compare)) {
			c.t.Errorf("masters %v, want %v", have, masters)
		}
	})
	if err != nil {
		c.t.Error(err)
	}
}

// TestChaos has nodes and strangers ask at once, on a disk that fails, with checkpoints all the time and
// kills: what was acknowledged is there afterwards, what was released is not, no version is given
// twice, and every request has one answer.
func TestChaos(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 7))
				c := &chaos{
					t: t, disk: journaltest.NewBadDisk(rand.New(rand.NewPCG(seed, 8))), rnd: rnd, answers: map[*Request][]Answer{},
					names: map[netbios.Name]*known{}, versions: map[uint64]string{},
				}
				c.open()
				for range 6 {
					c.generation()
					c.recount()
				}
				c.stop()
			})
		})
	}
}
