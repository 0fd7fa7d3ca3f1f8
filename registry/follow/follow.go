package follow

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

// File is what was found at a path.
type File struct {
	Path    string // as it was given to Set
	Content []byte // the callee's own; nil when Err is set
	ModTime time.Time
	// Err is why there is no content: it is fs.ErrNotExist for a file that is not there.
	Err error
}

// Follower follows files. Make it with New, set the fields before Run.
type Follower struct {
	// MaxSize is the largest file that is read, in octets; a larger one is an error. 0: 1 MiB.
	MaxSize int64
	// Poll is how often a file is looked at without an event. 0: 2 s. With more than pollRate files in
	// a second the round takes longer.
	Poll time.Duration
	// Touched also reports a file that was written anew with the same content.
	Touched bool
	// Whole reports that content which ends in a newline cannot be the first part of something longer,
	// so that a write in place need not settle. nil: it always may be.
	Whole func(content []byte) bool

	log      zerolog.Logger
	onChange func(File)

	newWatcher func() (*fsnotify.Watcher, error) // tests have one that fails

	mu      sync.Mutex
	wanted  map[string]bool
	listed  []string        // wanted, in order
	dropped map[string]bool // by a Set that Run has yet to see
	signal  chan struct{}

	// What follows belongs to Run.
	watcher  *fsnotify.Watcher // nil: only the poll
	files    map[string]*tracked
	order    []*tracked            // files in the order of the poll
	entries  map[string][]*tracked // by the directory entries that lead to them
	dirs     map[string]*watchedDir
	settling map[*tracked]bool
	rounds   int // of the poll
	next     int // file of the round
}

// The times that a half-written or missing file and an empty one are given.
const (
	settleTime  = 15 * time.Millisecond
	inPlaceTime = 5 * time.Millisecond // it ends in a newline
	emptyTime   = time.Second
	defaultPoll = 2 * time.Second
	defaultMax  = 1 << 20
	// pollRate bounds what the poll costs: 10,000 stats in a second are a few percent of a processor.
	pollRate  = 10_000
	pollSlice = 50 * time.Millisecond
	eventsCap = 4096
)

// New returns a Follower that calls onChange for each file once after Set, and then when it changes.
func New(log zerolog.Logger, onChange func(File)) *Follower {
	return &Follower{
		log: log, onChange: onChange, signal: make(chan struct{}, 1), files: map[string]*tracked{}, dropped: map[string]bool{},
		newWatcher: func() (*fsnotify.Watcher, error) { return fsnotify.NewBufferedWatcher(eventsCap) },
		entries:    map[string][]*tracked{}, dirs: map[string]*watchedDir{}, settling: map[*tracked]bool{},
	}
}

// Set replaces the set of files. Those that were in it before are not reported again.
func (f *Follower) Set(paths []string) {
	wanted := make(map[string]bool, len(paths))
	for _, path := range paths {
		wanted[path] = true
	}
	f.mu.Lock()
	for path := range f.wanted {
		if !wanted[path] {
			f.dropped[path] = true
		}
	}
	f.wanted, f.listed = wanted, append([]string(nil), paths...)
	f.mu.Unlock()
	select {
	case f.signal <- struct{}{}:
	default:
	}
}

// Run follows the files until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	var events chan fsnotify.Event
	var failures chan error
	w, err := f.newWatcher()
	if err != nil {
		f.log.Warn().Err(err).Msg("no file events, files are polled only")
	} else {
		f.watcher, events, failures = w, w.Events, w.Errors
		defer func() { _ = w.Close() }()
	}
	poll := time.NewTimer(f.pollPause())
	defer poll.Stop()
	settle := time.NewTimer(time.Hour)
	defer settle.Stop()
	for {
		settle.Reset(f.untilSettled())
		select {
		case <-ctx.Done():
			return nil
		case <-f.signal:
			if err := f.apply(ctx); err != nil {
				return err
			}
			poll.Reset(f.pollPause())
		case ev := <-events:
			f.handle(f.gather(ev, events))
		case err := <-failures:
			f.handleError(err)
		case <-settle.C:
			f.settle(time.Now())
		case <-poll.C:
			f.pollSome()
			poll.Reset(f.pollPause())
		}
	}
}

// apply brings the tracked files in line with the last Set.
func (f *Follower) apply(ctx context.Context) error {
	f.mu.Lock()
	wanted, dropped := f.listed, f.dropped
	f.dropped = map[string]bool{}
	f.mu.Unlock()
	for path := range dropped {
		if t := f.files[path]; t != nil {
			f.forget(t)
		}
	}
	seen := make(map[string]bool, len(wanted))
	var added []*tracked
	f.order = f.order[:0]
	for _, path := range wanted {
		if seen[path] {
			continue
		}
		seen[path] = true
		t := f.files[path]
		if t == nil {
			abs, err := filepath.Abs(path)
			if err != nil {
				return fmt.Errorf("following %q: %w", path, err)
			}
			t = &tracked{path: path, abs: abs}
			f.files[path] = t
			added = append(added, t)
		}
		f.order = append(f.order, t)
	}
	f.next = 0
	f.begin(ctx, added)
	return nil
}

func (f *Follower) forget(t *tracked) {
	delete(f.files, t.path)
	delete(f.settling, t)
	f.watch(t, nil)
}

// gather takes the events that wait, so that a burst on one file is read once.
func (f *Follower) gather(first fsnotify.Event, events chan fsnotify.Event) []fsnotify.Event {
	batch := []fsnotify.Event{first}
	for len(batch) < eventsCap {
		select {
		case ev := <-events:
			batch = append(batch, ev)
		default:
			return batch
		}
	}
	return batch
}

// handle finds out which files the events are about and looks at them.
func (f *Follower) handle(batch []fsnotify.Event) {
	var dirty []*tracked
	for _, ev := range batch {
		if ev.Op == 0 || ev.Op == fsnotify.Chmod && f.entries[ev.Name] == nil {
			continue
		}
		name := filepath.Clean(ev.Name)
		if ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename) {
			dirty = append(dirty, f.lostDir(name)...)
		}
		for _, t := range f.entries[name] {
			t.inPlace = t.inPlace || ev.Has(fsnotify.Write)
			dirty = append(dirty, t)
		}
	}
	now := time.Now()
	seen := make(map[*tracked]bool, len(dirty))
	for _, t := range dirty {
		if !seen[t] && f.files[t.path] == t {
			seen[t] = true
			f.look(t, now)
		}
	}
}

// handleError looks at everything when events were lost.
func (f *Follower) handleError(err error) {
	if err == nil {
		return
	}
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		f.log.Warn().Err(err).Msg("file events")
	}
	now := time.Now()
	for _, t := range f.order {
		t.inPlace = true
		f.look(t, now)
	}
}

// pollPause is the time between two parts of a round: one file's share of it, but no less than a slice.
func (f *Follower) pollPause() time.Duration {
	round := f.round()
	return max(round/time.Duration(max(1, len(f.order))), min(pollSlice, round))
}

func (f *Follower) round() time.Duration {
	if f.Poll == 0 {
		return defaultPoll
	}
	return f.Poll
}

// pollSome looks at the part of the files whose turn it is.
func (f *Follower) pollSome() {
	if len(f.order) == 0 {
		return
	}
	pause, round := f.pollPause(), f.round()
	n := (len(f.order)*int(pause) + int(round) - 1) / int(round)
	n = max(1, min(n, int(pause*pollRate/time.Second), len(f.order)))
	now := time.Now()
	for range n {
		if f.next == 0 {
			f.rounds++
		}
		t := f.order[f.next]
		f.next = (f.next + 1) % len(f.order)
		if f.dirsMoved(t) || f.differs(t) {
			t.inPlace = true
			f.look(t, now)
		}
	}
}
