package netbios

import "net/netip"

// The flags words of responses, without opcode and rcode.
const (
	serverFlags = FlagResponse | FlagAuthoritative | FlagRecursionDesired | FlagRecursionAvailable
	nodeFlags   = FlagResponse | FlagAuthoritative
)

// NewPositiveRegistration returns the positive response to a registration, multihomed registration,
// overwrite or refresh, RFC 1002, Section 4.2.5. Its opcode is always that of a registration. The TTL,
// in seconds, is the granted one.
func NewPositiveRegistration(id uint16, name Name, ttl uint32, addrs ...Address) Message {
	return newResponse(id, OpRegistration, serverFlags, RcodeOK, newRecord(name, TypeNB, ttl, NB(addrs)))
}

// NewNegativeRegistration returns the negative response, RFC 1002, Section 4.2.6. The addresses are
// those of the owner, or those of the request.
func NewNegativeRegistration(id uint16, rcode Rcode, name Name, ttl uint32, addrs ...Address) Message {
	return newResponse(id, OpRegistration, serverFlags, rcode, newRecord(name, TypeNB, ttl, NB(addrs)))
}

// NewEndNodeChallenge returns the response that asks the node to challenge the owner itself, RFC 1002,
// Section 4.2.7. The addresses are the owner's.
func NewEndNodeChallenge(id uint16, name Name, ttl uint32, addrs ...Address) Message {
	flags := serverFlags &^ FlagRecursionAvailable
	return newResponse(id, OpRegistration, flags, RcodeOK, newRecord(name, TypeNB, ttl, NB(addrs)))
}

// NewConflictDemand returns a name conflict demand, RFC 1002, Section 4.2.8: it tells a node that
// another one owns the name too. It is a response that nobody asked for.
func NewConflictDemand(id uint16, name Name, flags NodeFlags) Message {
	zero := Address{Flags: flags, Addr: netip.IPv4Unspecified()}
	return newResponse(id, OpRegistration, serverFlags, RcodeConflict, newRecord(name, TypeNB, 0, NB{zero}))
}

// NewPositiveRelease returns the positive response to a release, RFC 1002, Section 4.2.10.
func NewPositiveRelease(id uint16, name Name, addrs ...Address) Message {
	return NewNegativeRelease(id, RcodeOK, name, addrs...)
}

// NewNegativeRelease returns the negative response to a release, RFC 1002, Section 4.2.11.
func NewNegativeRelease(id uint16, rcode Rcode, name Name, addrs ...Address) Message {
	return newResponse(id, OpRelease, nodeFlags, rcode, newRecord(name, TypeNB, 0, NB(addrs)))
}

// NewPositiveQuery returns the positive response of a name server to a name query, RFC 1002,
// Section 4.2.13. The TTL is in seconds. A node that is no name server clears RA in Flags.
func NewPositiveQuery(id uint16, name Name, ttl uint32, addrs ...Address) Message {
	return newResponse(id, OpQuery, serverFlags, RcodeOK, newRecord(name, TypeNB, ttl, NB(addrs)))
}

// NewNegativeQuery returns the negative response to a name query, RFC 1002, Section 4.2.14, with its
// empty NULL record.
func NewNegativeQuery(id uint16, rcode Rcode, name Name) Message {
	return newResponse(id, OpQuery, serverFlags, rcode, newRecord(name, TypeNull, 0, Null(nil)))
}

// NewRedirect returns the response that names another server to ask, RFC 1002, Section 4.2.15. The TTL
// is in seconds.
func NewRedirect(id uint16, name Name, ttl uint32, server Name, addr netip.Addr) Message {
	return Message{
		Header:     Header{ID: id, Opcode: OpQuery, Flags: FlagResponse | FlagRecursionDesired},
		Authority:  []Record{newRecord(name, TypeNS, ttl, NS{Name: server})},
		Additional: []Record{newRecord(server, TypeA, ttl, A{Addr: addr})},
	}
}

// NewWack returns the response that asks the sender of the request to wait, RFC 1002, Section 4.2.16.
// The TTL is the time to wait in seconds. Its record has the type NULL, as servers send it; the figure
// has the word NULL and the number of NB, and Parse takes both.
func NewWack(request Header, name Name, ttl uint32) Message {
	data := Wack{Word: request.Word()}
	return newResponse(request.ID, OpWack, nodeFlags, RcodeOK, newRecord(name, TypeNull, ttl, data))
}

// NewNodeStatusResponse returns a node status response, RFC 1002, Section 4.2.18.
func NewNodeStatusResponse(id uint16, name Name, status NodeStatus) Message {
	return newResponse(id, OpQuery, nodeFlags, RcodeOK, newRecord(name, TypeNBSTAT, 0, status))
}

func newResponse(id uint16, op Opcode, flags Flags, rcode Rcode, answer Record) Message {
	return Message{
		Header:  Header{ID: id, Opcode: op, Flags: flags, Rcode: rcode},
		Answers: []Record{answer},
	}
}
