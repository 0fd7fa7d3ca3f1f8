package main

import (
	"context"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/updates/updatesctl"
	"github.com/nameward/nameward/registry/zone"
)

// updateslab is a program of the scripts: the owned zones corp.example. and lab.example. in memory behind the
// control API, without the packets. Role mailbox has mail.corp.example. and is held by ex1, 192.0.2.11; ex2 is its
// other member. What was registered and what is held is there when the socket answers.
func updateslab() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	reg, err := registry.Open(updatesWorld(), &registry.Memory{}, zerolog.Nop())
	if err != nil {
		log.Fatal(err)
	}
	zones, err := zone.Open(&journal.Memory{}, zone.DefaultLimits, reg.Snapshot, zerolog.Nop())
	if err != nil {
		log.Fatal(err)
	}
	book, err := updates.Open(&journal.Memory{}, updates.DefaultLimits, zerolog.Nop())
	if err != nil {
		log.Fatal(err)
	}
	var tasks sync.WaitGroup
	for _, task := range []func(context.Context) error{reg.Run, zones.Run, book.Run} {
		tasks.Go(func() { _ = task(ctx) })
	}
	registerRecords(ctx, zones)
	noteUpdates(book)
	s := &updatesctl.Server{
		Zones: func() *zone.DB { return zones }, Book: func() *updates.Book { return book },
		Log: zerolog.New(os.Stderr),
	}
	ctl := &control.Server{
		Registry: reg, Config: func() control.ConfigStatus { return control.ConfigStatus{} }, Mount: s.Mount, Started: time.Now(),
		Updates: control.Updates{Registered: s.Registered, Held: s.HeldOf},
	}
	if err := ctl.Serve(ctx, os.Getenv("NAMEWARD_SOCKET")); err != nil {
		log.Fatal(err)
	}
	tasks.Wait()
}

func updatesWorld() *registry.World {
	nodes := []*registry.Node{
		{Name: "ex1", Cluster: "mail", Public: []netip.Addr{netip.MustParseAddr("192.0.2.11")}},
		{Name: "ex2", Cluster: "mail", Public: []netip.Addr{netip.MustParseAddr("192.0.2.12")}},
	}
	role := &registry.Role{
		Name: "mailbox", Cluster: "mail", DNS: []string{"mail.corp.example."}, Nodes: nodes, TTL: 5 * time.Second,
		Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"},
	}
	w := &registry.World{Nodes: nodes, Roles: []*registry.Role{role}}
	for _, name := range []string{"corp.example.", "lab.example."} {
		w.Zones = append(w.Zones, &registry.Zone{
			Name: name, Mbox: "hostmaster." + name, TTL: time.Hour, Negative: 5 * time.Second, Refresh: time.Minute, Retry: time.Minute, Expire: time.Hour,
			NS: []registry.NameServer{{Name: "ns1." + name, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}},
		})
	}
	return w
}

func registerRecords(ctx context.Context, zones *zone.DB) {
	by := &zone.By{Source: netip.MustParseAddr("192.0.2.77"), Principal: "dhcp.corp.example.", At: time.Now().Unix(), Decision: 0xabc}
	u := zone.Update{Zone: "corp.example.", By: by}
	for _, text := range []string{
		"pc1.corp.example. 300 A 192.0.2.71", "pc1.corp.example. 300 A 192.0.2.72", `pc1.corp.example. 60 TXT "seat 12" "b"`,
		"*.apps.corp.example. 30 A 192.0.2.80", "www.corp.example. 30 CNAME pc1.corp.example.", "mail.corp.example. 30 TXT role-account",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			log.Fatal(err)
		}
		u.Changes = append(u.Changes, rr)
	}
	if res, err := zones.Do(ctx, u); err != nil || res.Rcode != 0 {
		log.Fatal(res.Why, err)
	}
}

func noteUpdates(book *updates.Book) {
	for _, h := range []updates.Held{
		{Name: "wpad.corp.example.", Data: "192.0.2.66", Source: netip.MustParseAddr("192.0.2.66"), Fate: held.Refused, Reason: "reserved", Rule: "builtin-reserved", Alert: true},
		{Name: "pc1.corp.example.", Data: "10.9.0.71", Source: netip.MustParseAddr("192.0.2.77"), Principal: "dhcp.corp.example.", Fate: held.Quarantined,
			Reason: "filtered-class", Rule: "builtin-filtered", Decision: 0xdef},
		{Name: "mail.corp.example.", Data: "192.0.2.12", Source: netip.MustParseAddr("192.0.2.12"), Principal: "ex2$@CORP.EXAMPLE", Fate: held.Parked, Role: "mailbox", Reason: "guarded"},
		{Name: "mail.corp.example.", Data: "192.0.2.12", Source: netip.MustParseAddr("192.0.2.12"), Principal: "ex2$@CORP.EXAMPLE", Fate: held.Parked, Role: "mailbox", Reason: "guarded"},
		{Name: "mail.corp.example.", Deletes: true, Source: netip.MustParseAddr("2001:db8::66"), Fate: held.Ignored, Reason: "guarded", Role: "mailbox"},
	} {
		h.Zone, h.Type = "corp.example.", dns.TypeA
		book.Note(h)
	}
}
