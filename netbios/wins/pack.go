package wins

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/nameward/nameward/netbios"
)

// A batch of the journal is a run of entries, each a tag and its data. The base is made of the same
// entries, so that loading is one loop.
const (
	tagVersion  = 1 // the highest version ID given out, so that none is given twice
	tagRecord   = 2
	tagGone     = 3 // the record of a name
	tagHeld     = 4
	tagHeldGone = 5
	tagOut      = 6 // what a server behind is to be told
	tagOutGone  = 7
	tagCount    = 8  // about how many records there are, at the begin of a base
	tagOwner    = 9  // how far another server's records were looked at
	tagRole     = 10 // a record that is for partners alone
	tagRoleGone = 11
)

// errFormat is what is wrong with a batch that this package did not write.
var errFormat = errors.New("an entry is malformed")

func appendVersion(dst []byte, v uint64) []byte {
	return binary.AppendUvarint(append(dst, tagVersion), v)
}

func appendCount(dst []byte, n int) []byte {
	return binary.AppendUvarint(append(dst, tagCount), uint64(n))
}

func appendName(dst []byte, n netbios.Name) []byte {
	octets := n.Octets()
	dst = append(dst, octets[:]...)
	return appendText(dst, n.Scope())
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendStamp(dst []byte, s Stamp) []byte { return binary.BigEndian.AppendUint32(dst, uint32(s)) }

func appendRecord(dst []byte, r *Record) []byte { return appendFields(append(dst, tagRecord), r) }

func appendRole(dst []byte, r *Record) []byte { return appendFields(append(dst, tagRole), r) }

func appendFields(dst []byte, r *Record) []byte {
	bits := byte(r.Kind) | byte(r.State)<<2
	if r.Static {
		bits |= 1 << 4
	}
	dst = append(dst, bits, byte(r.Node>>8))
	dst = appendName(dst, r.Name)
	dst = append(dst, r.Owner[:]...)
	dst = binary.AppendUvarint(dst, r.Version)
	dst = appendStamp(dst, r.Ends)
	dst = append(dst, byte(r.Len()))
	for i := range r.Len() {
		m := r.At(i)
		dst = append(append(dst, m.Addr[:]...), m.Owner[:]...)
		dst = appendStamp(dst, m.Ends)
	}
	return dst
}

func appendGone(dst []byte, n netbios.Name) []byte { return appendName(append(dst, tagGone), n) }

func appendOwner(dst []byte, ip IPv4, o *owner) []byte {
	dst = append(append(dst, tagOwner), ip[:]...)
	for _, v := range []uint64{o.seen, o.heldFrom, o.waitsFrom} {
		dst = binary.AppendUvarint(dst, v)
	}
	return appendStamp(dst, o.verified)
}

func appendRoleGone(dst []byte, n netbios.Name) []byte {
	return appendName(append(dst, tagRoleGone), n)
}

func appendHeld(dst []byte, h *Held) []byte {
	alert := byte(0)
	if h.Alert {
		alert = 1
	}
	dst = append(dst, tagHeld, byte(h.What), byte(h.Fate), alert)
	dst = appendName(dst, h.Name)
	dst = appendAddr(dst, h.Source)
	dst = appendClaimed(dst, h.Claimed)
	dst = append(dst, byte(len(h.Kept)))
	for _, a := range h.Kept {
		dst = append(dst, a[:]...)
	}
	dst = appendText(appendText(appendText(dst, h.Role), h.Reason), h.Rule)
	dst = binary.AppendUvarint(dst, h.Decision)
	dst = appendStamp(appendStamp(dst, h.First), h.Last)
	return binary.AppendUvarint(dst, h.Count)
}

func appendAddr(dst []byte, a netip.Addr) []byte {
	ip := IPv4{}
	if a.IsValid() {
		ip = IPv4Of(a)
	}
	return append(dst, ip[:]...)
}

func appendClaimed(dst []byte, claimed []netbios.Address) []byte {
	dst = append(dst, byte(len(claimed)))
	for _, a := range claimed {
		dst = appendAddr(binary.BigEndian.AppendUint16(dst, uint16(a.Flags)), a.Addr)
	}
	return dst
}

func appendHeldGone(dst []byte, k heldKey) []byte {
	dst = appendName(append(dst, tagHeldGone, byte(k.what)), k.name)
	return append(append(dst, k.source[:]...), k.addr[:]...)
}

func appendOut(dst []byte, o *Out) []byte {
	dst = appendOutKey(append(dst, tagOut), o.key())
	dst = append(dst, byte(o.Op))
	dst = binary.BigEndian.AppendUint16(dst, uint16(o.Flags))
	dst = binary.BigEndian.AppendUint32(dst, o.TTL)
	return appendStamp(dst, o.Since)
}

func appendOutGone(dst []byte, k outKey) []byte { return appendOutKey(append(dst, tagOutGone), k) }

func appendOutKey(dst []byte, k outKey) []byte { return append(appendName(dst, k.name), k.addr[:]...) }

// unpacker reads a batch. After an error all it returns is zero.
type unpacker struct {
	b   []byte
	err error
}

func (u *unpacker) take(n int) []byte {
	if u.err != nil || n > len(u.b) {
		u.err = errFormat
		return make([]byte, min(n, 1<<8))
	}
	out := u.b[:n]
	u.b = u.b[n:]
	return out
}

func (u *unpacker) octet() byte { return u.take(1)[0] }

func (u *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(u.b)
	if u.err != nil || n <= 0 {
		u.err = errFormat
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) stamp() Stamp { return Stamp(binary.BigEndian.Uint32(u.take(4))) }

func (u *unpacker) ip() IPv4 { return IPv4(u.take(4)) }

func (u *unpacker) text() string {
	n := u.uvarint()
	if n > uint64(len(u.b)) {
		u.err = errFormat
		return ""
	}
	return string(u.take(int(n)))
}

func (u *unpacker) name() netbios.Name {
	octets := [netbios.BaseLen + 1]byte(u.take(netbios.BaseLen + 1))
	scope := u.text()
	n := netbios.NameFromOctets(octets)
	if scope == "" || u.err != nil {
		return n
	}
	n, err := n.WithScope(scope)
	if err != nil {
		u.err = fmt.Errorf("%w: %w", errFormat, err)
	}
	return n
}

func (u *unpacker) record() Record {
	bits, node := u.octet(), u.octet()
	r := Record{Kind: Kind(bits & 3), State: State(bits >> 2 & 3), Static: bits&(1<<4) != 0, Node: netbios.NodeFlags(node) << 8}
	r.Name, r.Owner, r.Version, r.Ends = u.name(), u.ip(), u.uvarint(), u.stamp()
	n := int(u.octet())
	if r.State == gone || n == 0 && r.State == Active || n > MaxMembers {
		u.err = errFormat
		return r
	}
	if n == 0 {
		return r
	}
	r.first = u.member()
	for range n - 1 {
		r.more = append(r.more, u.member())
	}
	if r.Len() == 0 {
		u.err = errFormat // no address is 0.0.0.0
	}
	return r
}

func (u *unpacker) member() Member { return Member{Addr: u.ip(), Owner: u.ip(), Ends: u.stamp()} }

func (u *unpacker) owner() (IPv4, *owner) {
	return u.ip(), &owner{seen: u.uvarint(), heldFrom: u.uvarint(), waitsFrom: u.uvarint(), verified: u.stamp()}
}

func (u *unpacker) held() Held {
	h := Held{What: What(u.octet()), Fate: Fate(u.octet()), Alert: u.octet() == 1}
	if h.Fate == 0 || h.Fate > IsIgnored || !h.What.isKnown() {
		u.err = errFormat
		return h
	}
	h.Name, h.Source = u.name(), u.ip().Addr()
	for range int(u.octet()) {
		flags := netbios.NodeFlags(binary.BigEndian.Uint16(u.take(2)))
		h.Claimed = append(h.Claimed, netbios.Address{Flags: flags, Addr: u.ip().Addr()})
	}
	for range int(u.octet()) {
		h.Kept = append(h.Kept, u.ip())
	}
	h.Role, h.Reason, h.Rule = u.text(), u.text(), u.text()
	h.Decision, h.First, h.Last, h.Count = u.uvarint(), u.stamp(), u.stamp(), u.uvarint()
	return h
}

func (u *unpacker) heldKey() heldKey {
	k := heldKey{what: What(u.octet())}
	k.name, k.source, k.addr = u.name(), u.ip(), u.ip()
	return k
}

func (u *unpacker) out() Out {
	k := u.outKey()
	o := Out{Name: k.name, Addr: k.addr, Op: Op(u.octet()), Flags: netbios.NodeFlags(binary.BigEndian.Uint16(u.take(2)))}
	o.TTL, o.Since = binary.BigEndian.Uint32(u.take(4)), u.stamp()
	if o.Op == 0 || o.Op > Release {
		u.err = errFormat
	}
	return o
}

func (u *unpacker) outKey() outKey { return outKey{name: u.name(), addr: u.ip()} }
