package nbpcap

import (
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/tcpassembly"
)

// Bounds of what is kept of TCP. A page of the library holds 1900 octets.
const (
	maxStreams     = 2048     // directions of connections; before one more is added all are given up
	maxStreamPages = 64       // out of order in one direction: more than the longest message
	maxPages       = 960      // in all; the library has 1024 from the start, and a segment takes up to 35
	maxUnfinished  = 16 << 20 // octets of messages that have begun, in all
	streamTime     = time.Minute
	// flushSegments are at least between two searches for old streams, for a stranger's clock can jump.
	flushSegments = 1024
)

// streams puts the TCP streams of DNS together. The zero value is ready.
type streams struct {
	assembler *tcpassembly.Assembler
	known     map[streamKey]*stream
	octets    int // of all buffers
	segments  int // since the last search for old streams
	flushed   time.Time
	queue     []streamMessage // found, and not yet handed out

	// What the library's callbacks do not say: of the present segment.
	key   streamKey
	first uint32
}

type streamKey struct{ src, dst netip.AddrPort }

type streamMessage struct {
	from    *stream
	payload []byte
	err     error
}

// add takes a segment.
func (s *streams) add(tcp *layers.TCP, at time.Time, src, dst netip.AddrPort) {
	s.start(at)
	s.flush(at)
	s.key = streamKey{src, dst}
	known := s.known[s.key]
	if known == nil && !tcp.SYN {
		// The start is not in the capture. The library would wait for it.
		if !startsMessage(tcp.Payload) {
			return
		}
		tcp.SYN = true
		tcp.Seq--
	}
	if known != nil && tcp.SYN && tcp.Seq != known.first {
		// The port is used again, and the end was not captured.
		reset := *tcp
		reset.SYN, reset.RST, reset.Seq, reset.Payload = false, true, known.next, nil
		s.assemble(&reset, at)
	}
	if s.known[s.key] == nil && len(s.known) >= maxStreams {
		s.assembler.FlushAll()
	}
	s.assemble(tcp, at)
}

func (s *streams) start(at time.Time) {
	if s.assembler != nil {
		return
	}
	s.known = map[streamKey]*stream{}
	s.assembler = tcpassembly.NewAssembler(tcpassembly.NewStreamPool(s))
	s.assembler.MaxBufferedPagesPerConnection = maxStreamPages
	s.assembler.MaxBufferedPagesTotal = maxPages
	s.flushed = at
}

func (s *streams) assemble(tcp *layers.TCP, at time.Time) {
	s.first = tcp.Seq
	src, dst := s.key.src.Addr().As16(), s.key.dst.Addr().As16()
	s.assembler.AssembleWithTimestamp(gopacket.NewFlow(layers.EndpointIPv6, src[:], dst[:]), tcp, at)
}

// flush gives up what waits for too long, by the clock of the capture.
func (s *streams) flush(now time.Time) {
	if s.segments++; s.segments < flushSegments || now.Sub(s.flushed) < streamTime/2 {
		return
	}
	s.segments, s.flushed = 0, now
	s.assembler.FlushOlderThan(now.Add(-streamTime))
}

// end gives up everything.
func (s *streams) end() {
	if s.assembler != nil {
		s.assembler.FlushAll()
	}
}

func (s *streams) found(from *stream, payload []byte, err error) {
	s.queue = append(s.queue, streamMessage{from, payload, err})
}

// pop returns the next packet that was found. Its number and time are missing, and so is the number in
// its error.
func (s *streams) pop() (Packet, bool) {
	if len(s.queue) == 0 {
		return Packet{}, false
	}
	m := s.queue[0]
	s.queue[0] = streamMessage{}
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return Packet{Protocol: DNS, TCP: true, Src: m.from.src, Dst: m.from.dst, Payload: m.payload, Err: m.err}, true
}

// New makes the stream of the present segment, for the library.
func (s *streams) New(_, _ gopacket.Flow) tcpassembly.Stream {
	st := &stream{of: s, src: s.key.src, dst: s.key.dst, first: s.first, next: s.first + 1, inStep: true}
	s.known[s.key] = st
	return assembled{st}
}

// assembled is a stream as the library sees it.
type assembled struct{ *stream }

// Reassembled takes the octets in their order.
func (a assembled) Reassembled(chunks []tcpassembly.Reassembly) {
	for _, c := range chunks {
		if c.Skip > 0 {
			a.skip(c.Skip)
		}
		a.feed(c.Bytes)
	}
}

// ReassemblyComplete forgets the stream.
func (a assembled) ReassemblyComplete() {
	a.end()
	delete(a.of.known, streamKey{a.src, a.dst})
}
