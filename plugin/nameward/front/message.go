package front

import (
	"context"
	"encoding/binary"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"
)

const headerSize = 12 // RFC 1035, Section 4.1.1

// isRequest reports whether raw has a header, without the bit of a response.
func isRequest(raw []byte) bool { return len(raw) >= headerSize && raw[2]&0x80 == 0 }

// count returns how many records a header announces for a section.
func count(raw []byte, section int) int { return int(binary.BigEndian.Uint16(raw[4+2*section:])) }

// isAcceptable judges the counts in a header as the DNS library does for CoreDNS, but for two things:
// an UPDATE has any number of records, and a TKEY query may have the TKEY, an OPT and a TSIG record
// behind the question. Which opcodes are wanted is what CoreDNS asks its plugins.
func isAcceptable(raw []byte) bool {
	switch opcode := int(raw[2]>>3) & 0xf; {
	case count(raw, 0) != 1: // of an UPDATE too: RFC 2136, Section 3.1.1
		return false
	case opcode != dns.OpcodeQuery && opcode != dns.OpcodeNotify:
		return true
	default: // NOTIFY may have the SOA in the answer, IXFR in the authority: RFC 1996, 3.7; RFC 1995, 3
		return count(raw, 1) <= 1 && count(raw, 2) <= 1 && count(raw, 3) <= 3
	}
}

// parse unpacks a message. The DNS library is content with fewer records than are announced; half an
// UPDATE is none.
func parse(raw []byte) (*dns.Msg, bool) {
	m := new(dns.Msg)
	if !isAcceptable(raw) || m.Unpack(raw) != nil {
		return nil, false
	}
	whole := len(m.Question) == count(raw, 0) && len(m.Answer) == count(raw, 1) && len(m.Ns) == count(raw, 2) && len(m.Extra) == count(raw, 3)
	return m, whole
}

// serve takes one message through CoreDNS. It may be called for many at once.
func (w *response) serve(raw []byte) Outcome {
	switch {
	case !isRequest(raw):
		return Ignored
	case w.server == nil:
		return Unserved
	}
	m, ok := parse(raw)
	if !ok {
		w.reject(raw)
		return Rejected
	}
	t := m.IsTsig()
	if m.Opcode == dns.OpcodeUpdate {
		known := &w.door.front.repeats
		f := fingerprintOf(raw, t != nil, w.RemoteAddr())
		answer, again := known.begin(f, t != nil)
		if again && answer != nil {
			_, _ = w.Write(answer) // as with any other answer
		}
		if again {
			return Repeated
		}
		w.repeated = func(answer []byte) {
			if w.status == nil { // what is not proved is judged anew
				known.end(f, answer)
			}
		}
		defer known.abandon(f)
	}
	if t != nil {
		w.status, w.mac = w.signer().verify(raw, t.Hdr.Name), t.MAC
	}
	ctx := context.WithValue(context.Background(), dnsserver.Key{}, w.server)
	ctx = context.WithValue(ctx, dnsserver.LoopKey{}, 0)
	ctx = context.WithValue(ctx, requestKey{}, &Request{Raw: raw, Status: w.status})
	w.server.ServeDNS(ctx, w, m)
	return Served
}

// reject answers FORMERR with a header alone, which is never more than was asked.
func (w *response) reject(raw []byte) {
	reply := [headerSize]byte{raw[0], raw[1], 0x80 | raw[2]&0x79, dns.RcodeFormatError} // the ID, QR, opcode and RD
	_, _ = w.Write(reply[:])                                                            // whether it arrives or not, we are done
}
