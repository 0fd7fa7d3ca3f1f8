package audit

import (
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
)

// rrsets gathers neighbouring records of one owner and type. Nothing behind them is waited for: a zone
// is streamed, and a set that comes in two places is given twice.
type rrsets struct {
	x       *reading
	zone    string
	pending bool
}

func (g *rrsets) add(rr dns.RR, line int) {
	header := rr.Header()
	if !policy.CarriesAddrs(header.Rrtype) || header.Class != dns.ClassINET {
		g.flush()
		return
	}
	name := dns.CanonicalName(header.Name)
	r := &g.x.rec
	if !g.pending || r.DNS != name || r.Type != header.Rrtype || len(r.Addrs) >= maxAddrs {
		g.flush()
		r = g.x.begin(policy.Transfer, line)
		r.DNS, r.Type, g.pending = name, header.Rrtype, true
		if g.zone != "" && dns.IsSubDomain(g.zone, name) {
			r.Zone = g.zone
		}
	}
	r.addRR(rr)
}

// flush gives the set that is complete. A set without any address, as HTTPS records without hints are,
// publishes none.
func (g *rrsets) flush() {
	if g.pending && len(g.x.rec.Addrs) > 0 {
		g.x.emit()
	}
	g.pending = false
}

// addRR adds the addresses that the record carries.
func (r *Record) addRR(rr dns.RR) {
	switch rr := rr.(type) {
	case *dns.A:
		r.addIP(rr.A)
	case *dns.AAAA:
		r.addIP(rr.AAAA)
	case *dns.PTR:
		r.addOwner()
	case *dns.HTTPS:
		r.addHints(rr.Value)
	case *dns.SVCB:
		r.addHints(rr.Value)
	}
}

func (r *Record) addIP(ip net.IP) {
	if addr, ok := netip.AddrFromSlice(ip); ok {
		r.add(addr)
	}
}

// addOwner adds the address that the owner name of a PTR record stands for.
func (r *Record) addOwner() {
	if addr, ok := registry.ReverseAddr(r.DNS); ok && len(r.Addrs) == 0 {
		r.add(addr)
	}
}

// addHints adds the hints, RFC 9460, Section 7.3.
func (r *Record) addHints(values []dns.SVCBKeyValue) {
	for _, value := range values {
		switch hint := value.(type) {
		case *dns.SVCBIPv4Hint:
			r.addIPs(hint.Hint)
		case *dns.SVCBIPv6Hint:
			r.addIPs(hint.Hint)
		}
	}
}

func (r *Record) addIPs(ips []net.IP) {
	for _, ip := range ips {
		r.addIP(ip)
	}
}

// absolute makes a name of a zone's file fully qualified and lower case.
func absolute(name, zone string) string {
	switch {
	case name == "@":
		return zone
	case dns.IsFqdn(name):
		return dns.CanonicalName(name)
	case zone == ".":
		return dns.CanonicalName(name)
	}
	return dns.CanonicalName(name + "." + zone)
}
