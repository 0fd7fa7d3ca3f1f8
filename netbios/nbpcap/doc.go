// Package nbpcap reads and writes the name service in capture files, and is its gopacket layer.
//
//	file (pcap or pcapng, also in gzip) -> Reader -> Packet: number, time, addresses, message or error
//	Packet -> Writer -> file (pcap)
//
// It is the only package of the module that imports gopacket, and it uses the pure Go parts only.
// Importing it registers LayerTypeNBNS for UDP port 137 with gopacket, which decodes nothing there by
// itself.
//
// Captures come from strangers. A frame or block longer than any capture tool writes is an error, never
// an allocation; a file that is cut off gives the packets before the cut and then an error that wraps
// io.ErrUnexpectedEOF. The reader of pcapng is ours for this reason: that of pcapgo cannot tell a cut
// from the end, and allocates what a length in the file says.
//
// A Reader or Writer is for one goroutine at a time.
package nbpcap
