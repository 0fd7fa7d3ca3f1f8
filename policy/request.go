package policy

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios"
)

// Request is what somebody wants to be published: a registration, an update, an RRset of an answer or
// of a zone, a change that is to be pushed. Exactly one of DNS and NetBIOS is set.
type Request struct {
	Channel Channel
	DNS     string       // owner name, lower case and fully qualified
	NetBIOS netbios.Name // folded: see netbios.Name.Fold
	// Type is the record type of a DNS name, RFC 1035, Section 3.2.2; a NetBIOS name has TypeNB.
	Type uint16
	// Addrs are the addresses that the record carries: those of A, AAAA and NB, the hints of HTTPS and
	// SVCB, and for PTR the address that the owner name stands for. Empty for other types.
	Addrs []netip.Addr
	// Source is where it comes from: the client of a registration, the server that answered. Not valid
	// when nobody knows, as in the dump of a database.
	Source netip.Addr
	// Principal is who signed it: the name of a TSIG key, lower case and fully qualified, or a Kerberos
	// principal, EX1$@CORP.EXAMPLE. "" for nobody.
	Principal string
	// Time is when it is decided. Exceptions that expire do not hold for the zero time.
	Time time.Time
}

// TypeNB is the type of the record of a NetBIOS name, RFC 1002, Section 4.2.1.3. DNS has another type
// with this number: the name tells which is meant.
const TypeNB = 0x20

// Name is the text of the name, whichever kind it is.
func (r *Request) Name() string {
	if r.NetBIOS.IsValid() {
		return r.NetBIOS.String()
	}
	return r.DNS
}

// TypeName is the text of the type.
func (r *Request) TypeName() string {
	if r.NetBIOS.IsValid() && r.Type == TypeNB {
		return "NB"
	}
	if s, ok := dns.TypeToString[r.Type]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(r.Type)) // RFC 3597, Section 5
}
