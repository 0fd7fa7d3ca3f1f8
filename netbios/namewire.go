package netbios

const (
	// headerLen is the length of the fixed header, RFC 1002, Section 4.2.1.1.
	headerLen = 12
	// encodedLen is the length of a first-level encoded name, RFC 1001, Section 14.1.
	encodedLen = 2 * (BaseLen + 1)
	// plainNameLen is the length of a name without scope on the wire: length, label, final zero.
	plainNameLen = 1 + encodedLen + 1
	// maxLabels is the longest sequence of labels that is taken: an encoded name and a full scope.
	maxLabels = 1 + encodedLen + 1 + MaxScope
)

// appendName appends the second-level encoding of n, RFC 1002, Section 4.1. The caller has checked
// that n is valid.
func appendName(dst []byte, n Name) []byte {
	if n.kind == kindNetBIOS {
		dst = append(dst, encodedLen)
		for _, c := range n.octets {
			dst = append(dst, 'A'+c>>4, 'A'+c&15)
		}
	}
	dst = append(dst, n.scope...)
	return append(dst, 0)
}

// decodeName reads the name at off in the packet b and returns the offset behind it. A name whose first
// label is no encoded NetBIOS name is returned as a domain name.
func decodeName(b []byte, off int) (n Name, next int, err error) {
	// Nearly every name has no scope and no pointer.
	if len(b)-off >= plainNameLen && b[off] == encodedLen && b[off+plainNameLen-1] == 0 {
		if decodeFirstLevel(&n.octets, b[off+1:off+1+encodedLen]) {
			n.kind = kindNetBIOS
			return n, off + plainNameLen, nil
		}
	}
	return decodeLongName(b, off)
}

// decodeLongName reads a name that may have a scope, pointers, or no NetBIOS part.
func decodeLongName(b []byte, off int) (Name, int, error) {
	var buf [maxLabels]byte
	labels, next, err := decodeLabels(buf[:0], b, off)
	if err != nil {
		return Name{}, 0, err
	}
	n := Name{kind: kindNetBIOS}
	if len(labels) > encodedLen && labels[0] == encodedLen &&
		decodeFirstLevel(&n.octets, labels[1:1+encodedLen]) {
		n.scope = string(labels[1+encodedLen:])
		return n, next, nil
	}
	if len(labels) > 1+MaxScope {
		return Name{}, 0, ErrScope
	}
	return Name{kind: kindDomain, scope: string(labels)}, next, nil
}

// decodeLabels appends the labels at off to dst, whose capacity is the limit, and returns the offset
// behind the name. A pointer must lead to before the run of labels that it ends, so a chain of them
// always comes to an end.
func decodeLabels(dst, b []byte, off int) (labels []byte, next int, err error) {
	start := off
	for {
		if off >= len(b) {
			return nil, 0, ErrShort
		}
		n := int(b[off])
		switch {
		case n == 0:
			return dst, max(next, off+1), nil
		case n <= MaxLabel:
			if off+1+n > len(b) {
				return nil, 0, ErrShort
			}
			if len(dst)+1+n > cap(dst) {
				return nil, 0, ErrScope
			}
			dst = append(dst, b[off:off+1+n]...)
			off += 1 + n
		case n >= 0xc0: // a pointer, RFC 1002, Section 4.1
			if off+2 > len(b) {
				return nil, 0, ErrShort
			}
			// The first pointer ends the name where it stands; later ones lie before it.
			next = max(next, off+2)
			off = (n&0x3f)<<8 | int(b[off+1])
			if off < headerLen || off >= start {
				return nil, 0, ErrName
			}
			start = off
		default: // 01 and 10 in the upper bits are reserved
			return nil, 0, ErrName
		}
	}
}

// decodeFirstLevel turns 32 letters from 'A' to 'P' into 16 octets, RFC 1001, Section 14.1, and reports
// whether all were such letters.
func decodeFirstLevel(dst *[BaseLen + 1]byte, src []byte) bool {
	_ = src[encodedLen-1]
	var bad byte
	for i := range dst {
		hi, lo := src[2*i]-'A', src[2*i+1]-'A'
		bad |= hi | lo
		dst[i] = hi<<4 | lo&15
	}
	return bad&0xf0 == 0
}
