package registry

import (
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
)

// World is what the configuration says there is. It is validated before it gets here and never
// changes afterwards; a reload brings a new one.
type World struct {
	Nodes   []*Node
	Roles   []*Role // names are unique
	Zones   []*Zone
	Classes []Class
	// NAT64 are the prefixes of the site's own translators, beside the well-known ones: 32, 40, 48, 56,
	// 64 or 96 bits (RFC 6052, Section 2.2).
	NAT64 []netip.Prefix
}

// Node is a cluster member. Only its Public addresses are ever published.
type Node struct {
	Name    string // unique over all clusters
	Cluster string
	Site    string // "" when none is written
	Host    string // the node's own DNS owner name, lower case and fully qualified; "" when none
	Public  []netip.Addr
	Other   []ClassAddr // management, replication, ...: never published
}

// ClassAddr is an address with the name of its class.
type ClassAddr struct {
	Class string
	Addr  netip.Addr
}

// Class is a named set of prefixes. Every class but "public" is kept out of what is published.
type Class struct {
	Name     string
	Prefixes []netip.Prefix
}

// PublicClass is the name of the only class whose addresses are published.
const PublicClass = "public"

// Role is the unit of failover.
type Role struct {
	Name    string
	Cluster string
	Mode    Mode
	DNS     []string       // owner names, lower case and fully qualified; the first is the target of PTR
	NetBIOS []netbios.Name // upper case, each with its suffix
	Nodes   []*Node        // in written order, which is the order of preference
	Source  Source

	TTL         time.Duration // of answers, whole seconds
	TTLChanging time.Duration // of answers in the Changing window; 0: TTL
	Changing    time.Duration // how long after a change TTLChanging holds

	OnConflict   Choice // Hold, Withdraw or AnswerAll
	OnSourceLost Choice // Hold or Withdraw
}

// Source names where a role's claims come from. What the source itself needs to know is the
// business of its own package.
type Source struct {
	Kind    string // "file", "probe" or "operator"
	Detail  string // what people are shown beside Kind: a path, "tcp 25"; "" for operator
	Initial string // operator: the node that holds the role when nothing was ever decided; "" for none
}

// String is Kind and Detail, as status prints it.
func (s Source) String() string {
	if s.Detail == "" {
		return s.Kind
	}
	return s.Kind + " " + s.Detail
}

// SourceOperator is the kind of a role that moves only on an operator's word.
const SourceOperator = "operator"

// Zone is an owned zone: nameward is authoritative for it.
type Zone struct {
	Name     string // lower case and fully qualified
	NS       []NameServer
	Mbox     string        // SOA RNAME, fully qualified
	TTL      time.Duration // of SOA and NS
	Negative time.Duration // SOA MINIMUM: how long "no such name" may be cached, RFC 2308, Section 4
	Refresh  time.Duration
	Retry    time.Duration
	Expire   time.Duration
	Notify   []netip.AddrPort // secondaries that are told of a new serial (NOTIFY)
	Updates  bool             // dynamic updates are taken, RFC 2136
	Stream   *Service         // where DNS Push is served for the zone; nil: nowhere
}

// Service is where clients find a server.
type Service struct {
	Host string // fully qualified
	Port uint16
}

// StreamService is the name, below a zone, of the SRV record of DNS Push: RFC 8765, Section 6.1.
const StreamService = "_dns-push-tls._tcp."

// NameServer is a name server of an owned zone; Addrs is its glue when its name is inside the zone.
type NameServer struct {
	Name  string
	Addrs []netip.Addr
}

// Mode says how many nodes serve a role at once.
type Mode uint8

// Single has one holder; All is served by every healthy member.
const (
	Single Mode = iota
	All
)

func (m Mode) String() string {
	if m == All {
		return "all"
	}
	return "single"
}

// Choice says what is served when two nodes claim a role, or nobody can say who holds it.
type Choice uint8

// Hold serves the last known state, Withdraw nothing, AnswerAll (conflicts only) every claimant.
const (
	Hold Choice = iota
	Withdraw
	AnswerAll
)

func (c Choice) String() string {
	switch c {
	case Withdraw:
		return "withdraw"
	case AnswerAll:
		return "answer-all"
	}
	return "hold"
}

// Node returns the role's member with that name, or nil.
func (r *Role) Node(name string) *Node {
	for _, n := range r.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// AtSite returns the first member, in written order, that stands at the site, or nil.
func (r *Role) AtSite(site string) *Node {
	for _, n := range r.Nodes {
		if n.Site == site {
			return n
		}
	}
	return nil
}
