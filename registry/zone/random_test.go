package zone

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// randomWorld has other zones, names, name servers and timers each time.
func randomWorld(rnd *rand.Rand) *registry.World {
	w := testWorld()
	child := func(name, ns string) *registry.Zone {
		z := *w.Zones[0]
		z.Name, z.NS = name, []registry.NameServer{{Name: ns}}
		if rnd.IntN(2) == 0 {
			z.NS[0].Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.54")}
		}
		return &z
	}
	w.Zones[0].TTL = time.Duration(1+rnd.IntN(2)) * time.Hour
	w.Zones[0].Refresh = time.Duration(1+rnd.IntN(3)) * time.Minute
	if rnd.IntN(2) == 0 {
		w.Zones = w.Zones[:1+rnd.IntN(2)]
	}
	if rnd.IntN(2) == 0 {
		w.Zones = append(w.Zones, child("c.corp.example.", "ns.c.corp.example."))
	}
	if rnd.IntN(3) == 0 {
		w.Zones = append(w.Zones, child("w.corp.example.", "ns1.corp.example."))
	}
	if rnd.IntN(2) == 0 {
		w.Nodes[1].Host = "b.corp.example."
	}
	for _, name := range []string{"a.corp.example.", "y.d.c.corp.example.", "sub.corp.example.", "x.y.w.corp.example."} {
		if rnd.IntN(4) == 0 {
			w.Roles[0].DNS = append(w.Roles[0].DNS, name)
		}
	}
	return w
}

// TestFollow plays updates, switches and configurations at random: each zone then has what a fresh start on the
// same state has, its digest is right, and secondaries of all zones follow, also over the wrap of the serial.
func TestFollow(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 13))
		l := newLab(t)
		far(l, []uint32{1 << 31, 1<<32 - 20, 1<<32 - 1, 0xffff_0000}[seed%4])
		secondaries := map[string]*secondary{}
		for range 60 {
			switch rnd.IntN(12) {
			case 0:
				l.switchTo([]string{"ex1", "ex2"}[rnd.IntN(2)])
			case 1, 2:
				l.configure(randomWorld(rnd))
			case 3:
				l.restart()
			case 4:
				l.kill()
			case 5:
				if err := l.db.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
			case 6:
				if l.db.View("2.0.192.in-addr.arpa.") != nil {
					l.update("2.0.192.in-addr.arpa.", fmt.Sprintf("+ %d.2.0.192.in-addr.arpa. 5 PTR x.corp.example.", 10+rnd.IntN(5)))
				}
			default:
				l.update(corp, randomUpdate(rnd))
			}
			if rnd.IntN(3) == 0 {
				pullAll(l, secondaries)
			}
			sameAsFresh(l)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// far has the zones begin at a serial.
func far(l *lab, serial uint32) {
	l.t.Helper()
	l.stop()
	p := &packer{}
	for name, k := range l.db.whole() {
		p.zone(name)
		p.head(serial, k.digest)
	}
	p.entry(tagClean, nil)
	if _, err := l.journal.Append(p.b); err != nil {
		l.t.Fatal(err)
	}
	l.open()
}

func pullAll(l *lab, secondaries map[string]*secondary) {
	l.t.Helper()
	for _, z := range l.db.State().World.Zones {
		s := secondaries[z.Name]
		if s == nil {
			s = &secondary{t: l.t}
			secondaries[z.Name] = s
		}
		v := l.db.View(z.Name)
		if s.serial != 0 && s.serial != v.Serial && !Newer(v.Serial, s.serial) {
			l.t.Errorf("%s goes from serial %d to %d", z.Name, s.serial, v.Serial)
		}
		s.pull(v)
		s.same(v)
	}
}

func sameAsFresh(l *lab) {
	l.t.Helper()
	fresh, err := Open(l.journal.Copy(), DefaultLimits, l.reg.Snapshot, nopLog)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, z := range l.db.State().World.Zones {
		v, f := l.db.View(z.Name), fresh.View(z.Name)
		if v.Zone != z || v.digest != digestOf(v.State, z) || v.digest != f.digest {
			l.t.Errorf("%s: the digest is wrong", z.Name)
		}
		if a, b := transferred(v), transferred(f); !slices.Equal(a, b) {
			l.t.Errorf("%s has\n%q\nand after a start\n%q", z.Name, a, b)
		}
		if v.records != f.records || v.octets != f.octets {
			l.t.Errorf("%s counts %d records and %d octets, and after a start %d and %d", z.Name, v.records, v.octets, f.records, f.octets)
		}
	}
}

// transferred is a zone in words, without its SOA.
func transferred(v *View) (out []string) {
	for rrs := range v.Transfer() {
		for _, rr := range rrs {
			if rr.Header().Rrtype != dns.TypeSOA {
				out = append(out, rr.String())
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestOldSerials: who is far behind, or ahead, gets what helps.
func TestOldSerials(t *testing.T) {
	l := newLab(t)
	far(l, 1<<32-200)
	first := l.db.View(corp).Serial
	for i := range 1000 {
		l.update(corp, fmt.Sprintf("+ n%d 5 A 192.0.2.1; - n%d", i%10, (i+5)%10))
	}
	v := l.db.View(corp)
	kinds := map[string]int{}
	for back := range uint32(1200) {
		serial := v.Serial - back
		n, isWhole := 0, false
		for rrs := range v.TransferSince(serial) {
			if n++; n == 2 {
				_, isDifference := rrs[0].(*dns.SOA)
				isWhole = !isDifference
			}
		}
		switch {
		case n == 1:
			kinds["soa"]++
		case isWhole:
			kinds["whole"]++
		default:
			kinds["differences"]++
		}
	}
	if kinds["soa"] != 1 || kinds["whole"] < 300 || kinds["differences"] < 100 {
		t.Errorf("%v from serial %d to %d", kinds, first, v.Serial)
	}
	for _, ahead := range []uint32{1, 1000, 1<<31 - 1} {
		n := 0
		for range v.TransferSince(v.Serial + ahead) {
			n++
		}
		if n != 1 {
			t.Errorf("a secondary that is %d ahead gets %d", ahead, n)
		}
	}
}

func TestHistoryBounds(t *testing.T) {
	var h history
	for i := range uint32(3 * maxSteps) {
		h = h.with(&Step{Before: &dns.SOA{Serial: i}, After: &dns.SOA{Serial: i + 1}}, 1<<30)
	}
	if len(h.steps) != maxSteps || h.octets != maxSteps*2*soaOctets {
		t.Errorf("%d steps of %d octets", len(h.steps), h.octets)
	}
	if steps, ok := h.since(3*maxSteps - 5); !ok || len(steps) != 5 {
		t.Errorf("%d steps, %v", len(steps), ok)
	}
	if h = h.within(10); len(h.steps) != 0 || h.octets != 0 {
		t.Errorf("%d steps of %d octets", len(h.steps), h.octets)
	}
}

// TestReaders has everybody at once; it is for the race detector.
func TestReaders(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	s := &secondary{t: t}
	readers.Go(func() {
		for ctx.Err() == nil {
			v := l.db.View(corp)
			s.pull(v)
			s.same(v)
		}
	})
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				superseded, v := l.db.Superseded(), l.db.View(corp)
				for n := range v.All() {
					for _, rr := range v.Lookup(n.Owner, dns.TypeA).Records {
						_ = dns.Copy(rr).String()
					}
				}
				_, _, _, _ = v.Lookup("none.w."+corp, dns.TypeA), v.Has("c."+corp), v.Records(), v.SOA()
				_, _, _ = l.db.State(), l.db.Err(), l.db.Waiting()
				select {
				case <-superseded:
				case <-ctx.Done():
				}
			}
		})
	}
	for id := range uint64(3) {
		writers.Go(func() {
			rnd := rand.New(rand.NewPCG(id, 17))
			for range 300 {
				l.update(corp, randomUpdate(rnd))
			}
		})
	}
	writers.Go(func() {
		rnd := rand.New(rand.NewPCG(7, 17))
		for i := range 30 {
			l.configure(randomWorld(rnd))
			l.switchTo([]string{"ex1", "ex2"}[i%2])
			l.db.Configure(Limits{Records: 50 + i, Queue: 100})
		}
	})
	writers.Go(func() {
		for i := range 60 {
			if err := l.db.Checkpoint(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := l.db.Change(t.Context(), func(_ string, r Record) bool { return i%10 == 0 && r.RR.Header().Ttl == 6 }); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Wait()
	cancel()
	readers.Wait()
	s.pull(l.db.View(corp))
	s.same(l.db.View(corp))
}
