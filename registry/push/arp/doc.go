// Package arp tells the neighbours of this host that an address which several nodes share is here now: by gratuitous ARP
// for IPv4 (RFC 5227, Section 2.3: a request for one's own address, and the same as a reply, because some mind only that)
// and by unsolicited neighbour advertisements for IPv6 (RFC 4861, Section 7.2.6, with the override flag).
//
//	role is served by this node -> addresses that it shares with other nodes -> on the interface now? -> frames
//	    -> acked -> the same again, twice, a second apart
//
// An address is announced only while it is configured on the interface, which is looked up for each round of frames, and
// not while IPv6 still asks whether another host has it. Whoever does not have it fails and is tried again, so that what
// brings the address to the host may be later than the role. A node that does not serve the role is told nothing at all.
// Nobody can ask a neighbour for its table: deliveries end with acked.
//
// It is the second package beside netbios/nbpcap that imports gopacket: its frames have nothing to do with name
// services. Sending needs Linux and CAP_NET_RAW.
package arp
