package updatesctl

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/store/journal"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// lab has the owned zones corp.example., in which the registry has mail (a role's), ex1 (a host) and ns1, and
// lab.example. with a book of updates, behind a control server on a real socket.
type lab struct {
	t           *testing.T
	zones       *zone.DB
	book        *updates.Book
	zoneJournal *journal.Memory
	bookJournal *journal.Memory
	log         bytes.Buffer
	server      *Server
	client      Client
}

var errDisk = errors.New("the disk is full")

const at = 1_800_000_000 // 2027-01-15T08:00:00Z

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, zoneJournal: &journal.Memory{}, bookJournal: &journal.Memory{}}
	reg, err := registry.Open(testWorld(), &registry.Memory{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if l.zones, err = zone.Open(l.zoneJournal, zone.DefaultLimits, reg.Snapshot, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	if l.book, err = updates.Open(l.bookJournal, updates.DefaultLimits, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	l.server = &Server{Zones: func() *zone.DB { return l.zones }, Book: func() *updates.Book { return l.book }, Log: zerolog.New(zerolog.SyncWriter(&l.log))}
	l.client = l.serve(l.server, reg, l.zones.Run, l.book.Run)
	return l
}

// serve runs a control server with the handlers, and other tasks, until the test ends.
func (l *lab) serve(s *Server, reg *registry.Registry, others ...func(context.Context) error) Client {
	l.t.Helper()
	ctl := &control.Server{
		Registry: reg, Config: func() control.ConfigStatus { return control.ConfigStatus{} }, Mount: s.Mount,
		Updates: control.Updates{Serial: s.Serial, Registered: s.Registered, Held: s.HeldOf},
	}
	path := filepath.Join(l.t.TempDir(), "c.sock")
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	for _, task := range append(others, reg.Run, func(ctx context.Context) error { return ctl.Serve(ctx, path) }) {
		tasks.Go(func() { _ = task(ctx) })
	}
	l.t.Cleanup(func() {
		cancel()
		tasks.Wait()
	})
	client := control.NewClient(path)
	for range 5000 {
		if _, err := client.Status(ctx); err == nil {
			return Client{client}
		}
		time.Sleep(time.Millisecond)
	}
	l.t.Fatal("nobody answers on the socket")
	return Client{}
}

func testWorld() *registry.World {
	nodes := []*registry.Node{
		{Name: "ex1", Host: "ex1.corp.example.", Public: []netip.Addr{netip.MustParseAddr("192.0.2.11")}},
		{Name: "ex2", Public: []netip.Addr{netip.MustParseAddr("192.0.2.12")}},
	}
	w := &registry.World{Nodes: nodes, Roles: []*registry.Role{{
		Name: "mailbox", DNS: []string{"mail.corp.example.", "deep.down.corp.example."}, Nodes: nodes, TTL: 5 * time.Second,
		Source: registry.Source{Kind: registry.SourceOperator, Initial: "ex1"},
	}}}
	for _, name := range []string{"corp.example.", "lab.example.", "2.0.192.in-addr.arpa."} {
		w.Zones = append(w.Zones, &registry.Zone{
			Name: name, Mbox: "hostmaster." + name, TTL: time.Hour, Negative: 5 * time.Second, Refresh: time.Minute, Retry: time.Minute, Expire: time.Hour,
			NS: []registry.NameServer{{Name: "ns1.corp.example.", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}},
		})
	}
	return w
}

// register adds records to a zone.
func (l *lab) register(name string, records ...string) {
	l.t.Helper()
	u := zone.Update{Zone: name, By: &zone.By{Source: netip.MustParseAddr("192.0.2.77"), Principal: "dhcp.", At: at, Decision: 0xabc}}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			l.t.Fatal(err)
		}
		u.Changes = append(u.Changes, rr)
	}
	if res, err := l.zones.Do(l.t.Context(), u); err != nil || res.Rcode != 0 {
		l.t.Fatal(res.Why, err)
	}
}

// hold notes an update of name's A record.
func (l *lab) hold(name, data, source string, fate held.Fate) {
	l.book.Note(updates.Held{
		Zone: "corp.example.", Name: name, Type: dns.TypeA, Data: data, Source: netip.MustParseAddr(source), Fate: fate, Reason: "filtered-class",
		Rule: "builtin-filtered", Decision: 0xdef,
	})
}

// records lists what a filter leaves, a record a line, or the error.
func (l *lab) records(f RecordFilter) string {
	var out []string
	err := l.client.Records(l.t.Context(), f, func(r Record) error {
		out = append(out, r.Name+" "+r.Type+" "+r.Data)
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return strings.Join(out, "\n")
}

// held lists what a filter leaves, an entry a line, or the error.
func (l *lab) held(f Filter) string {
	var out []string
	err := l.client.Updates(l.t.Context(), f, func(h Held) error {
		out = append(out, strings.Join([]string{h.Name, h.What, h.Type, h.Data, h.Fate, h.Source.String()}, " "))
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return strings.Join(out, "\n")
}

// removed takes records out and lists what went, or the error.
func (l *lab) removed(name, rrtype, data string) string {
	reply, err := l.client.Remove(l.t.Context(), RemoveRequest{Name: name, Type: rrtype, Data: data, By: "root@ex1"})
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, r := range reply.Removed {
		out = append(out, r.Name+" "+r.Type+" "+r.Data)
	}
	return strings.Join(out, "\n")
}

// get fetches a path as somebody without the client would.
func (l *lab) get(path string) string {
	var out any
	if err := l.client.Call(l.t.Context(), http.MethodGet, path, nil, &out); err != nil {
		return err.Error()
	}
	return "ok"
}
