package registry

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nameward/nameward/netbios"
)

// Kind says what a DNS owner name stands for.
type Kind uint8

// The kinds of owner names. An empty non-terminal (RFC 4592, Section 2.2.2) exists in an owned zone
// only because a name below it does.
const (
	KindRole Kind = iota + 1
	KindHost
	KindPTR
	KindNameServer
	KindService // of DNS Push, below the zone that has it
	KindApex
	KindEmptyNonTerminal
)

// Entry is what the index knows of a DNS owner name, whatever the live state is.
type Entry struct {
	Kind  Kind
	Apex  bool  // the name is also the apex of Zone
	Below bool  // in an owned zone: other names stand below it, so that it exists without records too
	id    int32 // KindRole: role; KindPTR: address; KindHost: node; KindNameServer: name server
	Zone  *Zone // the owned zone that holds the name; nil: the name is overlaid
}

// index maps names to roles, nodes and addresses. It is built once for a World; a role that moves
// leaves it alone.
type index struct {
	names    map[string]Entry       // DNS owner names, lower case
	netbios  map[[16]byte]int32     // names without a scope, nearly all there are
	scoped   map[netbios.Name]int32 // the others
	roles    map[string]int32
	nodes    map[string]int32
	addrs    map[netip.Addr]int32 // public addresses
	addrList []publicAddr
	servers  []NameServer
	zones    map[string]*Zone
	owned    map[*Zone][]string // owner names by zone, sorted
	classes  *classes
	rolesOf  map[*Node][]int32
	nodeAddr map[*Node]*addrSet
	alone    map[*Node][]*Node // the list of this node only, shared by every state that serves it
}

type publicAddr struct {
	addr netip.Addr
	arpa string
	host string // the host name of the node, "" when none
}

func newIndex(w *World) *index {
	ix := &index{
		names: make(map[string]Entry, len(w.Roles)+2*len(w.Nodes)), netbios: make(map[[16]byte]int32, len(w.Roles)),
		scoped: map[netbios.Name]int32{},
		roles:  make(map[string]int32, len(w.Roles)), nodes: make(map[string]int32, len(w.Nodes)),
		addrs: map[netip.Addr]int32{}, zones: map[string]*Zone{}, owned: map[*Zone][]string{},
		rolesOf:  map[*Node][]int32{},
		nodeAddr: map[*Node]*addrSet{}, alone: map[*Node][]*Node{},
	}
	ix.classes = newClasses(w, ix.addrs)
	for _, z := range w.Zones {
		ix.zones[z.Name] = z
	}
	ix.addNodes(w)
	ix.addRoles(w)
	ix.addZones(w)
	return ix
}

func (ix *index) addNodes(w *World) {
	for i, n := range w.Nodes {
		ix.nodes[n.Name] = int32(i)
		ix.nodeAddr[n], ix.alone[n] = newAddrSet(n), []*Node{n}
		if n.Host != "" {
			ix.add(n.Host, Entry{Kind: KindHost, id: int32(i)})
		}
		for _, a := range n.Public {
			ix.addAddr(a, n.Host)
		}
	}
}

func (ix *index) addAddr(a netip.Addr, host string) {
	if id, ok := ix.addrs[a]; ok {
		// A shared address has no one host that its PTR could name.
		ix.addrList[id].host = ""
		return
	}
	id := int32(len(ix.addrList))
	p := publicAddr{addr: a, arpa: arpa(a), host: host}
	ix.addrs[a] = id
	ix.addrList = append(ix.addrList, p)
	ix.add(p.arpa, Entry{Kind: KindPTR, id: id})
}

func (ix *index) addRoles(w *World) {
	for i, r := range w.Roles {
		id := int32(i)
		ix.roles[r.Name] = id
		for _, name := range r.DNS {
			ix.add(name, Entry{Kind: KindRole, id: id})
		}
		for _, nb := range r.NetBIOS {
			if nb.Scope() != "" {
				ix.scoped[nb] = id
			} else {
				ix.netbios[nb.Octets()] = id
			}
		}
		for _, n := range r.Nodes {
			ix.rolesOf[n] = append(ix.rolesOf[n], id)
		}
	}
}

func (ix *index) addZones(w *World) {
	for _, z := range w.Zones {
		for _, ns := range z.NS {
			if e, ok := ix.names[ns.Name]; (!ok || e.Kind == KindEmptyNonTerminal) && len(ns.Addrs) > 0 {
				ix.add(ns.Name, Entry{Kind: KindNameServer, id: int32(len(ix.servers))})
				ix.servers = append(ix.servers, ns)
			}
		}
	}
	for _, z := range w.Zones {
		if name := StreamService + z.Name; z.Stream != nil && ix.zoneOf(name) == z {
			ix.add(name, Entry{Kind: KindService})
		}
	}
	for _, z := range w.Zones {
		ix.addAbove(z.Name, ix.zoneOf(Parent(z.Name)))
		e, ok := ix.names[z.Name]
		if !ok {
			e = Entry{Kind: KindApex}
			ix.owned[z] = append(ix.owned[z], z.Name)
		}
		e.Apex, e.Zone = true, z
		ix.names[z.Name] = e
		slices.Sort(ix.owned[z])
	}
}

// add enters a name with its owned zone and the empty non-terminals above it. The first entry of a
// name stands; the configuration has refused a second one.
func (ix *index) add(name string, e Entry) *Zone {
	e.Zone = ix.zoneOf(name)
	if old, ok := ix.names[name]; ok {
		if old.Kind != KindEmptyNonTerminal {
			return old.Zone
		}
		e.Below = true
	}
	ix.names[name] = e
	if e.Zone == nil {
		return nil
	}
	ix.owned[e.Zone] = append(ix.owned[e.Zone], name)
	ix.addAbove(name, e.Zone)
	return e.Zone
}

// addAbove enters the empty non-terminals between a name and the zone that holds it, nil for none.
func (ix *index) addAbove(name string, z *Zone) {
	if z == nil {
		return
	}
	for up := Parent(name); len(up) > len(z.Name); up = Parent(up) {
		if e, ok := ix.names[up]; ok {
			e.Below = true
			ix.names[up] = e
			return
		}
		ix.names[up] = Entry{Kind: KindEmptyNonTerminal, Below: true, Zone: z}
	}
}

// byNetBIOS finds the role of an upper-case NetBIOS name.
func (ix *index) byNetBIOS(name netbios.Name) (int32, bool) {
	if name.Scope() != "" {
		id, ok := ix.scoped[name]
		return id, ok
	}
	id, ok := ix.netbios[name.Octets()]
	return id, ok
}

// zoneOf returns the closest owned zone at or above a lower-case name, or nil.
func (ix *index) zoneOf(name string) *Zone {
	if len(ix.zones) == 0 {
		return nil
	}
	for {
		if z, ok := ix.zones[name]; ok {
			return z
		}
		if name == "." || name == "" {
			return nil
		}
		name = Parent(name)
	}
}

// Parent cuts the first label off a name; the parent of a top-level name is ".".
func Parent(name string) string {
	for i := 0; i < len(name)-1; i++ {
		switch name[i] {
		case '\\': // an escaped octet or dot, RFC 4343, Section 2.1
			i++
		case '.':
			return name[i+1:]
		}
	}
	return "."
}

// arpa returns the owner name of an address's PTR record: RFC 1035, Section 3.5, and RFC 3596,
// Section 2.5.
func arpa(a netip.Addr) string {
	const hex = "0123456789abcdef"
	raw := a.AsSlice()
	var b strings.Builder
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is6() {
			b.Write([]byte{hex[raw[i]&15], '.', hex[raw[i]>>4], '.'})
			continue
		}
		b.WriteString(strconv.Itoa(int(raw[i])))
		b.WriteByte('.')
	}
	if a.Is6() {
		b.WriteString("ip6.arpa.")
	} else {
		b.WriteString("in-addr.arpa.")
	}
	return b.String()
}
