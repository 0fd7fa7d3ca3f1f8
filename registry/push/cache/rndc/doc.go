// Package rndc is a client of BIND's control channel: commands such as "flushname mail.corp.example." over TCP, signed
// by a key that both sides share.
//
//	Dial: connect, "null" -> nonce
//	Do: command, nonce, serial, times -> signed message -> named -> signed reply -> result, text
//
// A message is its length and version in 4 octets each, and a table: keys (an octet of length, then so many) with values (an
// octet of kind, 4 of length, then so many). The kinds are binary data, another table, a list. The first entry, _auth,
// has the HMAC of all that follows it. ISC tells of it in protocol.md of bind9-rndc-node.
//
// What comes back is parsed only when its signature is right; its length is bounded. A Conn is for one goroutine at a time.
package rndc
