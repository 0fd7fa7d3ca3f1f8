// Package gsstsig signs and verifies DNS messages with Kerberos: GSS-TSIG, RFC 3645, both sides of it.
//
// An [Acceptor] is the server's side. It answers TKEY queries (RFC 2930) that carry Kerberos tickets for a
// service of its keytab, bare or in SPNEGO (RFC 4178), and is from then on a [dns.TsigProvider] for the
// names of the keys that were agreed on. An [Initiator] is the client's side: it logs in at a KDC,
// negotiates with a server, and gives a [Context], which is a [dns.TsigProvider] too.
//
//	server:  TKEY query -> Answer -> reply, signed by the caller with the Acceptor as provider
//	         UPDATE + TSIG -> Verify -> Principal(key name) -> policy -> reply -> Generate
//	client:  Negotiate -> Context -> UPDATE + TSIG -> reply -> Verify
//
// What stands in a TSIG are MIC tokens of RFC 4121 (AES), or of RFC 4757, Section 7.2 (RC4).
//
// The reply that ends a negotiation is signed over itself alone, with no MAC of a request before it, as
// BIND and Samba sign it and their clients take it. MS-GSSA has another digest there for Windows.
//
// A message verifies once: a second look at the same octets is a replay.
//
// The name of a key is the client's choice. It says nothing about who the client is: ask
// [Acceptor.Principal], and keep names of other keys out of reach with [Config.Reserved].
//
// The package opens no socket of its own but those of Kerberos and [TCP]. Everything in it may be used by
// many goroutines at once.
package gsstsig
