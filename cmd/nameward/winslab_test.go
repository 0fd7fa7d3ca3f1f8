package main

import (
	"context"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/netbios/wins/winsctl"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/store/journal"
)

// winslab is a program of the scripts: a WINS server in memory behind the control API, without the
// packets. Role mailbox has MAIL<20> and is held by ex1, 192.0.2.11; addresses in 10.9.0.0/16 are
// management addresses, and WPAD is refused. What nodes registered is there when the socket answers.
func winslab() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l := newWinslab()
	var tasks sync.WaitGroup
	for _, task := range []func(context.Context) error{l.reg.Run, l.db.Run, l.usage.Run} {
		tasks.Go(func() { _ = task(ctx) })
	}
	for _, r := range []struct{ name, addr string }{
		{"SQL<20>", "192.0.2.30"}, {"APP<00>", "192.0.2.31"}, {"MAIL<20>", "192.0.2.11"}, {"MAIL<20>", "198.51.100.12"},
		{"MAIL<20>", "10.9.0.12"}, {"WPAD<00>", "192.0.2.66"},
	} {
		l.register(r.name, netip.MustParseAddr(r.addr))
	}
	note := l.usage.Recorder()
	for _, client := range []string{"192.0.2.77", "192.0.2.78", "192.0.2.77"} {
		for _, name := range []string{"MAIL<20>", "SQL<20>", "CORP<1c>"} {
			note.Note(usage.Note{Name: netbios.MustParseName(name), Source: netip.MustParseAddr(client), Found: name != "CORP<1c>"})
		}
	}
	s := &winsctl.Server{
		DB: func() *wins.Database { return l.db }, Usage: func() *usage.Tracker { return l.usage }, Snapshot: l.reg.Snapshot,
		DNSSuffix: func() string { return "corp.example." },
	}
	ctl := &control.Server{
		Registry: l.reg, Config: func() control.ConfigStatus { return control.ConfigStatus{} }, WINS: s.Status, Mount: s.Mount, Started: time.Now(),
	}
	if err := ctl.Serve(ctx, os.Getenv("NAMEWARD_SOCKET")); err != nil {
		log.Fatal(err)
	}
	tasks.Wait()
}

type winsLab struct {
	reg   *registry.Registry
	db    *wins.Database
	usage *usage.Tracker
	said  chan wins.Answer
}

func newWinslab() *winsLab {
	l := &winsLab{usage: usage.New(0), said: make(chan wins.Answer)}
	nodes := []*registry.Node{
		{Name: "ex1", Cluster: "mail", Public: []netip.Addr{netip.MustParseAddr("192.0.2.11")}},
		{Name: "ex2", Cluster: "mail", Public: []netip.Addr{netip.MustParseAddr("198.51.100.12")}},
	}
	role := &registry.Role{
		Name: "mailbox", Cluster: "mail", DNS: []string{"mail.corp.example."}, NetBIOS: []netbios.Name{netbios.MustParseName("MAIL<20>")},
		Nodes: nodes, Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"}, TTL: 5 * time.Second,
	}
	var err error
	if l.reg, err = registry.Open(&registry.World{Nodes: nodes, Roles: []*registry.Role{role}}, &registry.Memory{}, zerolog.Nop()); err != nil {
		log.Fatal(err)
	}
	set := wins.Settings{Timers: wins.DefaultTimers, Limits: wins.DefaultLimits}
	if l.db, err = wins.Open(&journal.Memory{}, set, l, nil, zerolog.Nop()); err != nil {
		log.Fatal(err)
	}
	return l
}

// Admit is the guard.
func (l *winsLab) Admit(r *wins.Request) wins.Verdict {
	v := wins.Verdict{Action: wins.Publish, ByRule: true, Addrs: r.Addrs, Decision: 0xabc}
	role, guarded := l.reg.Snapshot().NetBIOS(r.Name)
	switch {
	case r.Name.Base() == "WPAD":
		v.Action, v.Reason, v.Rule = wins.Refuse, "reserved", "builtin-reserved"
	case netip.MustParsePrefix("10.9.0.0/16").Contains(r.Addrs[0].Addr):
		v.Action, v.Addrs, v.Reason, v.Rule = wins.Quarantine, nil, "filtered-class", "builtin-filtered"
	case guarded:
		v.Action, v.Guarded, v.Role, v.Reason = wins.Park, true, role.Role.Name, wins.ReasonGuarded
	}
	return v
}

// Answer takes the answer to the one request under way.
func (l *winsLab) Answer(_ *wins.Request, a wins.Answer) { l.said <- a }

// Flush does nothing.
func (l *winsLab) Flush() {}

func (l *winsLab) register(name string, addr netip.Addr) {
	l.db.Submit(&wins.Request{
		Op: wins.Register, Name: netbios.MustParseName(name), TTL: 300_000, To: l, Source: netip.AddrPortFrom(addr, 137),
		Addrs: []netbios.Address{{Flags: netbios.HNode, Addr: addr}},
	})
	<-l.said
}
