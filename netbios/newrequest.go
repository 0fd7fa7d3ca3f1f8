package netbios

// The constructors below give each request of RFC 1002 its flags word. They set the B flag nowhere:
// Message.Broadcast does that for a packet that is to be broadcast.

// NewRegistration returns a name registration request, RFC 1002, Section 4.2.2. The TTL is in seconds.
func NewRegistration(id uint16, name Name, ttl uint32, addrs ...Address) Message {
	return newClaim(id, OpRegistration, FlagRecursionDesired, name, ttl, addrs)
}

// NewMultihomed returns the registration request of a node with several addresses, which Windows
// added to those of RFC 1002: opcode 15, one packet for each address.
func NewMultihomed(id uint16, name Name, ttl uint32, addrs ...Address) Message {
	return newClaim(id, OpMultihomed, FlagRecursionDesired, name, ttl, addrs)
}

// NewOverwrite returns a name overwrite request, which is a demand if it is broadcast, RFC 1002,
// Section 4.2.3.
func NewOverwrite(id uint16, name Name, ttl uint32, addrs ...Address) Message {
	return newClaim(id, OpRegistration, 0, name, ttl, addrs)
}

// NewRefresh returns a name refresh request, RFC 1002, Section 4.2.4, with the opcode 8 that nodes
// send. For the 9 of the figure set Opcode to OpRefreshAlt.
func NewRefresh(id uint16, name Name, ttl uint32, addrs ...Address) Message {
	return newClaim(id, OpRefresh, 0, name, ttl, addrs)
}

// NewRelease returns a name release request, which is a demand if a name server sends it to a node or
// a node broadcasts it, RFC 1002, Section 4.2.9.
func NewRelease(id uint16, name Name, addrs ...Address) Message {
	return newClaim(id, OpRelease, 0, name, 0, addrs)
}

// NewQuery returns a name query request, RFC 1002, Section 4.2.12. A query with RD clear, as a name
// server's challenge of an owner is, asks for the node's own names only: clear it in Flags.
func NewQuery(id uint16, name Name) Message {
	return newRequest(id, OpQuery, FlagRecursionDesired, name, TypeNB)
}

// NewNodeStatusRequest returns a node status request, RFC 1002, Section 4.2.17. The name is usually the
// wildcard '*'.
func NewNodeStatusRequest(id uint16, name Name) Message {
	return newRequest(id, OpQuery, 0, name, TypeNBSTAT)
}

// Broadcast returns m with the B flag set.
func (m Message) Broadcast() Message {
	m.Flags |= FlagBroadcast
	return m
}

func newRequest(id uint16, op Opcode, flags Flags, name Name, t Type) Message {
	return Message{
		Header:    Header{ID: id, Opcode: op, Flags: flags},
		Questions: []Question{{Name: name, Type: t, Class: ClassIN}},
	}
}

func newClaim(id uint16, op Opcode, flags Flags, name Name, ttl uint32, addrs []Address) Message {
	m := newRequest(id, op, flags, name, TypeNB)
	m.Additional = []Record{newRecord(name, TypeNB, ttl, NB(addrs))}
	return m
}

func newRecord(name Name, t Type, ttl uint32, data RData) Record {
	return Record{Name: name, Type: t, Class: ClassIN, TTL: ttl, Data: data}
}
