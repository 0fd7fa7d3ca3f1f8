package policy

import (
	"fmt"
	"net/netip"
)

// ID names a decision: the same policy, request and outcome have the same one, wherever they are
// decided, so that what a log says can be asked again at the command line.
type ID uint64

// String is 16 hexadecimal digits.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// MarshalText writes String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// newID is the FNV-1a hash of what makes a decision, without its time.
func newID(c *context, d *Decision) ID {
	h := hash(fnvOffset)
	h.number(c.policy.Digest)
	r := c.req
	if octets := r.NetBIOS.Octets(); r.NetBIOS.IsValid() {
		for _, o := range octets {
			h.octet(o)
		}
		h.text(r.NetBIOS.Scope())
	}
	h.text(r.DNS)
	h.text(r.Principal)
	h.number(uint64(r.Channel)<<32 | uint64(r.Type)<<16 | uint64(d.Verdict)<<8 | uint64(d.Reason))
	h.number(uint64(d.Rule.Pos))
	h.addr(r.Source)
	for _, f := range d.Fates() {
		h.addr(f.Addr)
		if f.Kept {
			h.octet(1)
		}
	}
	for _, a := range d.rewritten {
		h.addr(a)
	}
	return ID(h)
}

type hash uint64

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func (h *hash) octet(b byte) { *h = (*h ^ hash(b)) * fnvPrime }

// number takes a word at once, which FNV does not do and which is enough to tell decisions apart.
func (h *hash) number(v uint64) {
	*h = (*h ^ hash(v)) * fnvPrime
	*h ^= *h >> 29
}

func (h *hash) text(s string) {
	for i := range len(s) {
		h.octet(s[i])
	}
	h.octet(0)
}

func (h *hash) addr(a netip.Addr) {
	if !a.IsValid() {
		h.octet(0)
		return
	}
	raw := a.As16()
	for i := 0; i < 16; i += 8 {
		v := uint64(0)
		for _, b := range raw[i : i+8] {
			v = v<<8 | uint64(b)
		}
		h.number(v)
	}
	h.octet(byte(a.BitLen()))
}
