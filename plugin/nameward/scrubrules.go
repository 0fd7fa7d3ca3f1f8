package nameward

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/zone"
)

// answerRules is what the answers of other servers are held against.
type answerRules interface {
	Policy() *policy.Policy
	answerChoice() *answerChoice
}

// answerChoice is what the configuration says of the answers of other servers.
type answerChoice struct {
	servfail bool // what was signed and had to be changed becomes SERVFAIL for validators
	rebinding
	gates map[string]string // by zone whose updates are to come here: the name of this guard
	log   zerolog.Logger
}

func newAnswerChoice(a config.Answers, gates []config.Gate, log zerolog.Logger) *answerChoice {
	c := &answerChoice{servfail: a.Signed == config.SignedServfail, gates: map[string]string{}, log: log}
	c.on, c.zones = a.Rebinding.On, map[string]bool{}
	for _, zone := range a.Rebinding.PrivateZones {
		c.zones[zone] = true
	}
	for _, g := range gates {
		if g.MName != "" {
			c.gates[g.Zone] = g.MName
		}
	}
	return c
}

// defaultChoice is in force without a configuration.
var defaultChoice = newAnswerChoice(config.Answers{}, nil, zerolog.Nop())

// rebinding is the protection against names of public zones with private addresses.
type rebinding struct {
	on    bool
	zones map[string]bool // where names may have such addresses
}

// localOnly are the prefixes of addresses that mean something else in every network, beside those that
// netip knows: "this network" (RFC 1122, Section 3.2.1.3), shared (RFC 6598), the IPv6 block with the
// unspecified, the loopback and the IPv4-compatible addresses (RFC 4291, Section 2.5), and site-local
// ones (RFC 3879).
var localOnly = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"),
}

// isLocal reports whether an address, without NAT64 or IPv4-mapped clothes, is private, loopback,
// link-local, unique local, shared or unspecified.
func isLocal(plain netip.Addr) bool {
	if plain.IsPrivate() || plain.IsLoopback() || plain.IsLinkLocalUnicast() {
		return true
	}
	for _, p := range localOnly {
		if p.Contains(plain) {
			return true
		}
	}
	return false
}

// isPrivate reports whether a name, lower case, lies in a zone whose names may have local addresses: one
// that is listed, or an owned one. Guarded names may have what they have.
func (b *rebinding) isPrivate(snap *registry.Snapshot, name string) bool {
	if _, ok := snap.Lookup(name); ok || snap.Zone(name) != nil {
		return true
	}
	for len(b.zones) > 0 {
		if b.zones[name] {
			return true
		}
		if name == "." || name == "" {
			return false
		}
		name = registry.Parent(name)
	}
	return false
}

// review is one look at an answer: what it is held against, and what was last learnt of an owner name,
// because records of one owner stand together.
type review struct {
	snap   *registry.Snapshot
	zones  *zone.DB
	policy *policy.Policy
	screen *policy.Screen
	choice *answerChoice
	r      *dns.Msg // the query

	owner   string
	suspect bool // every record of the owner
}

// review prepares a look at the answer to a query.
func (h *Handler) review(r *dns.Msg) review {
	v := review{snap: h.State.Snapshot(), zones: h.State.Zones(), r: r, policy: policy.Default(), choice: defaultChoice}
	if h.Rules != nil {
		v.policy, v.choice = h.Rules.Policy(), h.Rules.answerChoice()
	}
	v.screen = v.policy.Screen(policy.Answer)
	return v
}

// asked is the name of the question in lower case, "" without one.
func (v *review) asked() string {
	if len(v.r.Question) != 1 {
		return ""
	}
	return strings.ToLower(v.r.Question[0].Name)
}

// rebinds reports whether the protection takes a local address out: its owner is a name of a public zone,
// or the name that was asked for is and the address is the answer, whatever aliases lead there.
func (v *review) rebinds(plain netip.Addr, owner string, inAnswer bool) bool {
	b := &v.choice.rebinding
	return b.on && isLocal(plain) && !(b.isPrivate(v.snap, owner) && (!inAnswer || b.isPrivate(v.snap, v.asked())))
}
