package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// model is what a role in mode single has to be, in the simplest words.
type model struct {
	holder string
	epoch  uint64
	forced string
}

// TestRandomOperations plays random sequences of claims, switches, overrides, restarts and reloads
// against the model.
func TestRandomOperations(t *testing.T) {
	runs, steps := 30, 300
	if testing.Short() {
		runs = 5
	}
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		player := newPlayer(t, rng)
		for step := range steps {
			what := player.play()
			if problem := player.check(); problem != "" {
				t.Fatalf("seed %d, step %d, %s: %s", seed, step, what, problem)
			}
		}
		player.stop()
	}
}

type player struct {
	*lab
	rng    *rand.Rand
	stop   func()
	roles  map[string]*model
	names  []string
	change uint64
}

func playedWorld() *World {
	var roles []*Role
	for i := range 4 {
		roles = append(roles, role(fmt.Sprintf("file%d", i), "file"), role(fmt.Sprintf("op%d", i), SourceOperator))
	}
	return testWorld(roles...)
}

func newPlayer(t *testing.T, rng *rand.Rand) *player {
	p := &player{lab: openLab(t, playedWorld(), &testStore{}), rng: rng, roles: map[string]*model{}}
	p.stop = p.run()
	for s := range p.Snapshot().Roles() {
		p.names = append(p.names, s.Role.Name)
		p.roles[s.Role.Name] = &model{}
	}
	return p
}

func (p *player) play() string {
	i := p.rng.IntN(4)
	file, op, node := fmt.Sprintf("file%d", i), fmt.Sprintf("op%d", i), fmt.Sprintf("ex%d", 1+p.rng.IntN(3))
	ctx := context.Background()
	switch p.rng.IntN(10) {
	case 0, 1, 2: // with an epoch near the one in force
		m := p.roles[file]
		epoch := max(1, m.epoch+uint64(p.rng.IntN(4))-1)
		if m.epoch == 0 {
			epoch = 1 + uint64(p.rng.IntN(4))
		}
		got := p.claim(file, "file x", epoch, node)
		want := Accepted
		switch {
		case epoch < m.epoch:
			want = Fenced
		case epoch == m.epoch && node == m.holder:
			want = Renewed
		case epoch == m.epoch:
			want = Conflicting
		default:
			m.holder, m.epoch = node, epoch
		}
		if got != want {
			p.t.Fatalf("claim %s %s @%d on %+v: %v, want %v", file, node, epoch, m, got, want)
		}
		return fmt.Sprintf("claim %s %s @%d", file, node, epoch)
	case 3: // without one
		p.claim(file, "file x", 0, node)
		p.roles[file].take(node)
		return "claim " + file + " " + node
	case 4, 5:
		if _, err := p.Switch(ctx, SwitchRequest{Roles: []string{op}, To: node}); (err == nil) != (p.roles[op].forced == "") {
			p.t.Fatalf("switch of %+v: %v", p.roles[op], err)
		} else if err == nil {
			p.roles[op].take(node)
		}
		return "switch " + op + " " + node
	case 6:
		name := []string{file, op}[p.rng.IntN(2)]
		if _, err := p.SetOverride(ctx, name, Override{Nodes: []string{node}}); err != nil {
			p.t.Fatal(err)
		}
		p.roles[name].forced = node
		return "override " + name + " " + node
	case 7:
		name := []string{file, op}[p.rng.IntN(2)]
		_, err := p.ClearOverride(ctx, name)
		if (err == nil) != (p.roles[name].forced != "") {
			p.t.Fatalf("clear of %+v: %v", p.roles[name], err)
		}
		p.roles[name].forced = ""
		return "clear " + name
	case 8:
		p.stop()
		p.lab = openLab(p.t, playedWorld(), p.store)
		p.stop = p.run()
		return "restart"
	}
	if err := p.Configure(ctx, playedWorld()); err != nil {
		p.t.Fatal(err)
	}
	return "reload"
}

// take is a change of holder by somebody who has no epochs.
func (m *model) take(node string) {
	if m.holder != node || m.epoch == 0 {
		m.holder = node
		m.epoch++
	}
}

func (p *player) check() string {
	snap := p.Snapshot()
	for _, name := range p.names {
		m, s := p.roles[name], mustState(snap, name)
		want := m.holder
		if m.forced != "" {
			want = m.forced
		}
		served := namesOf(s.Served)
		if s.Epoch != m.epoch || len(s.Holder) == 1 && s.Holder[0] != m.holder || want != "" && !slices.Equal(served, []string{want}) || want == "" && len(served) > 0 {
			return fmt.Sprintf("%s is %q, the model %+v", name, describe(s), *m)
		}
		if rec := p.store.Saved.Records[name]; rec.Epoch != m.epoch {
			return fmt.Sprintf("%s is saved with epoch %d, the model %+v", name, rec.Epoch, *m)
		}
	}
	// What PTR records say follows from the states alone.
	for _, n := range snap.World.Nodes {
		want := n.Host
		for s := range snap.Roles() {
			if slices.Contains(s.Served, n) {
				want = s.Role.DNS[0]
				break
			}
		}
		if got := p.ptr(n.Public[0].String()); got != want {
			return fmt.Sprintf("PTR of %s is %s, want %s", n.Name, got, want)
		}
	}
	if snap.Change < p.change {
		return fmt.Sprintf("change %d after %d", snap.Change, p.change)
	}
	p.change = snap.Change
	return ""
}

func mustState(s *Snapshot, name string) *RoleState {
	r, ok := s.Role(name)
	if !ok {
		panic("no role " + name)
	}
	return r
}
