package audit

import (
	"bytes"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/policy"
)

// readHosts reads a hosts file: an address and its names on a line, comments behind '#'. Every name is
// a record, for each of them is answered from the file.
func (x *reading) readHosts() {
	for x.next() {
		text, _, _ := bytes.Cut(x.text, []byte("#"))
		if text = bytes.TrimSpace(text); len(text) > 0 {
			x.hostsLine(cutWord(text))
		}
	}
}

func (x *reading) hostsLine(address, names []byte) {
	addr, err := netip.ParseAddr(string(address))
	if err != nil {
		x.problem(x.column(address), "%q is not an address, ADDRESS NAME... would be right", clip(address))
		return
	}
	if len(names) == 0 {
		x.problem(0, "no name stands behind the address")
	}
	for len(names) > 0 {
		var name []byte
		name, names = cutWord(names)
		x.hostsName(addr, name)
	}
}

func (x *reading) hostsName(addr netip.Addr, name []byte) {
	if _, ok := dns.IsDomainName(string(name)); !ok {
		x.problem(x.column(name), "%q is not a host name", clip(name))
		return
	}
	r := x.begin(policy.Answer, x.line)
	r.setDNS(string(name), typeOf(addr))
	r.Static = true
	r.add(addr)
	r.Place.Col = x.column(name)
	r.Place.EndCol = r.Place.Col + len(name)
	x.emitWithAddrs()
}

// column is where a part of the line begins, in octets from 1. The part must be a plain slice of it.
func (x *reading) column(part []byte) int { return cap(x.text) - cap(part) + 1 }
