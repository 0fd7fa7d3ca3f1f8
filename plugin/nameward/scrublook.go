package nameward

import (
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// suspects reports whether something in an answer may have to be changed. Nearly every answer ends here,
// so that it looks at no more than it must, and allocates nothing.
func (v *review) suspects(m *dns.Msg) bool {
	if m.Opcode != dns.OpcodeQuery {
		return false // the sections of others are no answers
	}
	for _, rr := range m.Answer {
		if v.suspectsRR(rr, true) {
			return true
		}
	}
	for _, rr := range m.Ns {
		if v.suspectsRR(rr, false) {
			return true
		}
	}
	for _, rr := range m.Extra {
		if v.suspectsRR(rr, false) {
			return true
		}
	}
	return false
}

func (v *review) suspectsRR(rr dns.RR, inAnswer bool) bool {
	h := rr.Header()
	if h.Rrtype == dns.TypeOPT {
		return false
	}
	if h.Name != v.owner || v.owner == "" {
		v.owner, v.suspect = h.Name, v.suspectsName(h.Name)
	}
	if v.suspect || v.screen.TouchesType(h.Rrtype) {
		return true
	}
	switch rr := rr.(type) {
	case *dns.A:
		return v.suspectsIP(rr.A, inAnswer)
	case *dns.AAAA:
		return v.suspectsIP(rr.AAAA, inAnswer)
	case *dns.CNAME:
		return v.isOurs(rr.Target) || v.suspectsReverse(h.Name)
	case *dns.PTR:
		return v.suspectsReverse(h.Name)
	case *dns.HTTPS:
		return v.suspectsBinding(&rr.SVCB, inAnswer)
	case *dns.SVCB:
		return v.suspectsBinding(rr, inAnswer)
	case *dns.SOA:
		return len(v.choice.gates) > 0 && v.gate(rr) != ""
	case *dns.DNAME:
		return inAnswer // where it leads is looked up link by link
	case *dns.IPSECKEY:
		return v.suspectsIP(rr.GatewayAddr, inAnswer)
	case *dns.AMTRELAY:
		return v.suspectsIP(rr.GatewayAddr, inAnswer)
	}
	return false
}

func (v *review) suspectsName(name string) bool {
	name = strings.ToLower(name)
	return v.isLive(name) || v.screen.TouchesName(name)
}

// isLive reports whether records of a name, lower case, are what roles and nodes are now, and not what
// another server says.
func (v *review) isLive(name string) bool {
	e, ok := v.snap.Lookup(name)
	return ok && (isGuarded(e) || e.Kind == registry.KindPTR)
}

// isGuarded reports whether the addresses of a name are ours to answer.
func isGuarded(e registry.Entry) bool {
	return e.Kind == registry.KindRole || e.Kind == registry.KindHost || e.Kind == registry.KindNameServer
}

// isOurs reports whether a name is one that we may have an answer for.
func (v *review) isOurs(name string) bool {
	name = strings.ToLower(name)
	_, ok := v.snap.Lookup(name)
	return ok || v.snap.Zone(name) != nil
}

func (v *review) suspectsIP(ip net.IP, inAnswer bool) bool {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return false
	}
	plain, class := v.policy.Classify(v.snap, addr)
	return v.screen.TouchesClass(class) || v.choice.on && isLocal(plain) && v.rebinds(plain, strings.ToLower(v.owner), inAnswer)
}

// suspectsReverse looks at the address that an owner name stands for.
func (v *review) suspectsReverse(name string) bool {
	addr, ok := registry.ReverseAddr(name)
	if !ok {
		return false
	}
	_, class := v.policy.Classify(v.snap, addr)
	return v.screen.TouchesClass(class)
}

// suspectsBinding looks at the target and the hints of a service binding, RFC 9460, Section 7.3.
func (v *review) suspectsBinding(rr *dns.SVCB, inAnswer bool) bool {
	if len(rr.Value) > 0 && v.isLive(strings.ToLower(rr.Target)) {
		return true
	}
	for _, value := range rr.Value {
		for _, ip := range hints(value) {
			if v.suspectsIP(ip, inAnswer) {
				return true
			}
		}
	}
	return false
}

func hints(v dns.SVCBKeyValue) []net.IP {
	switch v := v.(type) {
	case *dns.SVCBIPv4Hint:
		return v.Hint
	case *dns.SVCBIPv6Hint:
		return v.Hint
	}
	return nil
}
