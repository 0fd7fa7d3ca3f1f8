package zone

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// A batch of the journal is a run of entries, each a tag, the octets that it has and its data. What stands
// behind an entry for a zone is about that zone. A base is made of the same entries.
const (
	tagZone    = 1  // its name
	tagHead    = 2  // serial and digest; the history ends here
	tagSOA     = 3  // of the view before a step, and then of the one after it
	tagBy      = 4  // who registered the records that follow
	tagDeleted = 5  // a registered record that the step takes out
	tagAdded   = 6  // a registered record that it puts in
	tagLeft    = 7  // a record of the registry that it takes out
	tagEntered = 8  // a record of the registry that it puts in
	tagStep    = 9  // digest after it: the step is complete
	tagPast    = 10 // the same in a base, where the records have it already
	tagRecord  = 11 // a registered record, in a base
)

// errFormat is what is wrong with a batch that this package did not write.
var errFormat = errors.New("an entry is malformed")

// packer puts entries together.
type packer struct {
	b  []byte
	by *By
}

func (p *packer) entry(tag byte, data []byte) {
	p.b = binary.AppendUvarint(append(p.b, tag), uint64(len(data)))
	p.b = append(p.b, data...)
}

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
	var few [1024]byte
	buf := few[:]
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		buf = make([]byte, dns.MaxMsgSize)
		if n, err = dns.PackRR(rr, buf, 0, nil, false); err != nil {
			panic(fmt.Sprintf("packing %s: %v", rr, err)) // it was unpacked before, or made here
		}
	}
	p.entry(tag, buf[:n])
}

func (p *packer) record(tag byte, r Record) {
	if r.By != p.by && r.By != nil {
		text, err := json.Marshal(r.By)
		if err != nil {
			panic(err) // texts and numbers
		}
		p.entry(tagBy, text)
		p.by = r.By
	}
	p.rr(tag, r.RR)
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

// loader puts the zones together from batches.
type loader struct {
	zones map[string]*kept
	cur   *kept
	by    *By
	step  Step
	dels  []dns.RR
	adds  []Record
}

// kept is what the journal has of a zone.
type kept struct {
	serial  uint32
	digest  digest
	names   names
	records int
	history history
}

func (l *loader) load(batch []byte) error {
	for len(batch) > 0 {
		tag := batch[0]
		size, n := binary.Uvarint(batch[1:])
		if n <= 0 || size > uint64(len(batch)-1-n) {
			return errFormat
		}
		data := batch[1+n : 1+n+int(size)]
		if err := l.entry(tag, data); err != nil {
			return fmt.Errorf("%w: tag %d: %w", errFormat, tag, err)
		}
		batch = batch[1+n+int(size):]
	}
	return nil
}

func (l *loader) entry(tag byte, data []byte) error {
	switch tag {
	case tagZone:
		l.enter(string(data))
		return nil
	case tagBy:
		l.by = new(By)
		return json.Unmarshal(data, l.by)
	}
	switch {
	case l.cur == nil:
		return errors.New("it is about no zone")
	case tag == tagHead:
		return l.head(data)
	case tag == tagStep || tag == tagPast:
		return l.endStep(tag, data)
	}
	rr, _, err := dns.UnpackRR(data, 0)
	if err != nil {
		return err
	}
	switch tag {
	case tagSOA:
		return l.soa(rr)
	case tagDeleted:
		l.dels = append(l.dels, rr)
		l.step.Deleted = append(l.step.Deleted, rr)
	case tagAdded:
		l.adds = append(l.adds, Record{rr, l.by})
		l.step.Added = append(l.step.Added, rr)
	case tagLeft:
		l.step.Deleted = append(l.step.Deleted, rr)
	case tagEntered:
		l.step.Added = append(l.step.Added, rr)
	case tagRecord:
		l.cur.put(Record{rr, l.by})
	default:
		return errors.New("it is unknown")
	}
	return nil
}

func (l *loader) enter(zone string) {
	l.cur, l.by = l.zones[zone], nil
	if l.cur == nil {
		l.cur = &kept{}
		l.zones[zone] = l.cur
	}
	l.begin()
}

func (l *loader) begin() { l.step, l.dels, l.adds = Step{}, nil, nil }

func (l *loader) head(data []byte) error {
	if len(data) != 20 {
		return errors.New("it has another size")
	}
	l.cur.serial, l.cur.digest, l.cur.history = binary.BigEndian.Uint32(data), readDigest(data[4:]), history{}
	return nil
}

func readDigest(data []byte) digest {
	return digest{binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])}
}

func (l *loader) soa(rr dns.RR) error {
	soa, ok := rr.(*dns.SOA)
	switch {
	case !ok:
		return errors.New("it is no SOA")
	case l.step.Before == nil:
		l.step.Before = soa
	default:
		l.step.After = soa
	}
	return nil
}

func (l *loader) endStep(tag byte, data []byte) error {
	if l.step.After == nil || len(data) != 16 {
		return errors.New("it ends a step that did not begin")
	}
	s := l.step
	if tag == tagStep {
		for _, rr := range l.dels {
			l.cur.remove(rr)
		}
		for _, r := range l.adds {
			l.cur.put(r)
		}
		l.cur.serial, l.cur.digest = s.After.Serial, readDigest(data)
	}
	l.cur.history = l.cur.history.with(&s, max(minHistory, l.cur.octets()))
	l.begin()
	return nil
}

// octets is about what the zone's registered records take in a transfer.
func (k *kept) octets() int { return k.records * recordOctets }

// recordOctets is about what a record takes in a transfer.
const recordOctets = 64

func (k *kept) put(r Record) {
	h := r.RR.Header()
	key := keyOf(h.Name)
	n, _ := k.names.Get(key)
	s := Set{Type: h.Rrtype}
	if old := n.Set(h.Rrtype); old != nil {
		s.Records = old.Records[:len(old.Records):len(old.Records)]
	}
	s.Records = append(s.Records, r)
	k.records++
	k.names.Set(key, n.with(h.Name, s))
}

func (k *kept) remove(rr dns.RR) {
	h := rr.Header()
	key := keyOf(h.Name)
	n, _ := k.names.Get(key)
	old := n.Set(h.Rrtype)
	if old == nil {
		return
	}
	s := Set{Type: h.Rrtype}
	for _, r := range old.Records {
		if !sameRecord(r.RR, rr) {
			s.Records = append(s.Records, r)
		}
	}
	k.records -= len(old.Records) - len(s.Records)
	if n = n.with(h.Name, s); n == nil {
		k.names.Delete(key)
		return
	}
	k.names.Set(key, n)
}
