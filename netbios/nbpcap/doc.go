// Package nbpcap reads and writes the name services in captures.
//
//	file (pcap or pcapng, also in gzip) -> Reader \
//	                                               decoder -> Packet: number, time, addresses, message or error
//	interface (Linux)                   -> Live   /
//	Packet -> Writer -> file (pcap)
//
// Always read is the NetBIOS name service, UDP port 137; WithDNS adds DNS, UDP and TCP port 53. A DNS
// message comes as octets, without the length that TCP has before it: parsing it is the caller's.
//
// TCP streams are put together, and the fragments of IPv4. Fragments of IPv6 are passed over. A stream
// whose start is not in the capture is taken up at the first segment that looks like the start of a
// message, and so is one in which octets are missing.
//
// Beside registry/push/arp it is the only package of the module that imports gopacket, and it uses the pure Go parts only.
// Importing it registers LayerTypeNBNS for UDP port 137 with gopacket, which decodes nothing there by
// itself.
//
// Captures come from strangers. A frame or block longer than any capture tool writes is an error, never
// an allocation; a file that is cut off gives the packets before the cut and then an error that wraps
// io.ErrUnexpectedEOF. The reader of pcapng is ours for this reason: that of pcapgo cannot tell a cut
// from the end, and allocates what a length in the file says. What is kept between frames, streams and
// fragments, is bounded in octets and in number; a panic in gopacket is the error of one packet.
//
// A Reader, Live or Writer is for one goroutine at a time.
package nbpcap
