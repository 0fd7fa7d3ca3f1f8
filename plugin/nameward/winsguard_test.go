package nameward

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
)

// newPair is a role MAIL<20> on ex1 and ex2; ex1 holds it. LOST<20> has no holder yet.
func newPair(t *testing.T) *served {
	t.Helper()
	pair := []*registry.Node{newNode("ex1", "", "10.9.0.11", "192.0.2.11"), newNode("ex2", "", "10.9.0.12", "198.51.100.12")}
	role := func(name, nb string) *registry.Role {
		return &registry.Role{
			Name: name, Nodes: pair, NetBIOS: []netbios.Name{netbios.MustParseName(nb)},
			Source: registry.Source{Kind: "file"}, TTL: 5 * time.Second,
		}
	}
	r := run(t, &registry.World{
		Nodes: pair, Roles: []*registry.Role{role("mailbox", "MAIL<20>"), role("lost", "LOST<20>")},
		Classes: []registry.Class{{Name: "management", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}},
	})
	claim(t, r, "mailbox", "ex1")
	return r
}

const guardPolicy = `
version: 1
controllers: [203.0.113.5/32]
rules:
  - {id: relay, names: ["FS*<20>"], channels: [wins], from: [203.0.113.9/32], action: publish}
  - {id: anybody, names: ["PC*<20>"], channels: [wins], action: publish}
  - {id: no, names: ["BAD<20>"], action: refuse, reason: decommissioned}
  - {id: theirs, names: ["OLD<20>"], action: forward}
`

func TestWINSGuard(t *testing.T) {
	reg := newPair(t)
	custom, err := policy.Parse("policy.yaml", []byte(guardPolicy))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		line    string // NAME SOURCE ADDRESS..., a g behind the name for a group
		own     bool   // by the policy above
		want    wins.Action
		kept    string
		reason  string
		guarded bool
		byRule  bool
		handOn  bool
		local   bool
	}{
		{name: "holder", line: "MAIL<20> 192.0.2.11 192.0.2.11", want: wins.Publish, kept: "192.0.2.11", reason: "rule", guarded: true},
		{name: "lower case", line: "mail<20> 192.0.2.11 192.0.2.11", want: wins.Publish, kept: "192.0.2.11", reason: "rule", guarded: true},
		{name: "passive node", line: "MAIL<20> 198.51.100.12 198.51.100.12", want: wins.Park, kept: "198.51.100.12", reason: "rule", guarded: true},
		{name: "passive node, sent from its management address", line: "MAIL<20> 10.9.0.12 198.51.100.12", want: wins.Park, kept: "198.51.100.12", reason: "rule", guarded: true},
		{name: "management address", line: "MAIL<20> 10.9.0.11 10.9.0.11", want: wins.Quarantine, reason: "emptied", guarded: true},
		{name: "both of the passive node", line: "MAIL<20> 198.51.100.12 10.9.0.12 198.51.100.12", want: wins.Park, kept: "198.51.100.12", reason: "rule", guarded: true},
		{name: "both of the holder", line: "MAIL<20> 192.0.2.11 10.9.0.11 192.0.2.11", want: wins.Publish, kept: "192.0.2.11", reason: "rule", guarded: true},
		{name: "nobody holds it", line: "LOST<20> 192.0.2.11 192.0.2.11", want: wins.Park, kept: "192.0.2.11", reason: "no-holder", guarded: true},
		{name: "stranger", line: "MAIL<20> 203.0.113.66 203.0.113.66", want: wins.Quarantine, reason: "emptied", guarded: true},
		{name: "stranger with the holder's address", line: "MAIL<20> 203.0.113.66 192.0.2.11", want: wins.Quarantine, reason: "not-the-source", guarded: true},
		{name: "stranger with a passive node's address", line: "MAIL<20> 203.0.113.66 198.51.100.12", want: wins.Quarantine, reason: "not-the-source", guarded: true},
		{name: "passive node with the holder's address", line: "MAIL<20> 198.51.100.12 192.0.2.11", want: wins.Quarantine, reason: "not-the-source", guarded: true},
		{name: "another name", line: "FS1<20> 203.0.113.7 203.0.113.7", want: wins.Publish, kept: "203.0.113.7", reason: "default"},
		{name: "another name, management address", line: "FS1<20> 10.9.0.7 10.9.0.7", want: wins.Quarantine, reason: "emptied"},
		{name: "another name, both", line: "FS1<20> 203.0.113.7 203.0.113.7 10.9.0.7", want: wins.Publish, kept: "203.0.113.7", reason: "rule"},
		{name: "group, from a management address", line: "CORP<1e>g 10.9.0.7 10.9.0.7", want: wins.Publish, kept: "10.9.0.7", reason: "default", local: true},
		{name: "group, from a public address", line: "CORP<1e>g 203.0.113.7 203.0.113.7", want: wins.Publish, kept: "203.0.113.7", reason: "default"},
		{name: "group that the policy refuses", own: true, line: "BAD<20>g 10.9.0.7 10.9.0.7", want: wins.Refuse, reason: "rule"},
		{name: "1C, from a management address", own: true, line: "CORP<1c>g 10.9.0.7 10.9.0.7", want: wins.Quarantine, reason: "emptied"},
		{name: "guarded name as a group", line: "MAIL<20>g 10.9.0.11 10.9.0.11", want: wins.Quarantine, reason: "emptied", guarded: true},
		{name: "WPAD", line: "WPAD 203.0.113.7 203.0.113.7", want: wins.Quarantine, reason: "rule"},
		{name: "1C of a stranger", line: "CORP<1c> 203.0.113.7 203.0.113.7", want: wins.Quarantine, reason: "rule"},
		{name: "1C of a controller", own: true, line: "CORP<1c> 203.0.113.5 203.0.113.5", want: wins.Publish, kept: "203.0.113.5", reason: "rule", byRule: true},
		{name: "a relay that the policy knows", own: true, line: "FS1<20> 203.0.113.9 203.0.113.7", want: wins.Publish, kept: "203.0.113.7", reason: "rule", byRule: true},
		{name: "a rule for everybody vouches for nobody", own: true, line: "PC1<20> 203.0.113.8 203.0.113.7", want: wins.Publish, kept: "203.0.113.7", reason: "rule"},
		{name: "refused", own: true, line: "BAD<20> 203.0.113.7 203.0.113.7", want: wins.Refuse, reason: "rule"},
		{name: "handed on", own: true, line: "OLD<20> 203.0.113.7 203.0.113.7", want: wins.Publish, kept: "203.0.113.7", reason: "rule", handOn: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := winsGuard{reg.Snapshot, policy.Default}
			if tt.own {
				g.policy = func() *policy.Policy { return custom }
			}
			words := strings.Fields(tt.line)
			flags := netbios.HNode
			name, isGroup := strings.CutSuffix(words[0], ">g")
			if isGroup {
				name, flags = name+">", flags|netbios.Group
			}
			r := &wins.Request{Op: wins.Register, Name: netbios.MustParseName(name), Source: netip.AddrPortFrom(netip.MustParseAddr(words[1]), 137)}
			for _, a := range words[2:] {
				r.Addrs = append(r.Addrs, netbios.Address{Flags: flags, Addr: netip.MustParseAddr(a)})
			}
			v := g.Admit(r)
			var kept []string
			for _, a := range v.Addrs {
				kept = append(kept, a.Addr.String())
			}
			if v.Action != tt.want || strings.Join(kept, " ") != tt.kept || v.Reason != tt.reason || v.Guarded != tt.guarded ||
				v.ByRule != tt.byRule || v.HandOn != tt.handOn || v.Local != tt.local || v.Guarded != (v.Role != "") {
				t.Errorf("%+v, want %+v", v, tt)
			}
			r.Op = wins.Release
			if v := g.Admit(r); v.Guarded != tt.guarded {
				t.Errorf("its release: %+v", v)
			}
		})
	}
}

// TestWINSReplicas has a partner's records meet the policy: its nodes are judged as if they had registered here.
func TestWINSReplicas(t *testing.T) {
	reg := newPair(t)
	custom, err := policy.Parse("policy.yaml", []byte(guardPolicy))
	if err != nil {
		t.Fatal(err)
	}
	set := wins.Settings{Timers: wins.DefaultTimers, Limits: wins.DefaultLimits}
	db, err := wins.Open(&journal.Memory{}, set, winsGuard{reg.Snapshot, func() *policy.Policy { return custom }}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- db.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	owner := wins.IPv4{198, 51, 100, 53}
	for i, tt := range []struct {
		name, addrs string
		kind        wins.Kind
		kept        string // "-" for none
		held        string
	}{
		{name: "FS1<20>", addrs: "203.0.113.7", kept: "203.0.113.7"},
		{name: "FS2<20>", addrs: "203.0.113.7 10.9.0.7", kind: wins.Multihomed, kept: "203.0.113.7", held: "quarantined emptied"},
		{name: "FS3<20>", addrs: "10.9.0.7", kept: "-", held: "quarantined emptied"},
		{name: "MAIL<20>", addrs: "192.0.2.11", kept: "-", held: "ignored rule"},
		{name: "mail<20>", addrs: "203.0.113.66", kept: "-", held: "ignored emptied"},
		{name: "LOST<20>", addrs: "192.0.2.11", kept: "-", held: "ignored no-holder"},
		{name: "WPAD<00>", addrs: "203.0.113.7", kept: "-", held: "quarantined rule"},
		{name: "BAD<20>", addrs: "203.0.113.7", kept: "-", held: "quarantined rule"},
		{name: "OLD<20>", addrs: "203.0.113.7", kept: "203.0.113.7"},
		{name: "CORP<1c>", addrs: "203.0.113.5 203.0.113.66", kind: wins.Internet, kept: "203.0.113.5", held: "quarantined rule"},
		{name: "CORP<1e>", addrs: "10.9.0.7", kind: wins.Group, kept: "255.255.255.255"},
	} {
		r := wins.Record{Name: netbios.MustParseName(tt.name), Kind: tt.kind, Node: netbios.HNode, Version: uint64(i) + 1}
		var members []wins.Member
		for _, a := range strings.Fields(tt.addrs) {
			members = append(members, wins.Member{Addr: wins.IPv4Of(netip.MustParseAddr(a)), Owner: owner})
		}
		r.SetMembers(members)
		if _, err := db.Apply(t.Context(), wins.Replicas{Partner: owner, Owner: owner, Records: []wins.Record{r}}); err != nil {
			t.Fatal(err)
		}
		var kept []string
		found, _ := db.Snapshot().Query(nil, r.Name, wins.StampOf(time.Now()))
		for _, a := range found.Addrs {
			kept = append(kept, a.Addr.String())
		}
		if got := cmp.Or(strings.Join(kept, " "), "-"); got != tt.kept {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.kept)
		}
		held := ""
		for _, h := range db.Held() {
			if h.Name == r.Name.Fold() && h.What == wins.Replica && h.Source == owner.Addr() && h.Claimed[0].Addr == members[len(members)-1].Addr.Addr() {
				held = h.Fate.String() + " " + h.Reason
			}
		}
		if held != tt.held {
			t.Errorf("%s: held %q, want %q", tt.name, held, tt.held)
		}
	}
}
