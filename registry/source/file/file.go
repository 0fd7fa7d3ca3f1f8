package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/follow"
)

// Source is the claims of all roles that follow files. Make it with New, then keep Run running.
type Source struct {
	reg      *registry.Registry
	follower *follow.Follower
	ready    chan struct{}
	signal   chan struct{} // something is in changed

	mu      sync.Mutex
	roles   map[string]*role
	users   map[string][]*role // by path
	words   map[string]*word   // what each file says
	changed []string           // paths whose word the registry has not got
	waiting int                // roles of which a file was not read yet
}

// role is a role and its files.
type role struct {
	name   string
	paths  []string
	unread int  // files that were not read yet
	spoken bool // the registry has heard all of them
}

// word is what a file says.
type word struct {
	statement Statement
	err       error // there is no statement
	gone      bool  // because there is no file
}

// batchLen bounds what is handed to the registry at once. At the start a batch is given gatherTime to
// fill.
const (
	batchLen   = 4096
	gatherTime = 5 * time.Millisecond
)

// New returns a Source without files.
func New(reg *registry.Registry, log zerolog.Logger) *Source {
	s := &Source{
		reg: reg, ready: make(chan struct{}), signal: make(chan struct{}, 1),
		roles: map[string]*role{}, users: map[string][]*role{}, words: map[string]*word{},
	}
	s.follower = follow.New(log, s.take)
	s.follower.Touched = true // a lease begins anew
	s.follower.Whole = whole
	return s
}

// Ready is closed when every file of the first Configure was read and the registry knows what they
// say. A file that is not there counts as read.
func (s *Source) Ready() <-chan struct{} { return s.ready }

// Configure sets which role follows which files. The registry must have the roles already. What the
// files said before is said again, because the roles may have other nodes now.
func (s *Source) Configure(files map[string][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles, s.users, s.waiting = make(map[string]*role, len(files)), make(map[string][]*role, len(files)), 0
	words := make(map[string]*word, len(files))
	s.changed = s.changed[:0]
	var paths []string
	for _, name := range sortedKeys(files) {
		r := &role{name: name, paths: slices.Clone(files[name])}
		s.roles[name] = r
		for _, path := range r.paths {
			if len(s.users[path]) == 0 {
				paths = append(paths, path)
			}
			s.users[path] = append(s.users[path], r)
			if w := s.words[path]; w != nil {
				words[path] = w
			} else {
				r.unread++
			}
		}
		if r.unread > 0 {
			s.waiting++
		}
	}
	s.words = words
	for _, path := range paths {
		if words[path] != nil {
			s.changed = append(s.changed, path)
		}
	}
	s.follower.Set(paths)
	s.wake()
}

func sortedKeys(files map[string][]string) []string {
	out := make([]string, 0, len(files))
	for name := range files {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (s *Source) wake() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// Run follows the files until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.follower.Run(ctx) })
	g.Go(func() error { return s.submitAll(ctx) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("following claim files: %w", err)
	}
	return nil
}

// take is called by the follower.
func (s *Source) take(f follow.File) {
	w := understand(f)
	s.mu.Lock()
	defer s.mu.Unlock()
	users := s.users[f.Path]
	if len(users) == 0 {
		return
	}
	if s.words[f.Path] == nil {
		for _, r := range users {
			if r.unread--; r.unread == 0 {
				s.waiting--
			}
		}
	}
	s.words[f.Path] = w
	s.changed = append(s.changed, f.Path)
	s.wake()
}

func understand(f follow.File) *word {
	switch {
	case errors.Is(f.Err, fs.ErrNotExist):
		return &word{err: fmt.Errorf("there is no file %s", f.Path), gone: true}
	case f.Err != nil:
		return &word{err: f.Err}
	}
	st, err := Parse(f.Path, f.Content, f.ModTime)
	return &word{statement: st, err: err}
}

func (s *Source) submitAll(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.signal:
		}
		if s.reading() {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(gatherTime):
			}
		}
		for {
			batch, done := s.next()
			if err := s.submit(ctx, batch); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			if done {
				break
			}
		}
	}
}

// reading reports that files are being read for the first time and there is less than a batch yet.
func (s *Source) reading() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting > 0 && len(s.changed) < batchLen
}

// batch is what the registry is told at once. Claims go before troubles: of two files of a role, the
// one that is gone must not speak before the one that is right.
type batch struct {
	claims   []registry.Claim
	troubles []registry.Trouble
	last     bool // with it, all files of the configuration are heard
}

// next makes a batch of what changed; done is true when nothing is left.
func (s *Source) next() (b batch, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := s.reg.Snapshot()
	n := 0
	for ; n < len(s.changed) && len(b.claims)+len(b.troubles) < batchLen; n++ {
		path := s.changed[n]
		for _, r := range s.users[path] {
			switch {
			case r.unread > 0: // all its files speak when the last one was read
			case r.spoken:
				s.say(&b, snap, r, path)
			default:
				r.spoken = true
				for _, p := range r.paths {
					s.say(&b, snap, r, p)
				}
			}
		}
	}
	s.changed = s.changed[n:]
	if len(s.changed) == 0 {
		s.changed = nil
	}
	b.last = s.waiting == 0 && len(s.changed) == 0
	return b, len(s.changed) == 0
}

// say adds what a file says of a role.
func (s *Source) say(b *batch, snap *registry.Snapshot, r *role, path string) {
	state, ok := snap.Role(r.name)
	w := s.words[path]
	if !ok || w == nil {
		return
	}
	err := w.err
	if err == nil {
		var cl registry.Claim
		if cl, err = w.statement.Claim(state.Role, path, len(r.paths) == 1); err == nil {
			b.claims = append(b.claims, cl)
			return
		}
	}
	b.troubles = append(b.troubles, registry.Trouble{
		Role: r.name, Origin: Origin(path), Why: strings.ReplaceAll(err.Error(), "\n", "; "), Gone: w.gone,
	})
}

func (s *Source) submit(ctx context.Context, b batch) error {
	if len(b.claims) > 0 {
		if _, err := s.reg.Claim(ctx, b.claims...); err != nil {
			return err
		}
	}
	if len(b.troubles) > 0 {
		if err := s.reg.Complain(ctx, b.troubles...); err != nil {
			return err
		}
	}
	if b.last {
		select {
		case <-s.ready:
		default:
			close(s.ready)
		}
	}
	return nil
}
