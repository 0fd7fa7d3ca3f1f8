package registry

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// classes finds the class of an address: that of the node which has it, or else that of the longest
// prefix around it.
type classes struct {
	public   map[netip.Addr]int32 // public addresses of nodes: those of the index
	other    map[netip.Addr]string
	prefixes bart.Table[string]
	nat64    bart.Table[int] // the translators' prefixes with their lengths
}

// wellKnownNAT64 are the prefixes of RFC 6052, Section 2.1, and RFC 8215. Translators use the second
// one in parts of 96 bits.
var wellKnownNAT64 = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}

func newClasses(w *World, public map[netip.Addr]int32) *classes {
	c := &classes{public: public, other: map[netip.Addr]string{}}
	for _, n := range w.Nodes {
		for _, o := range n.Other {
			c.other[o.Addr] = o.Class
		}
	}
	for _, class := range w.Classes {
		for _, p := range class.Prefixes {
			c.prefixes.Insert(p, class.Name)
		}
	}
	for _, p := range wellKnownNAT64 {
		c.nat64.Insert(p, 96)
	}
	for _, p := range w.NAT64 {
		c.nat64.Insert(p, p.Bits())
	}
	return c
}

func (c *classes) of(addr netip.Addr) string {
	if class, ok := c.other[addr]; ok {
		return class
	}
	if _, ok := c.public[addr]; ok {
		return PublicClass
	}
	class, _ := c.prefixes.Lookup(addr)
	return class
}

// plain returns the address that is meant by one that carries an IPv4 address inside.
func (c *classes) plain(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	if bits, ok := c.nat64.Lookup(addr); ok {
		return inNAT64(addr, bits)
	}
	return addr
}

// inNAT64 returns the IPv4 address behind a prefix of 32, 40, 48, 56, 64 or 96 bits: RFC 6052,
// Section 2.2. The ninth octet is not part of it.
func inNAT64(addr netip.Addr, bits int) netip.Addr {
	raw := addr.As16()
	var v4 [4]byte
	at := bits / 8
	for i := range v4 {
		if at == 8 {
			at++
		}
		v4[i] = raw[at]
		at++
	}
	return netip.AddrFrom4(v4)
}

// Plain returns the address that is meant by addr: the IPv4 address in an IPv4-mapped one (RFC 4291,
// Section 2.5.5.2) or behind a NAT64 prefix (RFC 6052), without a zone; any other as it is.
func (s *Snapshot) Plain(addr netip.Addr) netip.Addr { return s.ix.classes.plain(addr) }

// Classify returns the address that is meant by addr, as Plain does, and its class: PublicClass or another,
// or "" when it is no address of a node and in no prefix.
func (s *Snapshot) Classify(addr netip.Addr) (plain netip.Addr, class string) {
	plain = s.ix.classes.plain(addr)
	return plain, s.ix.classes.of(plain)
}

// Filtered reports whether an address must never be published, and the class that says so: it is of
// any class but the public one.
func (s *Snapshot) Filtered(addr netip.Addr) (class string, filtered bool) {
	_, class = s.Classify(addr)
	if class == "" || class == PublicClass {
		return "", false
	}
	return class, true
}
