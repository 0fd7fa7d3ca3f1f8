package nameward

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/follow"
)

// policyFile keeps the registration policy in step with the file that the configuration names. What is
// in force always suits the world in force. All but inForce and told is guarded by the guard's mu.
type policyFile struct {
	inForce  atomic.Pointer[policy.Policy]
	follower *follow.Follower
	path     string // "" for the built-in rules alone
	taken    digest // of the content in force
	judged   digest // of the content last judged against the world in force
	rejected error  // what is wrong with it
	status   control.PolicyStatus
	told     subscribers

	// The configuration as it is now was refused because of the policy at awaited; refused is the digest of
	// what was found there.
	awaited string
	refused digest
}

// subscribers are told of every new policy, one at a time.
type subscribers struct {
	mu   sync.Mutex
	last *policy.Policy
	list []func()
}

// draft is a policy that suits a world and may be put in force.
type draft struct {
	*policy.Policy
	path   string
	taken  digest // of its content
	judged digest // of the file's content
	err    error  // why the file was not taken and the policy is the last good one
}

// Policy returns the policy in force. A request is decided with one policy: load it once.
func (g *Guard) Policy() *policy.Policy { return g.policies.inForce.Load() }

// OnPolicy has changed called whenever a new policy is in force, one call at a time; it reads the latest
// with Policy, and calls nothing of the guard that waits for a reload. A new world alone is announced by
// the snapshot.
func (g *Guard) OnPolicy(changed func()) {
	t := &g.policies.told
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, changed)
}

// announce tells the subscribers if the policy in force is news. It is called without the guard's mu.
func (p *policyFile) announce() {
	p.told.mu.Lock()
	defer p.told.mu.Unlock()
	now := p.inForce.Load()
	if now == p.told.last {
		return
	}
	p.told.last = now
	for _, changed := range p.told.list {
		changed()
	}
}

// readPolicy drafts the policy at path for a world. The error names every problem.
func readPolicy(path string, w *registry.World) (draft, error) {
	if path == "" {
		return draft{Policy: policy.Default()}, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return draft{path: path}, fmt.Errorf("reading the policy: %w", err)
	}
	return newDraft(path, content, w)
}

func newDraft(path string, content []byte, w *registry.World) (draft, error) {
	sum := digest(sha256.Sum256(content))
	d := draft{path: path, taken: sum, judged: sum}
	var err error
	if d.Policy, err = policy.Parse(path, content); err == nil {
		err = d.CheckWorld(w)
	}
	return d, err
}

// startWith puts the first policy in force.
func (g *Guard) startWith(d draft) {
	f := follow.New(g.log, g.policyNews)
	f.MaxSize, f.Touched = maxConfig, true // as for the configuration file
	g.policies.follower, g.policies.told.last = f, d.Policy
	g.takePolicy(d)
}

// policyFor drafts the policy for a configuration that is about to come into force: from the file as it is
// now, or if that is bad the one in force. The error is that of the file if neither suits the world.
func (g *Guard) policyFor(path string, w *registry.World) (draft, error) {
	p := &g.policies
	d, err := readPolicy(path, w)
	if err == nil {
		return d, nil
	}
	if path == p.path {
		if last := p.inForce.Load(); last.CheckWorld(w) == nil {
			return draft{Policy: last, path: path, taken: p.taken, judged: d.judged, err: err}, nil
		}
	}
	p.await(path, d.judged)
	return d, fmt.Errorf("%s: the policy does not go with it; nothing changes until both files are right:\n%w", g.path, err)
}

// await has a policy followed that a configuration waits for, or none.
func (p *policyFile) await(path string, refused digest) {
	moved := path != p.awaited
	if p.awaited, p.refused = path, refused; moved {
		p.follow()
	}
}

func (p *policyFile) follow() {
	var paths []string
	for _, path := range []string{p.path, p.awaited} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	p.follower.Set(paths)
}

// takePolicy puts a draft in force, or notes why its file is not taken. It is called with mu held.
func (g *Guard) takePolicy(d draft) {
	p := &g.policies
	last := p.inForce.Load()
	same := last != nil && d.path == p.path && d.taken == p.taken
	moved := d.path != p.path
	if p.path, p.judged = d.path, d.judged; moved {
		p.follow()
	}
	if d.err != nil {
		g.rejectPolicy(d.err)
		return
	}
	p.rejected = nil
	if same {
		// The pointer stays, so that nobody takes it for news.
		p.status.Error, p.status.Rejected = "", time.Time{}
		return
	}
	p.taken = d.taken
	p.status = control.PolicyStatus{File: d.path, Rules: d.Own, Loaded: time.Now()}
	p.inForce.Store(d.Policy)
	if d.path != "" || last != nil {
		g.log.Info().Str("file", d.File).Int("rules", d.Own).Msg("policy in force")
	}
	if other := d.ConfigPath(); other != "" && !sameFile(other, g.path) {
		g.log.Warn().Str("file", d.path).Str("config", other).Str("own", g.path).Msg("the policy is written for another configuration file; its tests may not hold here")
	}
}

func (g *Guard) rejectPolicy(err error) {
	p := &g.policies
	if p.status.Error == "" {
		p.status.Rejected = time.Now()
	}
	p.rejected, p.status.Error = err, err.Error()
	g.log.Error().Err(err).Str("file", p.path).Msg("the policy is not taken; the last good one stays in force")
}

// policyNews takes what the follower read.
func (g *Guard) policyNews(f follow.File) {
	defer g.policies.announce()
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &g.policies
	if g.closed {
		return
	}
	if f.Path == p.awaited && digestOf(f) != p.refused {
		// The two files were changed together, the configuration first.
		content, err := os.ReadFile(g.path)
		if g.judge(content, err) == nil {
			return
		}
	}
	if f.Path != p.path {
		return
	}
	if now, err := os.ReadFile(p.path); err == nil && sha256.Sum256(now) == p.judged {
		return // Reload was faster
	}
	// The outcome is logged and kept for status; there is nobody here to tell.
	_ = g.judgePolicy(f.Content, f.Err)
}

// digestOf is that of a file's content, none if it could not be read.
func digestOf(f follow.File) digest {
	if f.Err != nil {
		return digest{}
	}
	return sha256.Sum256(f.Content)
}

// judgePolicy takes a content of the policy file, or the error of reading it, in the world in force. It is
// called with mu held.
func (g *Guard) judgePolicy(content []byte, err error) error {
	p := &g.policies
	var d draft
	if err == nil {
		d, err = newDraft(p.path, content, g.cfg.World)
	}
	if err != nil {
		p.judged = d.judged // none if it could not be read: when it is back it is news
		g.rejectPolicy(err)
		return err
	}
	g.takePolicy(d)
	return nil
}

// judgePolicyToo completes a reload that somebody asked for: whatever became of the configuration, the
// policy file is read as well.
func (g *Guard) judgePolicyToo(configErr error) error {
	p := &g.policies
	switch {
	case g.closed:
		return configErr
	case configErr == nil:
		return p.rejected // it was read with it
	case p.path == "":
		return configErr
	}
	content, err := os.ReadFile(p.path)
	err = g.judgePolicy(content, err)
	if err == nil || strings.Contains(configErr.Error(), err.Error()) {
		return configErr
	}
	return errors.Join(configErr, err)
}

func (g *Guard) policyStatus() control.PolicyStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.policies.status
}

// followPolicy puts the policy file in force whenever it changes.
func (g *Guard) followPolicy(ctx context.Context) error { return g.policies.follower.Run(ctx) }

// sameFile reports whether two paths lead to one file, which need not exist.
func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	a, errA = filepath.Abs(a)
	b, errB = filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}
