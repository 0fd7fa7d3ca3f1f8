package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// How much is moved at once, and to whom.
const (
	manyRoles       = 1000
	manySecondaries = 5
	manyPrimaries   = 4
	manyTargets     = manySecondaries + manyPrimaries + 1
	manyMoves       = 2 // in each round
)

// pushCrowd is one nameward and what it tells of many roles.
type pushCrowd struct {
	*bench
	dir       string
	dns       netip.AddrPort // of nameward
	processes []*process
	guard     *process
	client    pushctl.Client
	roles     []string
	holder    int

	notify, list, dead string                        // parts of the configuration
	secondaries        []func(context.Context) error // they start when nameward does first; nil afterwards
	figures            [2]crowdFigures
}

// crowdFigures are those without the dead target, and with it.
type crowdFigures struct {
	total, cpu samples            // ms from the change until the last target has all roles; ms of nameward
	last       map[string]samples // the same of each kind of target
}

// pushMany moves many roles at once.
func (b *bench) pushMany(ctx context.Context) error {
	dir, err := os.MkdirTemp(b.dir, "crowd")
	if err != nil {
		return err
	}
	c := &pushCrowd{bench: b, dir: dir}
	for i := range manyRoles {
		c.roles = append(c.roles, roleName(i))
	}
	for i := range c.figures {
		c.figures[i].last = map[string]samples{}
	}
	defer func() {
		for _, p := range c.processes {
			p.stop()
		}
	}()
	mute, err := net.Listen("tcp4", "127.0.0.1:0") // connects, and never says anything
	if err != nil {
		return err
	}
	defer mute.Close()
	if err := c.prepare(ctx, mute.Addr().String()); err != nil {
		return err
	}
	for range b.pushRounds {
		for with := range c.figures {
			if err := c.round(ctx, with == 1, &c.figures[with]); err != nil {
				return err
			}
		}
	}
	c.report()
	return nil
}

func (c *pushCrowd) path(name string) string { return filepath.Join(c.dir, name) }

// prepare runs the peers and says in the configuration where they are.
func (c *pushCrowd) prepare(ctx context.Context, mute string) (err error) {
	if c.dns, err = freePort(); err != nil {
		return err
	}
	key := c.path("push.key")
	if err := os.WriteFile(key, []byte(updateKey+":"+updateSecret+"\n"), 0o600); err != nil {
		return err
	}
	update := func(name, at string) string {
		return fmt.Sprintf("    - {name: %s, update: {zone: %s, primary: [%q], key: %s}}\n", name, pushZone, at, key)
	}
	var told []string
	for i := range manySecondaries {
		at, err := freePort()
		if err != nil {
			return err
		}
		told = append(told, fmt.Sprintf("{address: %q, name: secondary-%d}", at, i))
		c.secondaries = append(c.secondaries, func(ctx context.Context) error {
			return c.bind(ctx, fmt.Sprintf("secondary-%d", i), at, secondaryZone(c.dns))
		})
	}
	for i := range manyPrimaries {
		at, err := freePort()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("primary-%d", i)
		c.list += update(name, at.String())
		if err := c.bind(ctx, name, at, primaryZone(pushZone)); err != nil {
			return err
		}
	}
	c.list += "    - {name: hook-0, hook: {command: [/bin/true]}}\n"
	c.notify, c.dead = strings.Join(told, ", "), update("dead", mute)
	return nil
}

func (c *pushCrowd) bind(ctx context.Context, name string, at netip.AddrPort, zones string) error {
	dir := c.path(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	conf := filepath.Join(dir, "named.conf")
	if err := write(map[string]string{conf: namedOptions(dir, at) + zones, filepath.Join(dir, "zone"): emptyZone}); err != nil {
		return err
	}
	p, err := launch(ctx, anyCore, filepath.Join(dir, "out"), "named", "-f", "-n", "1", "-c", conf)
	if err == nil {
		c.processes = append(c.processes, p)
	}
	return err
}

// startGuard runs nameward, with the dead target or without it, and waits until the others have every role.
func (c *pushCrowd) startGuard(ctx context.Context, withDead bool) (err error) {
	var roles strings.Builder
	for i, name := range c.roles {
		fmt.Fprintf(&roles, "      - {name: %s, dns: [%s, m%06d.%s]}\n", name, dnsName(i), i, pushZone)
	}
	list := c.list
	if withDead {
		list += c.dead
	}
	text := fmt.Sprintf("store: {bolt: %s}\ncontrol: {socket: %s}\nzones: [{name: %s, ns: {ns1.%[3]s: [192.0.2.53]}, notify: [%s]}]\n"+
		"clusters:\n  - name: bench\n    defaults: {ttl: %ds, source: {operator: {initial: n1}}}\n    nodes:\n      n1: {public: [%s]}\n      n2: {public: [%s]}\n"+
		"    roles:\n%spush:\n  targets:\n%s", c.path("state.db"), c.path("s"), zone, c.notify, pushTTL, addresses[0], addresses[1], roles.String(), list)
	corefile := fmt.Sprintf(".:%d {\n bind %s\n transfer %s {\n to *\n }\n nameward %q\n}\n", c.dns.Port(), c.dns.Addr(), zone, c.path("nameward.yaml"))
	if err := write(map[string]string{c.path("nameward.yaml"): text, c.path("Corefile"): corefile}); err != nil {
		return err
	}
	if c.guard, err = launch(ctx, anyCore, c.path("log"), c.binary, "serve", "--corefile", c.path("Corefile")); err != nil {
		return err
	}
	c.client = pushctl.Client{Client: control.NewClient(c.path("s"))}
	err = tries(ctx, 50*time.Millisecond, startLimit, func() error {
		if err := c.guard.ended(); err != nil {
			return err
		}
		st, err := c.client.Status(ctx, pushctl.Filter{Role: c.roles[0]})
		if err == nil && len(st.Targets) < manyTargets {
			err = fmt.Errorf("%d targets are followed", len(st.Targets))
		}
		return err
	})
	for _, start := range c.secondaries {
		if err == nil {
			err = start(ctx)
		}
	}
	c.secondaries = nil
	if err == nil {
		_, err = c.wait(ctx, 0)
	}
	return err
}

// wait returns when all targets but the dead one have all roles.
func (c *pushCrowd) wait(ctx context.Context, change uint64) ([]push.Progress, error) {
	reply, err := c.client.Wait(ctx, pushctl.WaitRequest{Change: change, Roles: c.roles, Quorum: manyTargets}, 2*settleLimit)
	if err == nil && !reply.Done {
		err = fmt.Errorf("not every target has all roles after %s: %+v", 2*settleLimit, reply.Targets)
	}
	return reply.Targets, err
}

// round starts nameward and moves all roles, some times.
func (c *pushCrowd) round(ctx context.Context, withDead bool, f *crowdFigures) error {
	err := c.startGuard(ctx, withDead)
	if c.guard != nil {
		defer c.guard.stop()
	}
	for range manyMoves {
		if err == nil {
			time.Sleep(time.Second) // nothing of the last move is under way
			err = c.move(ctx, f)
		}
	}
	return err
}

func (c *pushCrowd) move(ctx context.Context, f *crowdFigures) error {
	before, err := c.guard.cpu()
	if err != nil {
		return err
	}
	c.holder = 1 - c.holder
	moves, err := c.client.Switch(ctx, registry.SwitchRequest{Roles: c.roles, To: nodes[c.holder], By: "bench"})
	if err != nil {
		return err
	}
	targets, err := c.wait(ctx, moves.Change)
	if err != nil {
		return err
	}
	after, err := c.guard.cpu()
	if err != nil {
		return err
	}
	f.cpu.addTime(after - before)
	total := time.Duration(0)
	for _, p := range targets {
		if !p.IsDone() {
			continue // the dead one
		}
		kind, _, _ := strings.Cut(p.Target, "-")
		s := f.last[kind]
		s.addTime(p.Took)
		f.last[kind] = s
		total = max(total, p.Took)
	}
	f.total.addTime(total)
	return nil
}

func (c *pushCrowd) report() {
	without, with := &c.figures[0], &c.figures[1]
	what := fmt.Sprintf("push: %s roles moved at once, change to all of them at all of %d targets", thousands(manyRoles), manyTargets)
	c.table.inform(row{what: what, ours: spread(without.total)})
	c.table.inform(row{
		what: "push: the same with a dead target beside them; peer: without it", ours: spread(with.total), peer: spread(without.total),
		ratio: figure(with.total.median()/without.total.median()) + "x",
	})
	c.table.inform(row{
		what: "push: CPU of nameward for it; peer: with the dead target", ours: "median " + figure(without.cpu.median()) + " ms",
		peer: "median " + figure(with.cpu.median()) + " ms",
	})
	for i, f := range c.figures {
		how := [...]string{what, what + ", with a dead one"}[i]
		c.table.keep(how, "ms", f.total)
		c.table.keep(how+", CPU of nameward", "ms", f.cpu)
		for _, kind := range []string{"secondary", "primary", "hook"} {
			c.table.keep(fmt.Sprintf("%s, each %s", how, kind), "ms", f.last[kind])
		}
	}
}
