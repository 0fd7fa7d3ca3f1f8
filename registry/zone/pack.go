package zone

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// A batch of the journal is a run of entries, each a tag, the octets that it has and its data. What stands
// behind an entry for a zone is about that zone. A base is made of the same entries, and its chunks are one run.
const (
	tagZone    = 1  // its name
	tagHead    = 2  // serial and digest; the records that were taken out before it go, and the history ends here
	tagSOA     = 3  // of the view before a step, and then of the one after it
	tagBy      = 4  // who registered the records that follow
	tagDeleted = 5  // a registered record that the step takes out
	tagAdded   = 6  // a registered record that it puts in
	tagLeft    = 7  // a record of the registry that it takes out
	tagEntered = 8  // a record of the registry that it puts in
	tagStep    = 9  // digest after it: the step is complete
	tagPast    = 10 // the same in a base, where the records have it already
	tagRecord  = 11 // a registered record, in a base
	tagPart    = 12 // which part of how many the rest of the batch is: it counts with the last one
	tagClean   = 13 // nothing was told that is not saved
)

// errFormat is what is wrong with a batch that this package did not write.
var errFormat = errors.New("an entry is malformed")

// packer puts entries together.
type packer struct {
	b       []byte
	by      *By
	scratch []byte

	chunk func([]byte) bool // for a base: takes b whenever it is full; nil for a batch
	ended bool              // chunk wants no more
}

func (p *packer) entry(tag byte, data []byte) {
	p.b = binary.AppendUvarint(append(p.b, tag), uint64(len(data)))
	p.b = append(p.b, data...)
	if p.chunk != nil && len(p.b) >= chunkOctets {
		p.flush()
	}
}

func (p *packer) flush() {
	p.ended = p.ended || !p.chunk(p.b)
	p.b = p.b[:0]
}

// reset begins another batch.
func (p *packer) reset() {
	if p.b, p.by = p.b[:0], nil; cap(p.b) > keptOctets {
		p.b = nil
	}
}

// keptOctets is how large a buffer may be to be used again.
const keptOctets = 1 << 20

func (p *packer) zone(name string) {
	p.by = nil
	p.entry(tagZone, []byte(name))
}

func (p *packer) head(serial uint32, d digest) {
	p.entry(tagHead, appendDigest(binary.BigEndian.AppendUint32(nil, serial), d))
}

func appendDigest(dst []byte, d digest) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, d[0]), d[1])
}

func (p *packer) rr(tag byte, rr dns.RR) {
	wire, err := packRR(rr, p.scratch)
	if err != nil {
		panic(fmt.Sprintf("packing %s: %v", rr, err)) // Check has packed it before, or it was made here
	}
	p.entry(tag, wire[headerOctets:])
	p.scratch = wire
}

// headerOctets is what stands before the first record of a message without a question: RFC 1035, Section 4.1.1.
const headerOctets = 12

// packRR writes a message of one record into buf, if there is room. dns.PackRR notes the length in the record, which others
// may be reading.
func packRR(rr dns.RR, buf []byte) ([]byte, error) {
	m := dns.Msg{Answer: []dns.RR{rr}}
	return m.PackBuffer(buf[:cap(buf)])
}

func (p *packer) record(tag byte, r Record) {
	if r.By != p.by && (r.By == nil || p.by == nil || *r.By != *p.by) {
		p.entry(tagBy, appendBy(nil, r.By))
	}
	p.by = r.By
	p.rr(tag, r.RR)
}

// appendBy writes nobody as no octets.
func appendBy(dst []byte, by *By) []byte {
	if by == nil {
		return dst
	}
	dst = binary.AppendVarint(dst, by.At)
	dst = binary.AppendUvarint(dst, by.Decision)
	source, _ := by.Source.MarshalText() // it gives no error
	dst = binary.AppendUvarint(dst, uint64(len(source)))
	return append(append(dst, source...), by.Principal...)
}

func parseBy(data []byte) (*By, error) {
	if len(data) == 0 {
		return nil, nil
	}
	by := &By{}
	var n [3]int
	var size uint64
	by.At, n[0] = binary.Varint(data)
	by.Decision, n[1] = binary.Uvarint(data[max(n[0], 0):])
	data = data[max(n[0], 0)+max(n[1], 0):]
	if size, n[2] = binary.Uvarint(data); min(n[0], n[1], n[2]) <= 0 || size > uint64(len(data)-n[2]) {
		return nil, errors.New("it is too short")
	}
	data = data[n[2]:]
	by.Principal = string(data[size:])
	return by, by.Source.UnmarshalText(data[:size])
}

// step writes a step. The records that were registered are named apart from those of the registry.
func (p *packer) step(tag byte, s *Step, deleted, added []Record, moved staticDiff, d digest) {
	p.rr(tagSOA, s.Before)
	p.rr(tagSOA, s.After)
	for _, r := range deleted {
		p.rr(tagDeleted, r.RR)
	}
	for _, r := range added {
		p.record(tagAdded, r)
	}
	for _, rr := range moved.deleted {
		p.rr(tagLeft, rr)
	}
	for _, rr := range moved.added {
		p.rr(tagEntered, rr)
	}
	p.entry(tag, appendDigest(nil, d))
}

// past writes a step of the history alone.
func (p *packer) past(s *Step) {
	p.step(tagPast, s, nil, nil, staticDiff{s.Deleted, s.Added}, digest{})
}
