package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/store/journal"
)

// Ledger knows for each target and role how far the latest delivery is, and for some time what became of older ones.
// It is kept in a journal, which is written behind what is done: all that waits is one batch. It may be used
// from any goroutine; only workers change it.
type Ledger struct {
	log     zerolog.Logger
	journal journal.Log

	mu      sync.Mutex
	rows    map[key]Delivery
	stages  map[string]*stageCounts // of rows, by target
	history []Delivery              // the latest last
	dirty   map[key]uint64
	edits   uint64 // numbers what is dirty
	closed  []Delivery
	past    uint64        // how many were in closed before those that are
	failed  error         // why it cannot be saved
	seq     uint64        // of the last batch; 0: there is none since the start
	moved   chan struct{} // closed with the next edit; nil: nobody waits
	news    chan struct{} // has a token when something is dirty
}

// entry is what the journal has: one of the three.
type entry struct {
	Row    *Delivery  `json:"row,omitempty"`
	Gone   *[2]string `json:"gone,omitempty"` // target and role
	Closed *Delivery  `json:"closed,omitempty"`
}

// historyLen is how many deliveries that are over are kept.
const historyLen = 2000

// OpenLedger reads the journal.
func OpenLedger(j journal.Log, log zerolog.Logger) (*Ledger, error) {
	l := &Ledger{log: log, journal: j, rows: map[key]Delivery{}, stages: map[string]*stageCounts{}, dirty: map[key]uint64{}, news: make(chan struct{}, 1)}
	if err := j.Load(l.load, l.load); err != nil {
		return nil, fmt.Errorf("reading the ledger of deliveries: %w", err)
	}
	return l, nil
}

func (l *Ledger) load(batch []byte) error {
	dec := json.NewDecoder(bytes.NewReader(batch))
	for {
		var e entry
		err := dec.Decode(&e)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case e.Row != nil:
			l.set(*e.Row)
		case e.Gone != nil:
			l.unset(key{e.Gone[0], e.Gone[1]})
		case e.Closed != nil:
			l.remember(*e.Closed)
		}
	}
}

func (l *Ledger) remember(d Delivery) {
	l.history = append(l.history, d)
	if len(l.history) >= 2*historyLen {
		l.history = slices.Clone(l.history[len(l.history)-historyLen:])
	}
}

// Row returns the delivery of a role to a target.
func (l *Ledger) Row(target, role string) (Delivery, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.rows[key{target, role}]
	return d, ok
}

// Rows returns the deliveries that are wanted, in no order; nil wants all.
func (l *Ledger) Rows(wants func(*Delivery) bool) []Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Delivery{}
	for _, d := range l.rows {
		if wants == nil || wants(&d) {
			out = append(out, d)
		}
	}
	return out
}

// History returns deliveries that were verified or superseded, the latest first, at most so many.
func (l *Ledger) History(most int) []Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.history[max(0, len(l.history)-min(most, historyLen)):])
	slices.Reverse(out)
	return out
}

// Err is why the ledger cannot be saved, nil when it is.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Changed is closed when anything in the ledger has changed, or has been saved.
func (l *Ledger) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.moved == nil {
		l.moved = make(chan struct{})
	}
	return l.moved
}

// announce is called with mu held.
func (l *Ledger) announce() {
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

// touch tells those who wait that something else has changed that they look at.
func (l *Ledger) touch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.announce()
}

// edit changes a row, if there is one. When change says that what is different is not worth the disk, it is not saved
// before something else is.
func (l *Ledger) edit(k key, change func(*Delivery) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.rows[k]
	switch {
	case !ok:
	case change(&d):
		l.put(d)
	default:
		l.set(d)
		l.announce()
	}
}

// put is called with mu held.
func (l *Ledger) put(d Delivery) {
	l.set(d)
	l.mark(d.key())
}

// stageCounts is how many rows of a target are at each stage.
type stageCounts [len(stages)]int

// set has a row in the place of the one that is there. It is called with mu held, as unset is.
func (l *Ledger) set(d Delivery) {
	k := d.key()
	counts := l.stages[k.target]
	if counts == nil {
		counts = new(stageCounts)
		l.stages[k.target] = counts
	}
	if old, ok := l.rows[k]; ok {
		counts[old.Stage]--
	}
	counts[d.Stage]++
	l.rows[k] = d
}

func (l *Ledger) unset(k key) {
	if old, ok := l.rows[k]; ok {
		l.stages[k.target][old.Stage]--
		delete(l.rows, k)
	}
}

// standing is how many deliveries to a target are at each stage that some are at.
func (l *Ledger) standing(target string) map[Stage]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[Stage]int{}
	if counts := l.stages[target]; counts != nil {
		for stage, n := range counts {
			if n > 0 {
				out[Stage(stage)] = n
			}
		}
	}
	return out
}

func (l *Ledger) mark(k key) {
	l.edits++
	l.dirty[k] = l.edits
	l.wake()
	l.announce()
}

func (l *Ledger) wake() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// queue puts a new delivery in the place of the one that is there, which is superseded unless it is done.
func (l *Ledger) queue(d Delivery) (superseded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.rows[d.key()]; ok {
		d.Told = old.Told
		if superseded = !old.IsDone(); superseded {
			old.Stage, old.Ended, old.By = Superseded, d.Moved, d.Change
			l.close(old)
		}
	}
	l.put(d)
	return superseded
}

// close notes a delivery that is over. It is called with mu held.
func (l *Ledger) close(d Delivery) {
	l.remember(d)
	if l.closed = append(l.closed, d); len(l.closed) >= 2*historyLen {
		l.forget(l.past + historyLen) // more are not kept anyway
	}
	l.wake()
}

// forget drops what was closed up to a number, counted from the start. It is called with mu held.
func (l *Ledger) forget(until uint64) {
	if until > l.past {
		l.closed = slices.Clone(l.closed[until-l.past:])
		l.past = until
	}
}

// keepOnly takes out the rows of other targets and roles than those that are wanted.
func (l *Ledger) keepOnly(wanted func(target, role string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.rows {
		if !wanted(k.target, k.role) {
			l.unset(k)
			l.mark(k)
		}
	}
}

// drop takes a row out, if there is one.
func (l *Ledger) drop(k key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.rows[k]; ok {
		l.unset(k)
		l.mark(k)
	}
}

// isSaved reports whether the last word about a row is on stable storage, as far as that takes anything.
func (l *Ledger) isSaved(k key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, dirty := l.dirty[k]
	return !dirty || l.failed != nil
}

const (
	retryDisk      = time.Second
	backlogBatches = 20_000
	backlogOctets  = 8 << 20
	octetsOfRow    = 512
	chunkOctets    = 256 << 10
)

// Run saves what is new until ctx ends, and then once more.
func (l *Ledger) Run(ctx context.Context) error {
	var upkeep sync.WaitGroup
	defer upkeep.Wait()
	upkeep.Go(func() { l.upkeep().Run(ctx) })
	for {
		var retry <-chan time.Time
		if l.Err() != nil {
			retry = time.After(retryDisk)
		}
		select {
		case <-ctx.Done():
			l.save()
			return nil
		case <-l.news:
			if retry != nil {
				continue // it waits for its time
			}
		case <-retry:
		}
		l.save()
	}
}

// maxBatch is how many octets one batch may have before another one is begun.
const maxBatch = 4 << 20

// save appends what is dirty.
func (l *Ledger) save() {
	for {
		batch, saved, closed, more := l.batch()
		if len(batch) == 0 {
			return
		}
		seq, err := l.journal.Append(batch)
		l.saved(seq, saved, closed, err)
		if err != nil || !more {
			return
		}
	}
}

// unsaved is one entry that is to be saved.
type unsaved struct {
	entry
	key  key
	edit uint64 // of a row or what is gone; of what is closed its number
}

// maxUnsaved is how many entries are looked at for one batch.
const maxUnsaved = 8192

// due returns what is to be saved first, and whether there is more. It copies, so that nobody has to wait while that
// is encoded.
func (l *Ledger) due() (list []unsaved, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, edit := range l.dirty {
		if len(list) == maxUnsaved {
			return list, true
		}
		e := entry{Gone: &[2]string{k.target, k.role}}
		if d, ok := l.rows[k]; ok {
			e = entry{Row: &d}
		}
		list = append(list, unsaved{e, k, edit})
	}
	for i := range l.closed {
		if len(list) == maxUnsaved {
			return list, true
		}
		list = append(list, unsaved{entry: entry{Closed: &l.closed[i]}, edit: l.past + uint64(i) + 1})
	}
	return list, false
}

// batch is what is to be saved, with the edits that it has and the number of the last that is closed.
func (l *Ledger) batch() (batch []byte, saved map[key]uint64, closed uint64, more bool) {
	list, more := l.due()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	saved = map[key]uint64{}
	for i := range list {
		if b.Len() > maxBatch {
			return b.Bytes(), saved, closed, true
		}
		if err := enc.Encode(&list[i].entry); err != nil {
			panic(err) // plain data
		}
		if list[i].Closed != nil {
			closed = list[i].edit
		} else {
			saved[list[i].key] = list[i].edit
		}
	}
	return b.Bytes(), saved, closed, more
}

func (l *Ledger) saved(seq uint64, saved map[key]uint64, closed uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil && l.failed == nil:
		l.log.Error().Err(err).Msg("the ledger of deliveries cannot be saved: deliveries go on, and some will be repeated after a restart")
	case err == nil && l.failed != nil:
		l.log.Info().Msg("the ledger of deliveries is saved again")
	}
	l.failed = err
	if err == nil {
		l.seq = seq
		for k, edit := range saved {
			if l.dirty[k] == edit {
				delete(l.dirty, k)
			}
		}
		if len(l.dirty) == 0 {
			l.dirty = map[key]uint64{} // to look through a map costs what it held at its largest
		}
		l.forget(closed)
	}
	l.announce()
}

func (l *Ledger) upkeep() journal.Upkeep {
	return journal.Upkeep{
		Log: l.journal, Batches: backlogBatches, Octets: backlogOctets,
		Size: func() int64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return int64((len(l.rows) + min(len(l.history), historyLen)) * octetsOfRow)
		},
		Checkpoint: l.checkpoint,
		Failed: func(err error) {
			l.log.Error().Err(err).Msg("the journal of the ledger of deliveries cannot be shortened; it goes on growing")
		},
	}
}

// checkpoint writes a new base. What is newer in it than its last batch stands in later batches as well.
func (l *Ledger) checkpoint(ctx context.Context) error {
	l.mu.Lock()
	seq, failed := l.seq, l.failed
	l.mu.Unlock()
	if seq == 0 || failed != nil {
		return nil
	}
	return l.journal.Checkpoint(ctx, seq, l.base())
}

func (l *Ledger) base() iter.Seq[[]byte] {
	rows, history := l.Rows(nil), l.History(historyLen)
	slices.Reverse(history)
	return func(yield func([]byte) bool) {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		write := func(e entry) bool {
			if err := enc.Encode(e); err != nil {
				panic(err) // plain data
			}
			if b.Len() < chunkOctets {
				return true
			}
			ok := yield(b.Bytes())
			b.Reset()
			return ok
		}
		for i := range rows {
			if !write(entry{Row: &rows[i]}) {
				return
			}
		}
		for i := range history {
			if !write(entry{Closed: &history[i]}) {
				return
			}
		}
		yield(b.Bytes())
	}
}
