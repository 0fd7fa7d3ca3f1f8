package lint

import (
	"net/netip"
	"slices"
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
	"github.com/nameward/nameward/registry"
)

// Way is a way in which an address of a prefix can be published under a name.
type Way struct {
	Rule     *policy.Rule
	Class    string
	Channels []policy.Channel
	Witness  Witness
}

// Reach answers which requests could put an address of a prefix under a name: a way for each rule that
// publishes one and each class. None means that there is none, if proved. What a rewrite publishes is the
// holder's own and not looked at.
func Reach(w *registry.World, now time.Time, p *policy.Policy, name *policy.Request, prefix netip.Prefix) (ways []Way, proved bool, err error) {
	s, err := newFocused(w, now, p, name, prefix)
	if err != nil {
		return nil, false, err
	}
	s.walk(func(c *context, hits []hit) bool {
		for _, h := range hits {
			i, _ := s.first(0, h.rules)
			if r := s.rules[i]; h.addr != nil && r.Action == policy.Publish {
				ways = addWay(ways, s, r, c, h.addr)
			}
		}
		return true
	})
	return ways, !s.unfinished, nil
}

func addWay(ways []Way, s *space, r *policy.Rule, c *context, a *addrAtom) []Way {
	i := slices.IndexFunc(ways, func(w Way) bool { return w.Rule == r && w.Class == a.classes[0] })
	if i < 0 {
		i = len(ways)
		ways = append(ways, Way{Rule: r, Class: a.classes[0], Witness: s.witness(c, a.addr)})
	}
	ways[i].Channels = with(ways[i].Channels, c.channel)
	return ways
}

// Finding is a way as a finding about a policy.
func (w *Way) Finding(p *policy.Policy) finding.Finding {
	class := "no class"
	if w.Class != "" {
		class = "class " + w.Class
	}
	kind := Published
	if !isFiltered(w.Class) {
		kind = Reachable
	}
	return finding.Finding{
		Kind: kind, Severity: kind.Severity, Place: rulePlace(p, w.Rule),
		Message: "rule " + w.Rule.ID + " publishes " + addrTexts(w.Witness.Request.Addrs) + " of " + class + " under " + w.Witness.Request.Name(),
		Fields: []finding.Field{
			{Key: "rule", Value: w.Rule.ID}, {Key: "name", Value: w.Witness.Request.Name()}, {Key: "address", Value: addrTexts(w.Witness.Request.Addrs)},
			{Key: "class", Value: w.Class}, {Key: "channel", Value: channelList(w.Channels)}, {Key: "witness", Value: w.Witness.String()},
		},
	}
}
