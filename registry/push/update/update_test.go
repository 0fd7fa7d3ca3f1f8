package update

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/tsig"
)

const (
	name   = "mail0.corp.example."
	beside = "_nameward.mail0.corp.example."
	onEx1  = "A 192.0.2.11, AAAA 2001:db8::11"
	onEx2  = "A 192.0.2.12"
)

func mark(epoch int, node string) string {
	return fmt.Sprintf("TXT v=1 role=role0 epoch=%d holder=%s", epoch, node)
}

// TestPush: what stands at a name, what comes of a push of epoch 5 with holder ex1, and what stands there then.
func TestPush(t *testing.T) {
	theirs := func(epoch int) string {
		return beside + fmt.Sprintf(` 60 TXT "v=1 role=role0 epoch=%d holder=ex2 id=1"`, epoch)
	}
	const years = "mail0.corp.example. 3600 A 192.0.2.12"
	const stranger = "mail0.corp.example. 3600 A 203.0.113.9"
	for _, tt := range []struct {
		name    string
		stands  []string
		options []option
		told    string
		want    string
		after   string
		marker  string // "": none
	}{
		{name: "nothing", want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "an administrator's record of a node", stands: []string{years}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "a record of somebody else", stands: []string{stranger, years}, want: "foreign [203.0.113.9 192.0.2.12]", after: "A 192.0.2.12, A 203.0.113.9"},
		{name: "repaired", stands: []string{stranger}, options: []option{repairing}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "what was told before", stands: []string{stranger}, told: "203.0.113.9", want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "an alias", stands: []string{name + " 60 CNAME ex9.corp.example."}, want: "foreign", after: "CNAME ex9.corp.example."},
		{name: "an alias, repaired", stands: []string{name + " 60 CNAME ex9.corp.example."}, options: []option{repairing}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "an older epoch", stands: []string{years, theirs(4)}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "ours", stands: []string{years, theirs(5)}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "a newer epoch", stands: []string{years, theirs(6)}, want: "failed: mail0.corp.example.: epoch 6 of role role0 stands there, holder ex2: the target has a newer epoch than this guard", after: onEx2, marker: mark(6, "ex2")},
		{name: "a newer epoch, repaired or not", stands: []string{years, theirs(6)}, options: []option{repairing}, want: "failed: mail0.corp.example.: epoch 6 of role role0 stands there, holder ex2: the target has a newer epoch than this guard", after: onEx2, marker: mark(6, "ex2")},
		{name: "the marker of a role that was renamed", stands: []string{years, beside + ` 60 TXT "v=1 role=old epoch=9 holder=ex2 id=1"`}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "a text that is no marker", stands: []string{years, beside + ` 60 TXT "hello"`}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "two markers", stands: []string{theirs(3), beside + ` 60 TXT "v=1 role=role0 epoch=4 holder=ex2 id=1"`}, want: "acked", after: onEx1, marker: mark(5, "ex1")},
		{name: "no marker wanted", stands: []string{years}, options: []option{unmarked}, want: "acked", after: onEx1},
		{name: "no marker wanted, somebody else", stands: []string{stranger}, options: []option{unmarked}, want: "foreign [203.0.113.9]", after: "A 203.0.113.9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tsig.Key{}, tt.stands...)
			g := newGuard(t, 1, []*server{s}, tt.options...)
			if tt.told != "" {
				g.told["role0"] = []netip.Addr{netip.MustParseAddr(tt.told)}
			}
			g.claim(5, "ex1", 0)
			for range 2 { // twice does no harm
				if got := g.push(0); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
				if got := s.has(name); got != tt.after {
					t.Errorf("%s stand there, want %s", got, tt.after)
				}
				if got := s.has(beside); got != tt.marker && tt.want == "acked" {
					t.Errorf("marker %q, want %q", got, tt.marker)
				}
			}
			g.forget()
			if got := g.push(0); got != tt.want {
				t.Errorf("after a restart: %s, want %s", got, tt.want)
			}
		})
	}
}

// TestWithdrawn: a role that nobody holds has no addresses, and the marker stays.
func TestWithdrawn(t *testing.T) {
	s := newServer(t, tsig.Key{})
	g := newGuard(t, 1, []*server{s})
	g.claim(5, "ex1", 0)
	g.push(0)
	e := g.forward(g.reg.Snapshot(), g.items(0)[0].Role, nil)[0]
	o := &order{Item: g.items(0)[0], left: 1}
	e.want, e.orders = nil, []*order{o}
	g.deliver(t.Context(), s.addr, []*entry{e})
	if got := stage(o.Item) + ", " + s.has(name) + ", " + s.has(beside); got != "acked, , "+mark(5, "ex1") {
		t.Error(got)
	}
}

// TestLate is the story of a write that is under way for too long: of epoch 5, to ex1, between those of 4 and 6, both to
// ex2. With a marker it never goes through; without one, what stands there has come back to what it was.
func TestLate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options []option
		late    int
		after   string
	}{
		{"marker", nil, dns.RcodeNXRrset, onEx2},
		{"no marker", []option{unmarked}, dns.RcodeSuccess, onEx1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, tsig.Key{})
			slow, quick := newGuard(t, 1, []*server{s}, tt.options...), newGuard(t, 1, []*server{s}, tt.options...)
			for _, g := range []*guard{slow, quick} {
				g.claim(4, "ex2", 0)
			}
			if got := slow.push(0); got != "acked" {
				t.Fatal(got)
			}
			slow.claim(5, "ex1", 0)
			s.acts(func(m *dns.Msg) *dns.Msg { // the write of epoch 5 stays on its way
				s.late = append(s.late, m.Copy())
				return new(dns.Msg).SetRcode(m, dns.RcodeNotAuth)
			})
			slow.push(0)
			s.acts(nil)
			quick.claim(6, "ex2", 0)
			if got := quick.push(0); got != "acked" {
				t.Fatal(got)
			}
			s.arrive(t, tt.late)
			if got := s.has(name); got != tt.after {
				t.Errorf("%s, want %s", got, tt.after)
			}
			if got := quick.verify(0); (got == "verified") != (tt.after == onEx2) {
				t.Error(got)
			}
			if tt.after != onEx2 {
				return
			}
			if got := slow.push(0); !strings.HasSuffix(got, push.ErrNewer.Error()) {
				t.Errorf("the slow one once more: %s", got)
			}
		})
	}
}

// TestOwnLate: a late write of our own loses too, within one epoch.
func TestOwnLate(t *testing.T) {
	s := newServer(t, tsig.Key{})
	g := newGuard(t, 1, []*server{s})
	g.claim(4, "ex2", 0)
	g.push(0)
	g.claim(5, "ex1", 0)
	s.delay()
	if got := g.push(0); got != "acked" { // the second try goes through
		// One name that is refused while nobody else writes is not tried again at once.
		if got = g.push(0); got != "acked" {
			t.Fatal(got)
		}
	}
	s.arrive(t, dns.RcodeNXRrset)
}

// TestRace: guards that see epochs come in any order, and push them at once, leave the newest.
func TestRace(t *testing.T) {
	for range 10 {
		s := newServer(t, tsig.Key{})
		var all sync.WaitGroup
		for i := range 3 {
			g := newGuard(t, 1, []*server{s})
			all.Go(func() {
				for epoch := uint64(1 + i); epoch < 16; epoch += uint64(1 + i) {
					g.claim(epoch, []string{"ex1", "ex2"}[epoch%2], 0)
					for try := 0; ; try++ {
						it := g.items(0)
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
						g.Push(ctx, it)
						cancel()
						if st, _, why := it[0].Stage(); st == push.Acked || errors.Is(why, push.ErrNewer) {
							break
						}
						if try > 20 {
							t.Errorf("guard %d never gets through: %s", i, stage(it[0]))
							return
						}
					}
				}
			})
		}
		all.Wait()
		if got := s.has(name) + ", " + s.has(beside); got != onEx1+", "+mark(15, "ex2") && got != onEx2+", "+mark(15, "ex2") {
			t.Error(got)
		}
		if got := s.has(name); got != onEx2 { // 15 is odd
			t.Errorf("epoch 15 is on %s", got)
		}
	}
}

// TestUntrusted: what an answer that is not signed well says counts for nothing, what stands there does.
func TestUntrusted(t *testing.T) {
	key, err := tsig.New("", "guard.", "c2VjcmV0")
	if err != nil {
		t.Fatal(err)
	}
	unsigned := func(m *dns.Msg, rcode int) *dns.Msg {
		reply := new(dns.Msg).SetRcode(m, rcode)
		h := dns.RR_Header{Name: "guard.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}
		reply.Extra = []dns.RR{&dns.TSIG{Hdr: h, Algorithm: dns.HmacSHA256, TimeSigned: uint64(time.Now().Unix()), Fudge: 300, MACSize: 2, MAC: "beef", OrigId: m.Id}}
		return reply
	}
	for _, tt := range []struct {
		name    string
		act     func(s *server) func(m *dns.Msg) *dns.Msg
		want    string
		after   string
		updates int
	}{
		{"says no and does it", func(s *server) func(*dns.Msg) *dns.Msg {
			return func(m *dns.Msg) *dns.Msg { s.update(m); return unsigned(m, dns.RcodeServerFailure) }
		}, "acked", onEx1, 1},
		{"says yes and does it not", func(*server) func(*dns.Msg) *dns.Msg {
			return func(m *dns.Msg) *dns.Msg { return unsigned(m, dns.RcodeSuccess) }
		}, "not to be trusted", "", 1},
		{"refuses", func(*server) func(*dns.Msg) *dns.Msg {
			return func(m *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(m, dns.RcodeRefused) }
		}, "says REFUSED", "", 1},
		{"knows no key", func(*server) func(*dns.Msg) *dns.Msg {
			return func(m *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(m, dns.RcodeNotAuth) }
		}, "NOTAUTH", "", 1},
		{"well", func(*server) func(*dns.Msg) *dns.Msg { return nil }, "acked", onEx1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, key)
			g := newGuard(t, 1, []*server{s})
			g.claim(5, "ex1", 0)
			s.acts(tt.act(s))
			if got := g.push(0); got != tt.want && (tt.want == "acked" || !strings.Contains(got, tt.want)) {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := s.has(name); got != tt.after {
				t.Errorf("%s stand there, want %s", got, tt.after)
			}
			if n := s.count(); n != tt.updates {
				t.Errorf("%d updates, want %d", n, tt.updates)
			}
		})
	}
}

// TestMany: a thousand roles go in few messages, and names that a primary does not take do not fail the others.
func TestMany(t *testing.T) {
	const n = 1000
	s := newServer(t, tsig.Key{})
	g := newGuard(t, n, []*server{s}, pointing)
	var roles []int
	for i := range n {
		roles = append(roles, i)
	}
	push1000 := func(what string) []*push.Item {
		items := g.items(roles...)
		began := time.Now()
		g.Push(t.Context(), items)
		t.Logf("%s: %v, %d messages", what, time.Since(began), s.count())
		return items
	}
	counted := func(items []*push.Item) map[string]int {
		got := map[string]int{}
		for _, it := range items {
			s, _, _ := it.Stage()
			got[s.String()]++
		}
		return got
	}
	g.claim(1, "ex1", roles...)
	if got := counted(push1000("first")); got["acked"] != n {
		t.Fatal(got)
	}
	g.claim(2, "ex2", roles...)
	items := push1000("second")
	if got := counted(items); got["acked"] != n {
		t.Fatal(got)
	}
	began := time.Now()
	g.Verify(t.Context(), items)
	t.Logf("asked in %v", time.Since(began))
	if got := counted(items); got["verified"] != n {
		t.Fatal(got)
	}
	s.acts(func(m *dns.Msg) *dns.Msg {
		for _, r := range m.Ns {
			if strings.HasPrefix(r.Header().Name, "mail77") {
				return new(dns.Msg).SetRcode(m, dns.RcodeRefused)
			}
		}
		return nil
	})
	g.claim(3, "ex1", roles...)
	for _, it := range push1000("eleven are refused") {
		st, _, why := it.Stage()
		if bad := strings.HasPrefix(it.Role.Role.DNS[0], "mail77"); (st == push.Acked) == bad {
			t.Errorf("%s: %s, %v", it.Role.Role.DNS[0], st, why)
		}
	}
	s.acts(func(m *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(m, dns.RcodeRefused) })
	g.claim(4, "ex2", roles...)
	items = g.items(roles...)
	g.Push(t.Context(), items)
	if got := counted(items); got["failed"] != n {
		t.Error(got)
	}
	if n := s.count(); n > maxRefusals {
		t.Errorf("%d messages to a primary that refuses all", n)
	}
}

// TestBetween: somebody else writes between reading and writing.
func TestBetween(t *testing.T) {
	for _, tt := range []struct {
		epoch int
		want  string
		after string
	}{{4, "acked", onEx1}, {6, "failed: mail0.corp.example.: epoch 6 of role role0 stands there, holder ex2: " + push.ErrNewer.Error(), onEx2}} {
		s := newServer(t, tsig.Key{})
		g := newGuard(t, 2, []*server{s})
		g.claim(5, "ex1", 0, 1)
		marker := rr(t, beside+fmt.Sprintf(` 60 TXT "v=1 role=role0 epoch=%d holder=ex2 id=1"`, tt.epoch))
		address := rr(t, name+" 5 A 192.0.2.12")
		s.acts(func(*dns.Msg) *dns.Msg {
			s.sets[keyOf(beside, dns.TypeTXT)], s.sets[keyOf(name, dns.TypeA)] = []dns.RR{marker}, []dns.RR{address}
			s.act = nil
			return nil
		})
		items := g.items(0, 1)
		g.Push(t.Context(), items)
		if got := stage(items[0]); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
		if got := stage(items[1]) + " " + s.has("mail1.corp.example."); got != "acked "+onEx1 {
			t.Errorf("the other one: %s", got)
		}
		if got := s.has(name); got != tt.after {
			t.Errorf("%s stand there, want %s", got, tt.after)
		}
	}
}

// TestPrimaries: the first one that is there takes it; a second one that has not heard of the first has its own idea of
// what stands there.
func TestPrimaries(t *testing.T) {
	first, second := newServer(t, tsig.Key{}), newServer(t, tsig.Key{})
	dead := &server{addr: netip.MustParseAddrPort("127.0.0.1:1")}
	g := newGuard(t, 1, []*server{dead, first})
	g.claim(5, "ex1", 0)
	if got := g.push(0) + ", " + g.verify(0); got != "acked, verified" {
		t.Error(got)
	}
	g = newGuard(t, 1, []*server{first, second}, asking)
	g.claim(6, "ex2", 0)
	if got := g.push(0) + ", " + g.verify(0); got != "acked, stale" {
		t.Errorf("the second one has not heard of it: %s", got)
	}
	second.set(t, name+" 5 A 192.0.2.12")
	if got := g.verify(0); got != "verified" {
		t.Errorf("it has: %s", got)
	}
	// The first one goes, and what was known of it is not so at the second one.
	g.cfg.Primary = nil
	next := newGuard(t, 1, []*server{dead, second})
	next.Driver.known = g.known
	next.claim(7, "ex1", 0)
	if got := next.push(0) + ", " + second.has(name); got != "acked, "+onEx1 {
		t.Error(got)
	}
	nobody := newGuard(t, 1, []*server{dead})
	nobody.claim(1, "ex1", 0)
	if got := nobody.push(0); !strings.HasPrefix(got, "failed: no primary can be reached; 127.0.0.1:1") {
		t.Error(got)
	}
	if got := nobody.verify(0); !strings.HasPrefix(got, "failed: ") {
		t.Error(got)
	}
}

const (
	ptr1 = "11.2.0.192.in-addr.arpa."
	ptr2 = "12.2.0.192.in-addr.arpa."
)

// TestPointers: PTR records go with the roles, and with the node when it has none.
func TestPointers(t *testing.T) {
	s := newServer(t, tsig.Key{}, ptr2+" 3600 PTR pc7.elsewhere.example.")
	g := newGuard(t, 2, []*server{s}, pointing)
	want := func(what, result, one, two string) {
		t.Helper()
		if got := s.has(ptr1) + ", " + s.has(ptr2); got != one+", "+two {
			t.Errorf("%s: %s, want %s, %s", what, got, one, two)
		}
		if got := g.verify(0); got != result {
			t.Errorf("%s: %s, want %s", what, got, result)
		}
	}
	g.claim(1, "ex1", 0, 1)
	if got := g.push(0); got != "acked" {
		t.Fatal(got)
	}
	want("on ex1", "verified", "PTR mail0.corp.example.", "PTR pc7.elsewhere.example.")
	g.claim(2, "ex2", 0)
	if got := g.push(0); got != "foreign [192.0.2.12]" {
		t.Error(got)
	}
	want("what is foreign stays", "foreign [192.0.2.12]", "PTR mail1.corp.example.", "PTR pc7.elsewhere.example.")
	if got := s.has(name); got != onEx2 {
		t.Errorf("the name does not wait for the PTR record: %s", got)
	}
	s.remove(ptr2, dns.TypePTR)
	if got := g.push(0); got != "acked" {
		t.Error(got)
	}
	want("it is gone", "verified", "PTR mail1.corp.example.", "PTR mail0.corp.example.")
	s.count()
	g.claim(2, "ex2", 1)
	g.push(1)
	want("all on ex2", "verified", "PTR ex1.corp.example.", "PTR mail0.corp.example.")
	if n := s.count(); n != 2 {
		t.Errorf("%d messages: one for the name and one for the PTR record that changes", n)
	}
	s.set(t, ptr1+" 60 PTR mail0.corp.example.")
	if got := g.verify(0); got != "stale [192.0.2.11]" {
		t.Errorf("an old one has come back: %s", got)
	}
	g.push(0)
	want("told again", "verified", "PTR ex1.corp.example.", "PTR mail0.corp.example.")
	// An item that was made before another role moved does not bring the old PTR record back.
	old := g.items(0)
	g.claim(3, "ex1", 0, 1)
	g.push(0)
	g.push(1)
	g.forget()
	g.Push(t.Context(), old)
	if got := s.has(ptr1); got != "PTR mail0.corp.example." {
		t.Errorf("%s, %s", stage(old[0]), got)
	}
}

// TestForeign: what somebody writes beside us is found, and a repair takes it away.
func TestForeign(t *testing.T) {
	s := newServer(t, tsig.Key{})
	g := newGuard(t, 1, []*server{s}, repairing)
	g.claim(5, "ex1", 0)
	if got := g.push(0) + ", " + g.verify(0); got != "acked, verified" {
		t.Fatal(got)
	}
	for what, found := range map[string]string{
		name + " 60 A 203.0.113.9":                "foreign [203.0.113.9 2001:db8::11]",
		name + " 60 A 192.0.2.12":                 "stale [192.0.2.12 2001:db8::11]",
		name + " 60 CNAME ex9.elsewhere.example.": "failed: mail0.corp.example. is an alias of ex9.elsewhere.example., of which the server says nothing",
	} {
		s.set(t, what)
		if got := g.verify(0); got != found {
			t.Errorf("%s: %s, want %s", what, got, found)
		}
		if got := g.push(0) + ", " + g.verify(0) + ", " + s.has(name); got != "acked, verified, "+onEx1 {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestContent(t *testing.T) {
	s := newServer(t, tsig.Key{})
	for _, tt := range []struct {
		options []option
		want    string
	}{
		{nil, "mail0.corp.example. 5 192.0.2.11 2001:db8::11; epoch 5"},
		{[]option{unmarked}, "mail0.corp.example. 5 192.0.2.11 2001:db8::11"},
		{[]option{pointing}, "mail0.corp.example. 5 192.0.2.11 2001:db8::11; 11.2.0.192.in-addr.arpa. 5 mail0.corp.example.; epoch 5"},
	} {
		g := newGuard(t, 1, []*server{s}, tt.options...)
		g.claim(5, "ex1", 0)
		if got := g.Content(g.reg.Snapshot(), g.items(0)[0].Role); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
		g.cfg.Zone = "sub.corp.example."
		if got := g.Content(g.reg.Snapshot(), g.items(0)[0].Role); got != "" {
			t.Errorf("of another zone: %s", got)
		}
	}
}

func FuzzMarker(f *testing.F) {
	f.Add("v=1 role=role0 epoch=6 holder=ex2 id=9f0c6a51d2b37e84")
	f.Add("v=2 epoch=6")
	f.Add("epoch=-1 v=1")
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := parseMarker(text)
		if !ok {
			return
		}
		if again, ok := parseMarker(m.String()); !ok || again != m {
			t.Errorf("%q: %+v, and then %+v", text, m, again)
		}
	})
}
