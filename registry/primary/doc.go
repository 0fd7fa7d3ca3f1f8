// Package primary talks with the primaries of a zone: it sends them updates (RFC 2136) over TCP, signs what it sends by
// TSIG (RFC 8945) or GSS-TSIG (RFC 3645), and says which response counts.
//
//	update -> the first primary that can be reached -> signed by the key, or by what was agreed on with that one
//	    -> response: of this message, verified -> the caller
//
// What was sent to one primary is not sent to another, nor once more: it may have been carried out. Connections stay open
// for some seconds, keys that were agreed on stay until they end. Everything may be used by many goroutines at once.
package primary
