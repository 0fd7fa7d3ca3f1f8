package zone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// loader puts the zones together from batches.
type loader struct {
	zones map[string]*kept
	key   string // of the zone that the entries are about
	cur   *kept
	by    *By
	step  Step
	dels  []dns.RR
	adds  []Record

	parts []byte // of a batch that is not complete
	next  uint64 // part of it
	dirty bool   // there is something, and it does not end with tagClean
}

// kept is what the journal has of a zone.
type kept struct {
	serial  uint32
	digest  digest
	names   names
	records int
	octets  int
	history history
	doubt   bool // it may have had later serials: see skipped
}

func (l *loader) load(batch []byte) error {
	l.dirty = true
	whole, err := l.join(batch)
	if err != nil {
		return fmt.Errorf("%w: %w", errFormat, err)
	}
	for len(whole) > 0 {
		tag, data, rest, err := cutEntry(whole)
		if err == nil {
			err = l.entry(tag, data)
		}
		if err != nil {
			return fmt.Errorf("%w: tag %d, %d octets before the end: %w", errFormat, tag, len(whole), err)
		}
		whole = rest
	}
	return nil
}

func cutEntry(batch []byte) (tag byte, data, rest []byte, err error) {
	size, n := binary.Uvarint(batch[1:])
	if n <= 0 || size > uint64(len(batch)-1-n) {
		return batch[0], nil, nil, errors.New("it is longer than the batch")
	}
	data = batch[1+n:]
	return batch[0], data[:size], data[size:], nil
}

func (l *loader) entry(tag byte, data []byte) (err error) {
	switch tag {
	case tagZone:
		l.enter(string(data))
		return nil
	case tagBy:
		l.by, err = parseBy(data)
		return err
	case tagClean:
		l.dirty = false
		return nil
	}
	switch {
	case l.cur == nil:
		return errors.New("it is about no zone")
	case tag == tagHead:
		return l.head(data)
	case tag == tagStep || tag == tagPast:
		return l.endStep(tag, data)
	}
	rr, err := l.rr(data)
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

// rr reads a record of the zone.
func (l *loader) rr(data []byte) (dns.RR, error) {
	rr, end, err := dns.UnpackRR(data, 0)
	if err != nil {
		return nil, err
	}
	h := rr.Header()
	switch {
	case end != len(data):
		return nil, errors.New("it is longer than its record")
	case h.Class != dns.ClassINET || isMeta(h.Rrtype):
		return nil, fmt.Errorf("%s is no record of a zone", rr)
	case h.Name != dns.CanonicalName(h.Name) || !strings.HasPrefix(keyOf(h.Name), l.key):
		return nil, fmt.Errorf("%s is not in the zone", h.Name)
	}
	return rr, nil
}

func (l *loader) enter(zone string) {
	l.cur, l.by, l.key = l.zones[zone], nil, keyOf(zone)
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
	l.change()
	l.begin()
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
		l.change()
		l.cur.serial, l.cur.digest = s.After.Serial, readDigest(data)
	}
	l.cur.history = l.cur.history.with(&s, max(loadHistory, l.cur.octets))
	l.begin()
	return nil
}

// loadHistory is what a zone may have until it is known how large it is with what the registry has in it.
const loadHistory = 8 << 20

// change does what the entries for the registered records say.
func (l *loader) change() {
	for _, rr := range l.dels {
		l.cur.remove(rr)
	}
	for _, r := range l.adds {
		l.cur.put(r)
	}
}

func (k *kept) put(r Record) {
	h := r.RR.Header()
	key := keyOf(h.Name)
	n, _ := k.names.Get(key)
	s := Set{Type: h.Rrtype}
	if old := n.Set(h.Rrtype); old != nil {
		s = *old
	}
	if n != nil {
		h.Name = n.Owner // one text for all
	}
	k.set(h.Name, key, n, s.with(r))
}

func (k *kept) remove(rr dns.RR) {
	key := keyOf(rr.Header().Name)
	n, _ := k.names.Get(key)
	old := n.Set(rr.Header().Rrtype)
	if i := old.index(rr); i >= 0 {
		k.set(n.Owner, key, n, old.without(i))
	}
}

func (k *kept) set(owner, key string, n *Name, s Set) {
	records, octets := n.Set(s.Type).size()
	k.records += len(s.Records) - records
	k.octets += int(s.octets) - octets
	put(&k.names, key, n.with(owner, s))
}
