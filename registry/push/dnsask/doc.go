// Package dnsask asks a DNS server what it answers, to prove that a change has reached it.
//
//	items -> A and AAAA of every DNS name of their roles -> many questions at once over one UDP socket
//	    -> truncated, or lost for good -> the rest over one TCP connection -> Right, Stale, Foreign or Fail
//
// The socket is connected, so that only the server's packets arrive, from a port of the system's choice; a reply counts
// when its random ID is one that is awaited and its question the one that was asked. Nothing is kept between two
// calls, and any number of them may run at once.
package dnsask
