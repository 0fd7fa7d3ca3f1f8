package netbios

import "encoding/binary"

// The functions below build the three answers that a server sends most, without allocating if dst has
// room for MaxDatagram octets. They echo name and scope and never exceed MaxDatagram: what does not fit
// is left out and TC is set, RFC 1002, Section 4.2.1.1.

// AppendPositiveQueryResponse appends a positive name query response, RFC 1002, Section 4.2.13. The TTL
// is in seconds. Addresses that are not IPv4 have no form in NetBIOS and are left out; if none remains,
// the response is negative (NAM_ERR), for a positive one without addresses breaks clients.
func AppendPositiveQueryResponse(dst []byte, id uint16, name Name, ttl uint32, addrs ...Address) []byte {
	begin := len(dst)
	word := uint16(serverFlags)
	dst = appendAnswer(dst, id, word, name, TypeNB, ttl)
	data := len(dst)
	for _, a := range addrs {
		if !isIPv4(a.Addr) {
			continue
		}
		if len(dst)-begin+addressLen > MaxDatagram {
			binary.BigEndian.PutUint16(dst[begin+2:], word|uint16(FlagTruncated))
			break
		}
		dst = appendAddress(dst, a.Flags, a.Addr)
	}
	if len(dst) == data {
		return AppendNegativeQueryResponse(dst[:begin], id, RcodeName, name)
	}
	binary.BigEndian.PutUint16(dst[data-2:], uint16(len(dst)-data))
	return dst
}

// AppendNegativeQueryResponse appends a negative name query response, RFC 1002, Section 4.2.14.
func AppendNegativeQueryResponse(dst []byte, id uint16, rcode Rcode, name Name) []byte {
	return appendAnswer(dst, id, uint16(serverFlags)|uint16(rcode&15), name, TypeNull, 0)
}

// AppendNodeStatusResponse appends a node status response, RFC 1002, Section 4.2.18, with the unit id
// (the MAC address, or zeros) and otherwise empty statistics. 26 names fit if there is no scope.
func AppendNodeStatusResponse(dst []byte, id uint16, name Name, unitID [6]byte, names ...NodeName) []byte {
	begin := len(dst)
	word := uint16(nodeFlags)
	dst = appendAnswer(dst, id, word, name, TypeNBSTAT, 0)
	data := len(dst)
	fit := max(0, (MaxDatagram-(data-begin)-1-StatisticsLen)/nodeNameLen)
	if len(names) > fit {
		names = names[:fit]
		binary.BigEndian.PutUint16(dst[begin+2:], word|uint16(FlagTruncated))
	}
	dst = append(dst, byte(len(names)))
	for _, n := range names {
		dst = appendNodeName(dst, n)
	}
	var statistics [StatisticsLen]byte
	copy(statistics[:], unitID[:])
	dst = append(dst, statistics[:]...)
	binary.BigEndian.PutUint16(dst[data-2:], uint16(len(dst)-data))
	return dst
}

// appendAnswer appends a header and one answer up to its data, whose length is left at zero.
func appendAnswer(dst []byte, id, word uint16, name Name, t Type, ttl uint32) []byte {
	dst = appendHeader(dst, id, word, counts{0, 1, 0, 0})
	dst = appendName(dst, name)
	return appendRecordTail(dst, t, ClassIN, ttl, 0)
}
