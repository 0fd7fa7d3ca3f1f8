package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// What is required of push.
const (
	pushNotifyRequired = 100 * time.Millisecond // median until a secondary is verified
	pushWreplRequired  = time.Second            // the same of a WINS server that replicates
)

// pushTTL is the TTL of the roles, in seconds: for so long a cache that nobody tells keeps what it has.
const pushTTL = 300

// The roles of the lab: one has a name in the owned zone and a NetBIOS name, the other has names in zones of others.
const (
	ownedRole = "mail"
	otherRole = "pushed"
)

// pushRest is longer than what nameward waits between two NOTIFY.
const pushRest = 200 * time.Millisecond

// settleLimit is how long targets may take to have a role.
const settleLimit = 30 * time.Second

// measurePush takes the time from a change to the proof that a target has it, for each kind of target; then what these
// peers do by themselves; then many roles at once.
func measurePush(ctx context.Context, b *bench) error {
	err := b.pushEach(ctx)
	if errors.Is(err, errMissing) {
		b.table.note("push to single targets was not measured: %s", firstLine(err))
		err = nil
	}
	if err != nil {
		return err
	}
	if err := needNamed(); err != nil {
		return err
	}
	return b.pushMany(ctx)
}

// pushTarget is one target of the lab.
type pushTarget struct {
	name, what string
	took       samples // ms from a change after a rest to the proof, or to the acknowledgement where that is all
	behind     samples // ms from a change right behind another one
	own        string  // what the peer does by itself, for the table
}

// pushLab is one nameward with a target of each kind.
type pushLab struct {
	*bench
	ns        *namespaces
	dir       string
	processes []*process
	client    pushctl.Client
	targets   []*pushTarget
	holder    int

	// Parts of the configuration.
	list, notify, partner string
	// later starts a secondary, which is not patient with a primary that is not there yet.
	later func(context.Context) error
}

// pushEach measures each kind of target for itself.
func (b *bench) pushEach(ctx context.Context) error {
	ns, err := newNamespaces(ctx, pushPeers)
	if err != nil {
		return err
	}
	// The servers have ended before their namespaces go.
	defer ns.remove()
	for i, server := range ns.servers {
		// WINS servers are spoken to from the nodes' addresses, which are in the network of one of them.
		if err := ip(ctx, fmt.Sprintf("-n %s route add default via %s", server, clientAddr(i))); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(b.dir, "push")
	if err != nil {
		return err
	}
	l := &pushLab{bench: b, ns: ns, dir: dir}
	defer l.stop()
	if err := l.start(ctx); err != nil {
		return err
	}
	for i := range b.pushMoves {
		time.Sleep(pushRest)
		err := l.move(ctx, func(t *pushTarget) *samples { return &t.took })
		if err == nil {
			err = l.move(ctx, func(t *pushTarget) *samples { return &t.behind })
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	if err := l.alone(ctx); err != nil {
		return err
	}
	l.report()
	return nil
}

func (l *pushLab) stop() {
	for _, p := range l.processes {
		p.stop()
	}
}

func (l *pushLab) path(name string) string { return filepath.Join(l.dir, name) }

// start runs the peers that are to be had here, and then nameward, and waits until all of them have the roles.
func (l *pushLab) start(ctx context.Context) error {
	for _, peer := range l.peers() {
		err := peer.start(ctx)
		if errors.Is(err, errMissing) {
			l.table.note("push to %s was not measured: %s", peer.what, firstLine(err))
			continue
		}
		if err != nil {
			return fmt.Errorf("starting %s: %w", peer.what, err)
		}
		l.targets = append(l.targets, &pushTarget{name: peer.name, what: peer.what})
	}
	if err := l.startGuard(ctx); err != nil {
		return err
	}
	if l.later != nil {
		if err := l.later(ctx); err != nil {
			return err
		}
	}
	reply, err := l.wait(ctx, 0)
	if err != nil {
		return fmt.Errorf("%w; %+v", err, reply.Targets)
	}
	time.Sleep(time.Second) // a partner of replication and a domain controller have more to do at their start
	return nil
}

func (l *pushLab) startGuard(ctx context.Context) error {
	text := fmt.Sprintf(`store: {bolt: %s}
control: {socket: %s}
netbios:
  name: BENCH
  listen: [{address: "0.0.0.0:137"}]
  wins: {mode: own}
%szones: [{name: %s, ns: {ns1.%[4]s: [192.0.2.53]}%s}]
clusters:
  - name: bench
    defaults: {ttl: %ds, source: {operator: {initial: n1}}}
    nodes:
      n1: {public: [%s]}
      n2: {public: [%s]}
    roles:
      - {name: %s, dns: [%s], netbios: [%q]}
      - {name: %s, dns: [m000000.%s, m000000.%s]}
push:
  targets:
%s`, l.path("state.db"), l.path("s"), l.partner, zone, l.notify, pushTTL, clientAddr(peerWINS), secondAddr(peerWINS),
		ownedRole, dnsName(0), netbiosText(0), otherRole, pushZone, sambaZone, l.list)
	corefile := fmt.Sprintf(".:53 {\n transfer %s {\n to *\n }\n nameward %q\n}\n", zone, l.path("nameward.yaml"))
	if err := write(map[string]string{l.path("nameward.yaml"): text, l.path("Corefile"): corefile}); err != nil {
		return err
	}
	if err := l.launch(ctx, l.ns.client, "nameward", l.binary, "serve", "--corefile", l.path("Corefile")); err != nil {
		return err
	}
	l.client = pushctl.Client{Client: control.NewClient(l.path("s"))}
	guard := l.processes[len(l.processes)-1]
	return tries(ctx, 50*time.Millisecond, startLimit, func() error {
		if err := guard.ended(); err != nil {
			return err
		}
		st, err := l.client.Status(ctx, pushctl.Filter{})
		if err == nil && len(st.Targets) < len(l.targets) {
			err = fmt.Errorf("%d targets are followed", len(st.Targets))
		}
		return err
	})
}

// launch runs a server in a namespace; its directory has its log.
func (l *pushLab) launch(ctx context.Context, ns, name string, command ...string) error {
	p, err := launch(ctx, anyCore, l.path(name+".log"), "ip", within(ns, command...)...)
	if err == nil {
		l.processes = append(l.processes, p)
	}
	return err
}

// wait returns when every target has the roles as they are since a change.
func (l *pushLab) wait(ctx context.Context, change uint64) (pushctl.WaitReply, error) {
	reply, err := l.client.Wait(ctx, pushctl.WaitRequest{Change: change, Roles: []string{ownedRole, otherRole}}, settleLimit)
	if err == nil && !reply.Done {
		err = fmt.Errorf("not every target has the roles after %s", settleLimit)
	}
	if err == nil && len(reply.Targets) != len(l.targets) {
		err = fmt.Errorf("%d targets were told, of %d", len(reply.Targets), len(l.targets))
	}
	return reply, err
}

// move moves both roles under one change, and takes the time of each target.
func (l *pushLab) move(ctx context.Context, to func(*pushTarget) *samples) error {
	l.holder = 1 - l.holder
	moves, err := l.client.Switch(ctx, registry.SwitchRequest{Roles: []string{ownedRole, otherRole}, To: nodes[l.holder], By: "bench"})
	if err != nil {
		return err
	}
	reply, err := l.wait(ctx, moves.Change)
	if err != nil {
		return fmt.Errorf("%w: %+v", err, reply.Targets)
	}
	for _, p := range reply.Targets {
		for _, t := range l.targets {
			if t.name == p.Target {
				to(t).addTime(p.Took)
			}
		}
	}
	return nil
}

func (l *pushLab) report() {
	for _, t := range l.targets {
		r := row{what: fmt.Sprintf("push: change to verified at %s", t.what), ours: spread(t.took), peer: t.own}
		if t.name == targetHook {
			r.what = fmt.Sprintf("push: change to acknowledged by %s", t.what)
		}
		limit := time.Duration(0)
		switch t.name {
		case targetNotify:
			limit = pushNotifyRequired
		case targetWrepl:
			limit = pushWreplRequired
		}
		if limit == 0 {
			l.table.inform(r)
		} else {
			r.required = "p50 < " + limit.String()
			l.table.require(t.took.median() < float64(limit/time.Millisecond), r)
		}
		l.table.keep(r.what, "ms", t.took)
		l.table.keep(r.what+", right behind another change", "ms", t.behind)
		if t.name == targetNotify {
			l.table.inform(row{what: "push: the same, right behind another change", ours: spread(t.behind)})
		}
	}
}
