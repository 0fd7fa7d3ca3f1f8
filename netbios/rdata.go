package netbios

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// RData is the data of a record: NB, NodeStatus, Null, Wack, NS, A or Raw.
type RData interface {
	// appendTo appends the data as on the wire, without its length.
	appendTo(dst []byte) ([]byte, error)
}

// NB is the data of an NB record, RFC 1002, Section 4.2.13: the addresses of a name.
type NB []Address

// Null is the data of a NULL record, usually empty.
type Null []byte

// Wack is the data of a WACK's record, RFC 1002, Section 4.2.16: the flags word of the request that is
// being worked on.
type Wack struct {
	Word uint16
}

// NS is the data of the authority record of a redirect, RFC 1002, Section 4.2.15: the name of the
// server to ask. It may be a domain name.
type NS struct {
	Name Name
}

// A is the data of the additional record of a redirect: the server's IPv4 address.
type A struct {
	Addr netip.Addr
}

// Raw is the data of a record of any other type, kept as it came.
type Raw []byte

func (d NB) appendTo(dst []byte) ([]byte, error) {
	for _, a := range d {
		if !isIPv4(a.Addr) {
			return dst, fmt.Errorf("address %s is not IPv4", a.Addr)
		}
		dst = appendAddress(dst, a.Flags, a.Addr)
	}
	return dst, nil
}

func (d Null) appendTo(dst []byte) ([]byte, error) { return append(dst, d...), nil }

func (d Raw) appendTo(dst []byte) ([]byte, error) { return append(dst, d...), nil }

func (d Wack) appendTo(dst []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint16(dst, d.Word), nil
}

func (d NS) appendTo(dst []byte) ([]byte, error) {
	if !d.Name.IsValid() {
		return dst, fmt.Errorf("name server's name: %s", d.Name)
	}
	return appendName(dst, d.Name), nil
}

func (d A) appendTo(dst []byte) ([]byte, error) {
	if !isIPv4(d.Addr) {
		return dst, fmt.Errorf("address %s is not IPv4", d.Addr)
	}
	octets := d.Addr.As4()
	return append(dst, octets[:]...), nil
}

// decodeRData reads the data of a record at b[off:end]. The whole packet is passed for the pointers of
// an NS record.
func decodeRData(b []byte, off, end int, op Opcode, typ Type) (RData, error) {
	data := b[off:end]
	// RFC 1002, Section 4.2.16 gives the WACK's record the name NULL and the number of NB.
	if op == OpWack && len(data) == 2 && (typ == TypeNB || typ == TypeNull) {
		return Wack{Word: binary.BigEndian.Uint16(data)}, nil
	}
	switch typ {
	case TypeNB:
		addrs, err := decodeNB(data)
		if err != nil {
			return nil, err
		}
		return addrs, nil
	case TypeNBSTAT:
		return decodeNodeStatus(data)
	case TypeNull:
		return Null(clone(data)), nil
	case TypeNS:
		return decodeNS(b, off, end)
	case TypeA:
		addr, ok := netip.AddrFromSlice(data)
		if !ok || !addr.Is4() {
			return nil, ErrRData
		}
		return A{Addr: addr}, nil
	}
	return Raw(clone(data)), nil
}

func decodeNB(data []byte) (NB, error) {
	if len(data)%addressLen != 0 {
		return nil, ErrRData
	}
	if len(data) == 0 {
		return nil, nil
	}
	addrs := make(NB, 0, len(data)/addressLen)
	for ; len(data) > 0; data = data[addressLen:] {
		addrs = append(addrs, Address{
			Flags: NodeFlags(binary.BigEndian.Uint16(data)),
			Addr:  netip.AddrFrom4([4]byte(data[2:])),
		})
	}
	return addrs, nil
}

func decodeNS(b []byte, off, end int) (RData, error) {
	name, next, err := decodeName(b[:end], off)
	if err != nil {
		return nil, err
	}
	if next != end {
		return nil, ErrRData
	}
	return NS{Name: name}, nil
}

// clone copies data that is to outlive the packet; nothing stays nil.
func clone(data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	return append([]byte(nil), data...)
}
