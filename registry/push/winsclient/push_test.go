package winsclient

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
)

func addrs(list ...netip.Addr) []netip.Addr { return list }

// TestPush moves a role from ex1 to ex2 at a server that knows it somewhere.
func TestPush(t *testing.T) {
	record := func(list ...netip.Addr) map[netbios.Name][]netip.Addr {
		return map[netbios.Name][]netip.Addr{mail20: list}
	}
	tests := []struct {
		name   string
		server *wins
		local  []netip.Addr
		target config.Target
		holder string // "": ex2
		push   string // "" for acked
		has    string // "" for ex2's
		verify string // "" for verified
		took   time.Duration
	}{
		{name: "a name that nobody has", server: &wins{}},
		{name: "it is there already", server: &wins{records: record(ex2)}},
		{name: "nmbd, the owner dead", server: &wins{records: record(ex1), trusts: true}},
		{name: "nmbd, the owner would defend it", server: &wins{records: record(ex1), trusts: true, owner: map[netip.Addr][]netip.Addr{ex1: {ex1}}}},
		{name: "the owner dead", server: &wins{records: record(ex1)}, took: 3 * time.Second},
		{name: "the owner denies", server: &wins{records: record(ex1), owner: map[netip.Addr][]netip.Addr{ex1: nil}}},
		{
			name: "the owner defends it", server: &wins{records: record(ex1), owner: map[netip.Addr][]netip.Addr{ex1: {ex1}}},
			push: "failed: 192.0.2.42:137 answers for MAIL<20>: ACT_ERR: the host at 192.0.2.11 says that the name is its own, or the entry is static; let nameward answer NetBIOS there, or take the name off that host",
			has:  "192.0.2.11", verify: "stale 192.0.2.11",
		},
		{name: "nameward answers there", server: &wins{records: record(ex1), owner: map[netip.Addr][]netip.Addr{ex1: {ex2}}}},
		{
			name: "nameward pushes from the owner's host, where something else defends the name", local: addrs(ex1),
			server: &wins{records: record(ex1), owner: map[netip.Addr][]netip.Addr{ex1: {ex1}}},
		},
		{
			name: "a host that says that both are its own", server: &wins{records: record(ex1), owner: map[netip.Addr][]netip.Addr{ex1: {ex1, ex2}}},
			push: "failed: 192.0.2.42:137 keeps MAIL<20> at 192.0.2.11: it takes a release from that host only; run nameward there too, or wait until the entry has ended, for nobody here refreshes it",
			has:  "192.0.2.11, 192.0.2.12", verify: "stale 192.0.2.11 192.0.2.12",
		},
		{name: "the owner's management address", server: &wins{records: record(admin1)}, took: 3 * time.Second},
		{
			name: "a static entry", server: &wins{records: record(ex1), static: map[netbios.Name]bool{mail20: true}},
			push: "failed: 192.0.2.42:137 answers for MAIL<20>: ACT_ERR: the host at 192.0.2.11 says that the name is its own, or the entry is static; let nameward answer NetBIOS there, or take the name off that host",
			has:  "192.0.2.11", verify: "stale 192.0.2.11",
		},
		{
			name: "somebody else has it", server: &wins{records: record(nobody)},
			push: "failed: 192.0.2.42:137 has MAIL<20> at 192.0.2.99, which is no node's and was not told from here: with repair: true it is written over",
			has:  "192.0.2.99", verify: "foreign 192.0.2.99",
		},
		{name: "somebody else has it, and it is repaired", server: &wins{records: record(nobody)}, target: config.Target{Repair: true}, took: 3 * time.Second},
		{name: "packets are lost", server: &wins{records: record(ex1), trusts: true, lose: 3}, took: 1050 * time.Millisecond},
		{name: "the role has no IPv4 address any more, nmbd", server: &wins{records: record(ex1), trusts: true}, holder: "ex6", has: "-"},
		{name: "the role has no IPv4 address any more, and nameward was there", server: &wins{records: record(ex1)}, local: addrs(ex1), holder: "ex6", has: "-"},
		{
			name: "the role has no IPv4 address any more", server: &wins{records: record(ex1)}, holder: "ex6", has: "192.0.2.11",
			push:   "failed: 192.0.2.42:137 keeps MAIL<20> at 192.0.2.11: it takes a release from that host only; run nameward there too, or wait until the entry has ended, for nobody here refreshes it",
			verify: "stale 192.0.2.11",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			or := func(a, b string) string {
				if a == "" {
					return b
				}
				return a
			}
			reg := world(t, registry.Single, "MAIL<20>")
			it := item(t, reg, []string{or(tt.holder, "ex2")})
			synctest.Test(t, func(t *testing.T) {
				w := &wire{local: tt.local}
				tt.server.on(w)
				d := w.driver(tt.target)
				begin := time.Now()
				d.Push(t.Context(), []*push.Item{it})
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				if got, want := stage(it), or(tt.push, "acked"); got != want {
					t.Errorf("push\n got: %s\nwant: %s", got, want)
				}
				if got, want := or(tt.server.has(mail20), "-"), or(tt.has, ex2.String()); got != want {
					t.Errorf("the server has %s, want %s", got, want)
				}
				d.Verify(t.Context(), []*push.Item{it})
				if got, want := strings.ReplaceAll(stage(it), ",", ""), or(tt.verify, "verified"); got != want {
					t.Errorf("verify: got %s, want %s", got, want)
				}
			})
		})
	}
}

// TestPushSeveral has a role with several addresses, and names of other kinds.
func TestPushSeveral(t *testing.T) {
	both := map[netip.Addr][]netip.Addr{ex1: {ex1, ex2}, ex2: {ex1, ex2}}
	tests := []struct {
		name   string
		names  []string
		server *wins
		all    bool
		push   string
		has    string // at the first name
	}{
		{"the first one", []string{"MAIL<20>"}, &wins{}, false, "acked", "192.0.2.11"},
		{"all, each host confirms both", []string{"MAIL<20>"}, &wins{owner: both}, true, "acked", "192.0.2.11, 192.0.2.12"},
		{"all, the hosts are silent", []string{"MAIL<20>"}, &wins{}, true, "failed: 192.0.2.42:137 does not keep MAIL<20> at 192.0.2.11 as well: let nameward answer NetBIOS at each address, or write addresses: first", "192.0.2.12"},
		{
			"all, a host knows itself only", []string{"MAIL<20>"}, &wins{owner: map[netip.Addr][]netip.Addr{ex1: {ex1}}}, true,
			"failed: 192.0.2.42:137 answers for MAIL<20>: ACT_ERR, for it has the name at 192.0.2.11: nobody there confirms several addresses; let nameward answer NetBIOS at each of them, or write addresses: first", "192.0.2.11",
		},
		{"members of an internet group", []string{"MAIL<1c>"}, &wins{}, false, "acked", "192.0.2.11, 192.0.2.12"},
		{"a master browser is left out", []string{"MAIL<20>", "MAIL<1d>"}, &wins{}, false, "acked", "192.0.2.11"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			it := item(t, world(t, registry.All, tt.names...), []string{"ex1", "ex2"})
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				tt.server.on(w)
				d := w.driver(config.Target{WINS: &config.WINSTarget{All: tt.all}})
				d.Push(t.Context(), []*push.Item{it})
				if got := stage(it); got != tt.push {
					t.Errorf("push\n got: %s\nwant: %s", got, tt.push)
				}
				if got := tt.server.has(netbios.MustParseName(tt.names[0])); got != tt.has {
					t.Errorf("the server has %s, want %s", got, tt.has)
				}
				for _, m := range w.sent {
					if c, ok := m.Claim(); ok && len(c.Addrs) != 1 {
						t.Errorf("%s with %d addresses", m.Form(), len(c.Addrs))
					}
				}
			})
		})
	}
}

// TestPushOdd has servers that answer as none should, or not at all.
func TestPushOdd(t *testing.T) {
	type say = func(time.Duration, netbios.Message)
	positive := func(m netbios.Message) netbios.Message {
		return netbios.NewPositiveRegistration(m.ID, m.Questions[0].Name, 60, addresses(addrs(ex2))...)
	}
	tests := []struct {
		name string
		// register answers registrations; queries find nothing before and ex2 afterwards.
		register func(m netbios.Message, say say)
		want     string
		took     time.Duration
	}{
		{"silence", func(netbios.Message, say) {}, "failed: registration of MAIL<20> at 192.0.2.42:137: no answer in 8 tries: i/o timeout", 4050 * time.Millisecond},
		{"a wrong id, a wrong name, and then the answer", func(m netbios.Message, say say) {
			wrong := positive(m)
			wrong.ID++
			say(0, wrong)
			say(0, netbios.NewPositiveRegistration(m.ID, netbios.MustParseName("OTHER<20>"), 60, addresses(addrs(ex2))...))
			say(100*time.Millisecond, positive(m))
		}, "acked", 100 * time.Millisecond},
		{"time is asked for, and then it is refused", func(m netbios.Message, say say) {
			say(0, netbios.NewWack(m.Header, mail20, 9))
			say(2*time.Second, netbios.NewNegativeRegistration(m.ID, netbios.RcodeRefused, mail20, 0, addresses(addrs(ex2))...))
		}, "failed: 192.0.2.42:137 answers for MAIL<20>: RFS_ERR, when 192.0.2.12 is registered: look whether the server has a static entry or a group of that name", 2 * time.Second},
		{"time is asked for, and nothing comes", func(m netbios.Message, say say) {
			say(0, netbios.NewWack(m.Header, mail20, 9))
		}, "failed: registration of MAIL<20> at 192.0.2.42:137: no answer after a WACK: i/o timeout", 9 * time.Second},
		{"time is asked for without end", func(m netbios.Message, say say) {
			say(0, netbios.NewWack(m.Header, mail20, 9))
			say(time.Second, netbios.NewWack(m.Header, mail20, 9))
		}, "failed: registration of MAIL<20> at 192.0.2.42:137: second WACK for one request", time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			it := item(t, world(t, registry.Single, "MAIL<20>"), []string{"ex2"})
			synctest.Test(t, func(t *testing.T) {
				w, begin := &wire{}, time.Now()
				(&wins{}).on(w)
				w.hosts[server] = func(_ netip.AddrPort, m netbios.Message, say func(time.Duration, netbios.Message)) {
					if m.Form() == netbios.FormQuery {
						say(0, netbios.NewNegativeQuery(m.ID, netbios.RcodeName, mail20))
					} else {
						tt.register(m, say)
					}
				}
				w.driver(config.Target{}).Push(t.Context(), []*push.Item{it})
				if got := stage(it); got != tt.want {
					t.Errorf("push\n got: %s\nwant: %s", got, tt.want)
				}
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
			})
		})
	}
}

// TestEndNodeChallenge has a server that leaves the challenge to the node.
func TestEndNodeChallenge(t *testing.T) {
	owner137 := netip.AddrPortFrom(ex1, netbios.Port)
	for _, tt := range []struct {
		name   string
		owner  func(m netbios.Message) netbios.Message // nil: silent
		want   string
		at     netip.Addr
		forced bool
	}{
		{"a dead owner", nil, "acked", ex2, true},
		{"an owner that denies", func(m netbios.Message) netbios.Message {
			return netbios.NewNegativeQuery(m.ID, netbios.RcodeName, mail20)
		}, "acked", ex2, true},
		{"an owner that confirms", func(m netbios.Message) netbios.Message {
			return netbios.NewPositiveQuery(m.ID, mail20, 0, addresses(addrs(ex1))...)
		}, "failed: 192.0.2.11:137 answers for MAIL<20>: ACT_ERR: the host at 192.0.2.11 says that the name is its own, or the entry is static; let nameward answer NetBIOS there, or take the name off that host", ex1, false},
		{"nameward at the owner's", func(m netbios.Message) netbios.Message {
			return netbios.NewPositiveQuery(m.ID, mail20, 0, addresses(addrs(ex2))...)
		}, "acked", ex2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			it := item(t, world(t, registry.Single, "MAIL<20>"), []string{"ex2"})
			synctest.Test(t, func(t *testing.T) {
				w, at, forced := &wire{}, ex1, false
				(&wins{}).on(w)
				w.hosts[server] = func(_ netip.AddrPort, m netbios.Message, say func(time.Duration, netbios.Message)) {
					switch m.Form() {
					case netbios.FormQuery:
						say(0, netbios.NewPositiveQuery(m.ID, mail20, 0, addresses(addrs(at))...))
					case netbios.FormRelease:
						say(0, netbios.NewNegativeRelease(m.ID, netbios.RcodeRefused, mail20, addresses(addrs(ex1))...))
					case netbios.FormRegistration:
						say(0, netbios.NewEndNodeChallenge(m.ID, mail20, 0, addresses(addrs(at))...))
					case netbios.FormOverwrite:
						at, forced = ex2, true
						say(0, netbios.NewPositiveRegistration(m.ID, mail20, 60, addresses(addrs(ex2))...))
					}
				}
				if tt.owner != nil {
					w.hosts[owner137] = func(_ netip.AddrPort, m netbios.Message, say func(time.Duration, netbios.Message)) {
						if m.Flags&netbios.FlagRecursionDesired != 0 {
							t.Error("a challenge asks for recursion")
						}
						say(0, tt.owner(m))
					}
				}
				w.driver(config.Target{}).Push(t.Context(), []*push.Item{it})
				if got := stage(it); got != tt.want || at != tt.at || forced != tt.forced {
					t.Errorf("at %s, forced %t\n got: %s\nwant: %s", at, forced, got, tt.want)
				}
			})
		})
	}
}

// many are items of so many roles with three names each, which is more than there is in one world.
func many(t *testing.T, reg *registry.Registry, n int) []*push.Item {
	one := item(t, reg, []string{"ex2"})
	var items []*push.Item
	for i := range n {
		role := *one.Role
		static := *role.Role
		static.NetBIOS = nil
		for _, suffix := range []byte{0, 3, 0x20} {
			static.NetBIOS = append(static.NetBIOS, netbios.MustParseName(fmt.Sprintf("R%d", i)).WithSuffix(suffix))
		}
		role.Role = &static
		items = append(items, push.NewItem(one.Snap, &role, nil))
	}
	return items
}

// TestBatch moves 1,000 roles at once at a server that takes 100 ms for each answer, and where every owner is dead.
func TestBatch(t *testing.T) {
	items := many(t, world(t, registry.Single, "MAIL<20>"), 1000)
	synctest.Test(t, func(t *testing.T) {
		w, s := &wire{}, &wins{delay: 100 * time.Millisecond, records: map[netbios.Name][]netip.Addr{}}
		s.on(w)
		for _, it := range items {
			for _, name := range it.Role.Role.NetBIOS {
				s.records[name] = addrs(ex1)
			}
		}
		begin := time.Now()
		d := w.driver(config.Target{})
		d.Push(t.Context(), items)
		took := time.Since(begin)
		for _, it := range items {
			if got := stage(it); got != "acked" {
				t.Fatalf("%s: %s", it.Role.Role.NetBIOS[0], got)
			}
		}
		// Four requests for each of 3,000 names take 19 s; one challenge after the other would take two hours.
		if s.most > maxOutstanding || took > 45*time.Second {
			t.Errorf("%s, and %d requests were unanswered at one time", took, s.most)
		}
		t.Logf("3,000 names of dead owners: %s", took)
		if len(w.conns) != 0 {
			t.Errorf("%d sockets are open", len(w.conns))
		}
	})
}

// TestDead does not ask a dead server about every name.
func TestDead(t *testing.T) {
	items := many(t, world(t, registry.Single, "MAIL<20>"), 1000)
	synctest.Test(t, func(t *testing.T) {
		w, begin := &wire{}, time.Now()
		d := w.driver(config.Target{})
		for what, call := range map[string]func(context.Context, []*push.Item){"push": d.Push, "verify": d.Verify, "push again": d.Push} {
			call(t.Context(), items)
			if took := time.Since(begin); took > giveUpAfter {
				t.Errorf("%s took %s", what, took)
			}
			for _, it := range items {
				got := stage(it)
				if !strings.HasSuffix(got, "192.0.2.42:137 does not answer") && !strings.HasSuffix(got, "no answer in 8 tries: i/o timeout") {
					t.Fatal(got)
				}
			}
			if len(w.sent) == 0 || len(w.sent) > 8*maxOutstanding {
				t.Errorf("%s: %d packets were sent", what, len(w.sent))
			}
			w.sent, begin = nil, time.Now()
		}
	})
}

// TestEnd ends a push in the middle.
func TestEnd(t *testing.T) {
	it := item(t, world(t, registry.Single, "MAIL<20>"), []string{"ex2"})
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		(&wins{records: map[netbios.Name][]netip.Addr{mail20: {ex1}}}).on(w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		w.driver(config.Target{}).Push(ctx, []*push.Item{it})
		if got := stage(it); !strings.HasPrefix(got, "failed: registration of MAIL<20>") || !strings.Contains(got, "deadline exceeded") {
			t.Error(got)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %s", took)
		}
	})
}
