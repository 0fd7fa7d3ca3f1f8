// Package dso reads and writes the messages of DNS Stateful Operations, RFC 8490, and of DNS Push Notifications,
// RFC 8765, which are carried by them. It sees octets only: sessions, their order and their timers are the business of
// who sends and receives the messages.
//
//	octets -> Parse -> Message: ID, TLVs -> ParseKeepalive, ParseSubscribe, ParsePush, ...
//	Keepalive, Subscribe, Push, ... -> Message -> Append -> octets
//
// A DSO message has the header of a DNS message with all four counts zero, and TLVs where others have records, so that
// libraries for DNS cannot read it. Names and records inside the TLVs are theirs to read.
package dso
