package notice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
)

// Notice is a change as others are told of it.
type Notice struct {
	Change uint64 `json:"change"` // the step of the registry; it grows by one with each
	Roles  []Role `json:"roles"`
}

// Role is the state that a role has now. Its lists are never null.
type Role struct {
	Role      string       `json:"role"`
	Cluster   string       `json:"cluster"`
	Epoch     uint64       `json:"epoch"`
	Holder    []string     `json:"holder"`    // nodes that hold the claim in force
	Served    []string     `json:"served"`    // nodes whose addresses are answered
	State     string       `json:"state"`     // registry.State in its word
	DNS       []string     `json:"dns"`       // owner names, fully qualified
	NetBIOS   []string     `json:"netbios"`   // names with their suffix
	Addresses []netip.Addr `json:"addresses"` // that are answered; none for a role that is withdrawn
	TTL       uint32       `json:"ttl"`       // seconds
	Told      []netip.Addr `json:"told"`      // what this target was told last
}

// New makes the notice of a batch.
func New(items []*push.Item) *Notice {
	n := &Notice{Roles: make([]Role, 0, len(items))}
	for _, it := range items {
		n.Change = max(n.Change, it.Snap.Change)
		n.Roles = append(n.Roles, roleOf(it))
	}
	return n
}

func roleOf(it *push.Item) Role {
	s := it.Role
	r := Role{
		Role: s.Role.Name, Cluster: s.Role.Cluster, Epoch: s.Epoch, Holder: list(s.Holder), Served: list(s.ServedNames()),
		State: s.State.String(), DNS: list(s.Role.DNS), NetBIOS: []string{}, Addresses: list(it.Addrs()), TTL: s.TTL, Told: list(it.Told),
	}
	for _, name := range s.Role.NetBIOS {
		r.NetBIOS = append(r.NetBIOS, name.String())
	}
	return r
}

func list[E any](s []E) []E { return append(make([]E, 0, len(s)), s...) }

// JSON is the notice as it is sent, one line without its end.
func (n *Notice) JSON() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // NetBIOS names have < and >
	if err := enc.Encode(n); err != nil {
		panic(fmt.Sprintf("a notice is no JSON: %v", err)) // it has words, numbers and addresses only
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Content is what of a role makes a new delivery: who holds it under which epoch, and what is answered for which
// names. The state and the TTL are told along, but nobody is told anew for their sake.
func Content(role *registry.RoleState) string {
	var names []string
	for _, n := range role.Role.NetBIOS {
		names = append(names, n.String())
	}
	return fmt.Sprintf("epoch %d, holder %s, served %s, %s, at %v", role.Epoch, strings.Join(role.Holder, " "),
		strings.Join(role.ServedNames(), " "), strings.Join(slices.Concat(role.Role.DNS, names), " "), role.Addrs())
}

// ID names the state that a batch is about: the same for each try to deliver it, and another one when a role has
// moved meanwhile, also when it moved to and fro.
func ID(items []*push.Item) string {
	h := sha256.New()
	for _, it := range items {
		fmt.Fprintf(h, "%s\n%s\n%d\n", it.Role.Role.Name, Content(it.Role), it.Role.Changed.UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
