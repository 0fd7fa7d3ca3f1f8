package zone

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// digest stands for a set of records, in whatever order they come: the sum of what each of them hashes to.
// It tells after a restart whether the registry puts the same into a zone as before.
type digest [2]uint64

func (d digest) with(rrs []dns.RR) digest {
	for _, rr := range rrs {
		h := hashOf(rr)
		d[0] += h[0]
		d[1] += h[1]
	}
	return d
}

func (d digest) without(rrs []dns.RR) digest {
	for _, rr := range rrs {
		h := hashOf(rr)
		d[0] -= h[0]
		d[1] -= h[1]
	}
	return d
}

func hashOf(rr dns.RR) digest {
	var few [320]byte // the longest name and an address
	h := rr.Header()
	b := append(few[:0], h.Name...)
	b = append(b, 0, byte(h.Rrtype>>8), byte(h.Rrtype))
	b = binary.BigEndian.AppendUint32(b, h.Ttl)
	switch rr := rr.(type) { // nearly all that the registry has, and 100,000 of them at the start
	case *dns.A:
		b = append(b, rr.A...)
	case *dns.AAAA:
		b = append(b, rr.AAAA...)
	default:
		wire, err := packRR(rr, nil)
		if err != nil {
			panic(err) // what the configuration has can be packed
		}
		b = append(b, wire[headerOctets:]...)
	}
	sum := sha256.Sum256(b)
	return digest{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])}
}

// digestOf is the digest of all that the registry puts into a zone.
func digestOf(snap *registry.Snapshot, z *registry.Zone) digest {
	d := digest{}.with([]dns.RR{SOA(z, 0)})
	for rrs := range wholeStatic(snap, z) {
		d = d.with(rrs)
	}
	return d
}
