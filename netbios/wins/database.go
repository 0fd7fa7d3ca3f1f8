package wins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/store/journal"
)

// Database is the WINS database. Open makes it; then keep Run running.
type Database struct {
	log       zerolog.Logger
	sampled   zerolog.Logger // for what strangers can cause
	journal   journal.Log
	guard     Guard
	challenge Challenger
	demand    Demander
	settings  atomic.Pointer[Settings]
	cur       atomic.Pointer[Snapshot]
	queue     *queue
	commands  chan *command
	stopped   chan struct{}
	opened    time.Time
	counters  [Release + 1][outcomes]atomic.Uint64

	held       *heldTable
	outbox     outbox
	challenges atomic.Int64 // under way
	contesting atomic.Int64 // names that replicas and nodes contend for
	applied    appliedCounters
	since      atomic.Int64 // when the batch in hand was begun, in nanoseconds since 1970; 0: there is none

	// What follows belongs to the writer.
	edits    uint64
	perAddr  map[IPv4]uint32 // records that an address is in
	pending  map[netbios.Name]*pending
	contests contests
	// contradicted is when a role's record got a new version because of a partner.
	contradicted map[netbios.Name]Stamp
	unsaved      map[netbios.Name]bool // records that are newer in memory than on disk; true: they have to get a new version
	asks         context.Context       // ends with Run
	asking       sync.WaitGroup
	swept        int // the next leaf that the sweep looks at
	reopened     time.Time
	delta        []byte
}

// Settings may be changed while the database runs.
type Settings struct {
	Timers Timers
	Limits Limits
	// Partners says that records are replicated: one of this server that is taken out leaves a tombstone for them, and
	// the order of versions is kept, which costs a third of the time and 16 octets for each record.
	Partners bool
}

// Limits bound what strangers can make of the database.
type Limits struct {
	Records    int // all of them
	PerAddress int // records that one address is in
	Challenges int // under way at a time
	Queue      int // requests that wait for the disk
}

// DefaultLimits are for a site of some ten thousand nodes.
var DefaultLimits = Limits{Records: 1_000_000, PerAddress: 2000, Challenges: 1024, Queue: 8192}

// Snapshot is the immutable state that queries are answered from.
type Snapshot struct {
	*Table
	Version uint64 // the highest ID given out
	// Err is why changes cannot be saved, nil when they are.
	Err     error
	masters []netbios.Name // the names with suffix 1B, for the query of all of them
	seq     uint64         // of the last batch in it
	roles   *Table         // the records of roles
	owners  map[IPv4]*owner
	ordered bool          // owners have the versions of their records
	moved   chan struct{} // closed when Version has moved
	timers  *Timers
}

// command is something that the writer is asked to do beside requests. It may be called twice, the
// first time in vain, when the disk takes nothing.
type command struct {
	do   func(*work)
	done chan struct{}
	// taken is set by the writer who does it or by the caller who gives up, whoever is first.
	taken atomic.Bool
}

// ErrStopped is what callers get when Run has ended.
var ErrStopped = errors.New("the WINS database has stopped")

// Open reads the journal.
func Open(j journal.Log, set Settings, guard Guard, challenge Challenger, log zerolog.Logger) (*Database, error) {
	d := &Database{
		log: log, sampled: log.Sample(&zerolog.BurstSampler{Burst: 20, Period: time.Second}),
		journal: j, guard: guard, challenge: challenge, queue: newQueue(), commands: make(chan *command, 64),
		stopped: make(chan struct{}), opened: time.Now(), held: newHeldTable(),
		outbox:  outbox{waiting: map[outKey]Out{}, wake: make(chan struct{}, 1)},
		perAddr: map[IPv4]uint32{}, pending: map[netbios.Name]*pending{}, unsaved: map[netbios.Name]bool{},
		contests: contests{of: map[netbios.Name]*contest{}}, contradicted: map[netbios.Name]Stamp{},
	}
	d.Configure(set)
	l := newLoader(d)
	if err := j.Load(l.load, l.load); err != nil {
		return nil, fmt.Errorf("reading the WINS database: %w", err)
	}
	d.edits = 1
	d.held.Loaded()
	d.cur.Store(l.snapshot())
	if w := d.begin(nil); w.changed {
		w.show() // in order before anybody asks
	}
	// The first batch tells its number, and whether the disk takes anything.
	seq, err := j.Append(appendVersion(nil, d.Snapshot().Version))
	if err != nil {
		return nil, fmt.Errorf("writing the WINS database: %w", err)
	}
	d.Snapshot().seq = seq
	return d, nil
}

// maxReserve bounds the room that a count asks for.
const maxReserve = 4 << 20

// loader puts batches together.
type loader struct {
	d       *Database
	e       *editor
	roles   *editor
	owners  map[IPv4]*owner
	version uint64
}

func newLoader(d *Database) *loader {
	return &loader{d: d, e: emptyTable.edit(1), roles: emptyTable.edit(1), owners: map[IPv4]*owner{{}: {}}}
}

func (l *loader) load(batch []byte) error {
	u := &unpacker{b: batch}
	for len(u.b) > 0 && u.err == nil {
		switch tag := u.octet(); tag {
		case tagVersion:
			l.version = max(l.version, u.uvarint())
		case tagCount:
			// A count that is wrong costs room or time, no more.
			l.e.reserve(int(min(u.uvarint(), maxReserve)))
		case tagRecord:
			if r := u.record(); u.err == nil {
				l.e.put(&r)
			}
		case tagGone:
			if n := u.name(); u.err == nil {
				l.e.remove(n)
			}
		case tagOwner:
			if ip, o := u.owner(); u.err == nil {
				l.owners[ip] = o
			}
		case tagRole:
			if r := u.record(); u.err == nil {
				l.roles.put(&r)
			}
		case tagRoleGone:
			if n := u.name(); u.err == nil {
				l.roles.remove(n)
			}
		case tagHeld:
			if h := u.held(); u.err == nil {
				l.d.held.Load(h)
			}
		case tagHeldGone:
			if k := u.heldKey(); u.err == nil {
				l.d.held.LoadGone(k)
			}
		case tagOut:
			if o := u.out(); u.err == nil {
				l.d.outbox.waiting[o.key()] = o
			}
		case tagOutGone:
			delete(l.d.outbox.waiting, u.outKey())
		default:
			return fmt.Errorf("%w: it begins with %d", errFormat, tag)
		}
	}
	return u.err
}

func (l *loader) snapshot() *Snapshot {
	l.e.trim()
	s := &Snapshot{
		Table: l.e.done(), Version: l.version, timers: &l.d.settings.Load().Timers,
		roles: l.roles.done(), owners: l.owners, moved: make(chan struct{}),
	}
	for r := range s.roles.All() {
		s.Version = max(s.Version, r.Version)
	}
	for r := range s.All() {
		for a := range r.counted() {
			l.d.perAddr[a]++
		}
		if r.Name.Suffix() == suffixMaster {
			s.masters = append(s.masters, r.Name)
		}
		if r.Owner == (IPv4{}) {
			s.Version = max(s.Version, r.Version)
		}
	}
	for _, o := range s.owners {
		o.forget()
	}
	return s
}

// OnDemand has f tell nodes to give up names that they have lost to replicas; without it they find out by
// themselves, at their next refresh. It has to be called before Run.
func (d *Database) OnDemand(f Demander) { d.demand = f }

// Count returns how many requests had an outcome.
func (d *Database) Count(op Op, o Outcome) uint64 { return d.counters[op][o].Load() }

// Configure puts settings in force for the requests to come.
func (d *Database) Configure(set Settings) { d.settings.Store(&set) }

// Snapshot returns the state of now. It never blocks.
func (d *Database) Snapshot() *Snapshot { return d.cur.Load() }

// Judge asks the guard about a request, which keeps its word until it is asked again.
func (d *Database) Judge(r *Request) *Verdict {
	r.verdict = d.guard.Admit(r)
	return &r.verdict
}

// Submit hands a request to the writer, by the guard's word. Its sink gets the answer later, unless the
// one returned is another than Waiting: then that is all.
func (d *Database) Submit(r *Request) Answer {
	d.Judge(r)
	return d.SubmitJudged(r)
}

// SubmitJudged is Submit for a request about which Judge has just asked.
func (d *Database) SubmitJudged(r *Request) Answer {
	a := Answer{Outcome: Waiting}
	switch ttl := d.burst(r); {
	case ttl > 0:
		a = Answer{Outcome: Burst, TTL: ttl}
	case !d.queue.push(r, d.settings.Load().Limits.Queue):
		a.Outcome = Shed
	}
	if a.Outcome != Waiting {
		d.counters[r.Op][a.Outcome].Add(1)
	}
	return a
}

// The burst mode of WINS answers at once, and keeps nothing, while more than 500 requests wait: for five
// minutes, and five more for each further hundred, up to fifty. Here it is for a disk that stands still
// for longer than a node waits before it asks again; all others get an answer that lasts.
const (
	burstQueue = 500
	burstStep  = 100
	burstTTL   = 5 * 60
	burstMax   = 50 * 60
	burstStall = time.Second
)

// burst is the TTL in seconds of an answer in burst mode, 0 when there is none.
func (d *Database) burst(r *Request) uint32 {
	n := int(d.queue.waiting.Load())
	switch {
	case n <= burstQueue, d.stalled() < burstStall:
		return 0
	case r.verdict.Guarded, r.verdict.Action != Publish, r.Op == Release, r.Upstream == Denied:
		return 0
	}
	if cur, ok := d.Snapshot().Find(r.Name); ok && cur.Index(IPv4Of(r.Source.Addr())) < 0 {
		return 0 // somebody else's name is not given away, not even for a while
	}
	return min(burstTTL*uint32(1+(n-burstQueue)/burstStep), burstMax)
}

// stalled is for how long the writer has been at the batch in hand: longer than some milliseconds when the
// disk does not answer.
func (d *Database) stalled() time.Duration {
	if since := d.since.Load(); since != 0 {
		return time.Since(time.Unix(0, since))
	}
	return 0
}

// Run is the writer. It returns when ctx ends and no challenge is under way; what waits then is left
// without an answer, and the nodes ask again.
func (d *Database) Run(ctx context.Context) error {
	defer close(d.stopped)
	defer d.asking.Wait()
	d.asks = ctx
	d.asking.Go(func() { d.upkeep().Run(ctx) })
	var batch []*Request
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		var cmds []*command
		select {
		case <-ctx.Done():
			return nil
		case <-d.queue.wake:
		case c := <-d.commands:
			cmds = append(cmds, c)
		case <-tick.C:
			cmds = append(cmds, &command{do: (*work).sweep})
		}
		batch = d.queue.take(batch[:0], maxBatch)
		d.step(batch, d.gather(cmds))
		clear(batch)
	}
}

// maxBatch bounds what one write to the disk serves, and so how long the first of it waits.
const maxBatch = 1024

// gather adds what waits to the commands, and leaves out those that nobody waits for any more.
func (d *Database) gather(cmds []*command) []*command {
	for {
		select {
		case c := <-d.commands:
			cmds = append(cmds, c)
		default:
			return slices.DeleteFunc(cmds, func(c *command) bool { return c.taken.Swap(true) })
		}
	}
}

// retryDisk is how often a disk that took nothing is tried again.
const retryDisk = time.Second

// step serves a batch: decide, save, publish, answer. When it cannot be saved it is decided once more,
// as well as can be done without a disk.
func (d *Database) step(batch []*Request, cmds []*command) {
	d.since.Store(time.Now().UnixNano())
	defer d.since.Store(0)
	failing := d.Snapshot().Err
	failed := failing
	if time.Since(d.reopened) >= retryDisk {
		failed = nil // try it
	}
	w := d.begin(failed)
	w.run(batch, cmds)
	if err := w.save(); err != nil {
		if failing == nil {
			d.log.Error().Err(err).Msg("WINS registrations cannot be saved: names are answered, known owners are renewed, nothing new is accepted")
		}
		d.reopened = time.Now()
		w = w.anew(err)
		w.run(batch, cmds)
	} else if failing != nil && w.failed == nil {
		d.log.Info().Msg("WINS registrations are saved again")
	}
	w.publish()
	for _, c := range cmds {
		if c.done != nil {
			close(c.done)
		}
	}
}

// ask has the writer do something and waits until it is on stable storage.
func (d *Database) ask(ctx context.Context, do func(*work)) error {
	c := &command{do: do, done: make(chan struct{})}
	select {
	case d.commands <- c:
	case <-d.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	select {
	case <-c.done:
		return nil
	case <-d.stopped:
		err = ErrStopped
	case <-ctx.Done():
		err = ctx.Err()
	}
	if c.taken.Swap(true) {
		<-c.done // what do writes to belongs to the caller again
		return nil
	}
	return err
}

// change is ask for what has to be on stable storage. While the disk takes nothing it does nothing, and
// says so.
func (d *Database) change(ctx context.Context, do func(*work)) error {
	var failed error
	err := d.ask(ctx, func(w *work) {
		if failed = w.failed; failed == nil {
			do(w)
		}
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("nothing was changed, WINS registrations cannot be saved: %w", failed)
	}
	return err
}

// Note records something that is no request: an unsolicited response. It is passed over when there is
// too much of it.
func (d *Database) Note(h Held) {
	select {
	case d.commands <- &command{do: func(w *work) { w.hold(h) }}:
	default:
	}
}

// report logs what is held for the first time: strangers can make a lot of it, so that no more than some
// lines a second are written.
func (d *Database) report(h *Held) {
	level := zerolog.InfoLevel
	if h.Alert {
		level = zerolog.WarnLevel
	}
	e := d.sampled.WithLevel(level).Stringer("name", h.Name).Stringer("what", h.What).Stringer("fate", h.Fate).
		Stringer("source", h.Source).Stringers("claimed", stringers(h.Claimed)).Str("reason", h.Reason)
	if h.Rule != "" {
		e.Str("rule", h.Rule).Str("decision", fmt.Sprintf("%016x", h.Decision))
	}
	if h.Role != "" {
		e.Str("role", h.Role)
	}
	e.Msg("registration held")
}

func stringers(addrs []netbios.Address) []fmt.Stringer {
	out := make([]fmt.Stringer, len(addrs))
	for i, a := range addrs {
		out[i] = a.Addr
	}
	return out
}
