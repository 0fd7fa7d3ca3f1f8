package lint

import (
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/registry"
)

// Records yields what nameward itself publishes in a state: each name of a role with what is served, and
// the host names of nodes, on each channel that it takes.
func Records(s *registry.Snapshot) iter.Seq[policy.Request] {
	return func(yield func(policy.Request) bool) {
		for role := range s.Roles() {
			for _, name := range role.Role.DNS {
				if !yieldDNS(yield, name, role.V4(), role.V6()) {
					return
				}
			}
			for _, name := range role.Role.NetBIOS {
				r := policy.Request{NetBIOS: name, Type: policy.TypeNB, Addrs: role.V4()}
				if !yieldEach(yield, r, policy.WINS, policy.Push) {
					return
				}
			}
		}
		for _, n := range s.World.Nodes {
			is4 := func(a netip.Addr) bool { return a.Is4() }
			v6 := slices.DeleteFunc(slices.Clone(n.Public), is4)
			v4 := slices.DeleteFunc(slices.Clone(n.Public), netip.Addr.Is6)
			if n.Host != "" && !yieldDNS(yield, n.Host, v4, v6) {
				return
			}
		}
	}
}

func yieldDNS(yield func(policy.Request) bool, name string, v4, v6 []netip.Addr) bool {
	channels := []policy.Channel{policy.Answer, policy.Transfer, policy.Push}
	return yieldEach(yield, policy.Request{DNS: name, Type: dns.TypeA, Addrs: v4}, channels...) &&
		yieldEach(yield, policy.Request{DNS: name, Type: dns.TypeAAAA, Addrs: v6}, channels...)
}

func yieldEach(yield func(policy.Request) bool, r policy.Request, channels ...policy.Channel) bool {
	if len(r.Addrs) == 0 {
		return true
	}
	for _, r.Channel = range channels {
		if !yield(r) {
			return false
		}
	}
	return true
}

// Planner finds what a new policy changes among records that are held now.
type Planner struct {
	Older *policy.Policy // nil: the records are published as they are
	Newer *policy.Policy
	State *registry.Snapshot

	Looked, Changed int
}

// before is what becomes of a record now, and whether that changes.
func (p *Planner) before(r *policy.Request, after *policy.Decision) (was string, changes bool) {
	if p.Older != nil {
		d := p.Older.Decide(p.State, r)
		return outcome(&d), !same(&d, after)
	}
	if len(r.Addrs) == 0 {
		return "published", after.Verdict != policy.Publish
	}
	return "published: " + addrTexts(r.Addrs), !slices.Equal(r.Addrs, after.AppendPublished(nil))
}

// Look returns what becomes of a record that changes, or false.
func (p *Planner) Look(r *policy.Request, at finding.Place) (finding.Finding, bool) {
	p.Looked++
	after := p.Newer.Decide(p.State, r)
	was, changes := p.before(r, &after)
	if !changes {
		return finding.Finding{}, false
	}
	p.Changed++
	if at.File == "" {
		at = rulePlace(p.Newer, after.Rule)
	}
	return finding.Finding{
		Kind: ChangedRecord, Severity: ChangedRecord.Severity, Place: at,
		Message: strings.Join([]string{r.Name(), r.TypeName(), "on channel", r.Channel.String(), "is going to be", done(after.Verdict), "by rule", after.Rule.ID}, " "),
		Fields: []finding.Field{
			{Key: "rule", Value: after.Rule.ID}, {Key: "name", Value: r.Name()}, {Key: "channel", Value: r.Channel.String()},
			{Key: "old", Value: was}, {Key: "new", Value: outcome(&after)},
		},
	}, true
}
