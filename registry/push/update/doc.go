// Package update is the target of push that is a primary of other make: it writes the addresses of roles' names, and the
// PTR records of their nodes' addresses, by dynamic updates (RFC 2136) that are signed by TSIG or GSS-TSIG.
//
//	items -> an entry for each name: its A and AAAA RRsets, or its PTR -> what stands there, if it is not known
//	    -> newer, foreign, or ours to replace -> packed into few messages with prerequisites -> the first primary that can be
//	    reached -> NOERROR: acked; else what stands there decides -> the names first, then the PTR records
//
// # What keeps a late writer of an older epoch from winning
//
// Beside each name stands a marker, a TXT record at _nameward below it, such as
//
//	"v=1 role=mailbox epoch=6 holder=ex2 id=9f0c6a51d2b37e84"
//
// It is written in the same message as the addresses, and each write has an ID of its own. The prerequisite of a write
// is the marker as it was read or written last (RFC 2136, Section 2.4.2): compare and swap. A write that was under way
// while somebody else wrote fails, also when the addresses are by then what they were before. Who fails reads the marker
// and gives way to a newer epoch of the role. A guard that lost its state, and counts from 1 again, gives way for ever:
// delete the marker.
//
// Without a marker (marker: none) the prerequisites are the RRsets themselves as they were seen last. That is weaker: a
// write of an older epoch that is late goes through when the records have come back to what they were, and a guard that
// has missed a switchover writes over it, until it hears of it.
//
// # What stands there already
//
// A name without a marker was never written from here. Its addresses are replaced when they are public ones of the role's
// nodes, or what the ledger says this target was told last. Others are foreign: they are reported and left alone, unless the
// target says repair: true. A name with a marker is ours, and a switchover replaces whatever has come to stand there; a
// foreign change in between is found by asking. The same goes for PTR records, which may name what the registry knows.
//
// A response that cannot be trusted, or says no, is not believed either way: what stands there is read, and the marker
// tells whether the write went through.
package update
