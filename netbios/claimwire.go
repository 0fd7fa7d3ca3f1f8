package netbios

import "encoding/binary"

// ParseClaim reads a registration, overwrite, refresh or release as a server takes it: ParseRequest and
// Message.Claim in one, which allocates the addresses and nothing else for the packets that nodes send.
// The header is set as by ParseQuestion.
func ParseClaim(b []byte) (Header, Claim, error) {
	h, q, err := ParseQuestion(b)
	if err != nil {
		return h, Claim{}, err
	}
	if c, ok := quickClaim(b, h, q); ok {
		return h, c, nil
	}
	m, err := ParseRequest(b)
	if err != nil {
		return h, Claim{}, err
	}
	c, ok := m.Claim()
	if !ok {
		return h, Claim{}, ErrHeader
	}
	return h, c, nil
}

// quickClaim reads the additional record where nodes place it: behind a question without pointers, with a
// pointer to its name, RFC 1002, Section 4.2.2.
func quickClaim(b []byte, h Header, q Question) (Claim, bool) {
	off := headerLen + plainNameLen + questionTail
	if h.Opcode == OpQuery || q.Type != TypeNB || q.Class != ClassIN || q.Name.scope != "" ||
		b[headerLen] != encodedLen || len(b) < off+2+recordTail {
		return Claim{}, false
	}
	r := b[off+2:]
	if binary.BigEndian.Uint16(b[off:]) != namePointer || Type(binary.BigEndian.Uint16(r)) != TypeNB ||
		Class(binary.BigEndian.Uint16(r[2:])) != ClassIN {
		return Claim{}, false
	}
	n := int(binary.BigEndian.Uint16(r[8:]))
	if n == 0 || recordTail+n > len(r) {
		return Claim{}, false
	}
	data, err := decodeNB(r[recordTail : recordTail+n])
	if err != nil {
		return Claim{}, false
	}
	return Claim{Name: q.Name, TTL: binary.BigEndian.Uint32(r[4:]), Addrs: data}, true
}

// The functions below build the answers to claims as those of answer.go: without allocating, and no longer
// than MaxDatagram. Their records echo the addresses that were claimed; what does not fit is left out.

// AppendRegistrationResponse appends the response to a registration, multihomed registration, overwrite or
// refresh, RFC 1002, Sections 4.2.5 and 4.2.6: a positive one with RcodeOK. The TTL, in seconds, is the
// granted one.
func AppendRegistrationResponse(dst []byte, id uint16, rcode Rcode, name Name, ttl uint32, addrs ...Address) []byte {
	word := uint16(serverFlags) | uint16(OpRegistration)<<11 | uint16(rcode&15)
	return appendAddresses(appendAnswer(dst, id, word, name, TypeNB, ttl), len(dst), addrs)
}

// AppendReleaseResponse appends the response to a release, RFC 1002, Sections 4.2.10 and 4.2.11.
func AppendReleaseResponse(dst []byte, id uint16, rcode Rcode, name Name, addrs ...Address) []byte {
	word := uint16(nodeFlags) | uint16(OpRelease)<<11 | uint16(rcode&15)
	return appendAddresses(appendAnswer(dst, id, word, name, TypeNB, 0), len(dst), addrs)
}

// AppendWack appends a WACK, RFC 1002, Section 4.2.16, as NewWack makes it. The TTL is the time to wait in
// seconds.
func AppendWack(dst []byte, request Header, name Name, ttl uint32) []byte {
	word := uint16(nodeFlags) | uint16(OpWack)<<11
	dst = appendAnswer(dst, request.ID, word, name, TypeNull, ttl)
	binary.BigEndian.PutUint16(dst[len(dst)-2:], 2)
	return binary.BigEndian.AppendUint16(dst, request.Word())
}

// AppendScopeRefusal appends the response to a claim whose scope is longer than any database keeps, for
// which ParseClaim has ErrScope: SRV_ERR to a registration, a positive one to a release, with the name as
// it came and no address. It reports false for a packet whose name cannot be echoed.
func AppendScopeRefusal(dst, request []byte) ([]byte, bool) {
	h, _, err := parseHeader(request)
	if err != nil || h.IsResponse() || h.Opcode == OpQuery {
		return dst, false
	}
	end := headerLen
	for end < len(request) && request[end] != 0 {
		if request[end] > MaxLabel {
			return dst, false
		}
		end += 1 + int(request[end])
	}
	if end >= len(request) || end+1+recordTail+addressLen > MaxDatagram {
		return dst, false
	}
	word := uint16(serverFlags) | uint16(OpRegistration)<<11 | uint16(RcodeServer)
	if h.Opcode == OpRelease {
		word = uint16(nodeFlags) | uint16(OpRelease)<<11
	}
	dst = appendHeader(dst, h.ID, word, counts{0, 1, 0, 0})
	dst = append(dst, request[headerLen:end+1]...)
	dst = appendRecordTail(dst, TypeNB, ClassIN, 0, addressLen)
	return append(dst, make([]byte, addressLen)...), true
}

// appendAddresses appends the data of an NB record to a packet that begins at begin and ends with the
// data's length.
func appendAddresses(dst []byte, begin int, addrs []Address) []byte {
	data := len(dst)
	for _, a := range addrs {
		if isIPv4(a.Addr) && len(dst)-begin+addressLen <= MaxDatagram {
			dst = appendAddress(dst, a.Flags, a.Addr)
		}
	}
	binary.BigEndian.PutUint16(dst[data-2:], uint16(len(dst)-data))
	return dst
}

// IsPositive reports whether a packet is a response without an error code.
func IsPositive(b []byte) bool {
	h, _, err := parseHeader(b)
	return err == nil && h.IsResponse() && h.Rcode == RcodeOK
}
