package nameward

import (
	"net"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// bindingValues are the parameters of a service binding, RFC 9460, Section 2.2; nil for other records.
func bindingValues(rr dns.RR) *[]dns.SVCBKeyValue {
	switch rr := rr.(type) {
	case *dns.SVCB:
		return &rr.Value
	case *dns.HTTPS:
		return &rr.Value
	}
	return nil
}

// bindingTarget is the target of a service binding, "." for its owner; "" for other records.
func bindingTarget(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.SVCB:
		return rr.Target
	case *dns.HTTPS:
		return rr.Target
	}
	return ""
}

// withoutHints copies a service binding without bad hints. Clients ask for the addresses of the target
// instead (RFC 9460, Section 7.3).
func withoutHints(rr dns.RR, bad func(netip.Addr) bool) dns.RR {
	rr = dns.Copy(rr)
	values := bindingValues(rr)
	isBad := func(ip net.IP) bool {
		addr, ok := netip.AddrFromSlice(ip)
		return !ok || bad(addr)
	}
	var gone []dns.SVCBKey
	*values = slices.DeleteFunc(*values, func(v dns.SVCBKeyValue) bool {
		switch v := v.(type) {
		case *dns.SVCBIPv4Hint:
			v.Hint = slices.DeleteFunc(v.Hint, isBad)
		case *dns.SVCBIPv6Hint:
			v.Hint = slices.DeleteFunc(v.Hint, isBad)
		default:
			return false
		}
		if len(hints(v)) > 0 {
			return false
		}
		gone = append(gone, v.Key())
		return true
	})
	*values = withoutMandatory(*values, gone)
	return rr
}

// withoutMandatory takes keys that are gone out of the list of mandatory ones: a record that lacks one of
// those is malformed (RFC 9460, Section 8).
func withoutMandatory(values []dns.SVCBKeyValue, gone []dns.SVCBKey) []dns.SVCBKeyValue {
	return slices.DeleteFunc(values, func(v dns.SVCBKeyValue) bool {
		m, ok := v.(*dns.SVCBMandatory)
		if !ok {
			return false
		}
		m.Code = slices.DeleteFunc(m.Code, func(k dns.SVCBKey) bool { return slices.Contains(gone, k) })
		return len(m.Code) == 0
	})
}
