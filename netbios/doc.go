// Package netbios is the NetBIOS name service as bytes: names and messages of RFC 1001 and RFC 1002.
//
// It is a codec and nothing else. It opens no socket, reads no clock and writes no log; it imports the
// standard library only. The data path of a server is
//
//	packet -> ParseQuestion (queries) or ParseRequest (claims) -> decision -> Append...Response -> packet
//
// and that of an observer is Parse, Message.Form and Message.Append. ParseQuestion and the Append
// functions allocate nothing for names without a scope, so that a server can call them per packet with
// a buffer that it owns.
//
// A Name is a small comparable value: 15 octets, the suffix (the 16th octet) and the scope. It can be
// a map key. Nothing is folded behind the caller's back: Name.Fold gives the upper-case form in which
// guarded names are compared.
//
// What is not understood is kept: unknown record types, reserved header bits and odd statistics blocks
// come out of Append as they went into Parse. Octets behind the last record are ignored and not kept,
// and names are compressed in the one place where RFC 1002 shows it, the record that repeats the
// question's name.
//
// Every error of Parse, ParseHeader, ParseQuestion and ParseRequest belongs to one of a few classes,
// named by Reason, so that a server can count malformed packets under a closed set of labels.
//
// All functions are pure and all values immutable by convention: everything may be called at once from
// any goroutine, except that a Message must not be changed while another goroutine reads it.
package netbios
