package push

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
)

// shredder is a journal that keeps nothing.
type shredder struct{ seq uint64 }

func (*shredder) Load(_, _ func([]byte) error) error                               { return nil }
func (s *shredder) Append([]byte) (uint64, error)                                  { s.seq++; return s.seq, nil }
func (*shredder) Backlog() (int, int64)                                            { return 0, 0 }
func (*shredder) Checkpoint(_ context.Context, _ uint64, _ iter.Seq[[]byte]) error { return nil }

// instant is a target that is always right, or always dead.
type instant struct{ dead bool }

var errDead = errors.New("dead")

func (instant) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	return role.Role.Name + " " + role.Addrs()[0].String()
}

func (d instant) Push(_ context.Context, items []*Item) {
	for _, it := range items {
		it.Sent()
		if d.dead {
			it.Fail(errDead)
		} else {
			it.Acked()
		}
	}
}

func (instant) Verify(_ context.Context, items []*Item) {
	for _, it := range items {
		it.Right()
	}
}

// crowd is a registry with many roles and a pusher with instant targets.
type crowd struct {
	b      *testing.B
	reg    *registry.Registry
	pusher *Pusher
	live   int
	roles  []string
	end    func()
}

func newCrowd(b *testing.B, roles, targets, dead int) *crowd {
	b.Helper()
	c := &crowd{b: b, live: targets}
	for i := range roles {
		c.roles = append(c.roles, fmt.Sprintf("r%06d", i))
	}
	reg, err := registry.Open(world(c.roles...), &registry.Memory{}, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	ledger, err := OpenLedger(new(shredder), zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	c.reg, c.pusher = reg, &Pusher{Ledger: ledger, Snapshot: reg.Snapshot, Log: zerolog.Nop()}
	var list []Target
	for i := range targets + dead {
		list = append(list, Target{Name: fmt.Sprint(i), Driver: instant{dead: i >= targets}})
	}
	c.pusher.Configure(list)
	var stops []func()
	for _, task := range []func(context.Context) error{reg.Run, ledger.Run, c.pusher.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = task(ctx) }()
		stops = append(stops, func() { cancel(); <-done })
	}
	c.end = func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}
	for len(c.pusher.current()) == 0 {
		time.Sleep(time.Millisecond)
	}
	c.wait(0, c.roles)
	return c
}

// wait returns when every target that lives has the roles.
func (c *crowd) wait(change uint64, roles []string) {
	c.b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if list, done := c.pusher.Wait(ctx, change, roles, c.live); !done {
		c.b.Fatalf("not every target has them: %+v", list)
	}
}

func (c *crowd) move(i int, roles ...string) {
	c.b.Helper()
	m, err := c.reg.Switch(context.Background(), registry.SwitchRequest{Roles: roles, To: []string{"n2", "n1"}[i%2]})
	if err != nil {
		c.b.Fatal(err)
	}
	c.wait(m.Change, roles)
}

// BenchmarkMany moves a thousand roles at once, with ten targets.
func BenchmarkMany(b *testing.B) {
	c := newCrowd(b, 1000, 10, 0)
	defer c.end()
	i := 0
	for b.Loop() {
		c.move(i, c.roles...)
		i++
	}
}

// BenchmarkOne moves one role of some or of very many: what it costs must not depend on how many there are, also when
// one of the targets has none of them.
func BenchmarkOne(b *testing.B) {
	for _, dead := range []int{0, 1} {
		for _, roles := range []int{100, 100_000} {
			b.Run(fmt.Sprintf("of=%d/dead=%d", roles, dead), func(b *testing.B) {
				c := newCrowd(b, roles, 3, dead)
				defer c.end()
				i := 0
				for b.Loop() {
					c.move(i, c.roles[7])
					i++
				}
			})
		}
	}
}
