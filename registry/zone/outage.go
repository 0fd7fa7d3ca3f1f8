package zone

// What is told while the disk takes nothing may be forgotten by a kill, and what a failed write has left in the
// file may then come to light (see journal.Append). A secondary may have the first, under a serial that must not
// be given to the second, nor lie before the zone:
//
//   - the first step of an outage leaps, so that its serials are not those of the failed write;
//   - a start after a kill skips more serials than an outage gives out. Only a journal that was closed
//     with nothing unsaved is taken at its word.
const (
	leap = 1 << 15
	skip = 1 << 16
)

// advance gives the next view its serial.
func (e *editor) advance(v *View, outage int) {
	switch {
	case outage != 0 && v.outage != outage:
		v.Serial, v.outage = plus(v.Serial, leap), outage
	case e.skips:
		v.Serial = plus(v.Serial, skip)
	default:
		v.Serial = next(v.Serial)
	}
}

// skipped is how many serials after a kill may have been told.
func (k *kept) skipped() uint32 {
	if k.doubt {
		return skip
	}
	return 0
}

// skipParked moves the serials of the zones that were loaded and are not owned.
func (w *work) skipParked(p *packer) {
	for name, k := range w.d.parked {
		if k.doubt && w.fresh[name] == nil {
			k.serial, k.history, k.doubt = plus(k.serial, skip), history{}, false
			p.zone(name)
			p.head(k.serial, k.digest)
		}
	}
}

// maxUnsaved bounds in octets what waits for a disk that takes nothing.
const maxUnsaved = 1 << 20

// keep has a batch wait for the disk. When that has become long, the zones are where they are, and how they came
// there is forgotten.
func (d *DB) keep(batch []byte) {
	if d.unsaved = append(d.unsaved, batch...); len(d.unsaved) <= maxUnsaved {
		return
	}
	p := &packer{}
	for name, k := range d.whole() {
		p.zone(name)
		if was := d.saved[name]; was != nil && was.records != k.records {
			p.gone(was, k) // nothing is added meanwhile
		}
		p.head(k.serial, k.digest)
	}
	d.unsaved = p.b
}

// gone writes down the registered records that a zone had and has not.
func (p *packer) gone(was, is *kept) {
	was.names.Scan(func(key string, n *Name) bool {
		now, _ := is.names.Get(key)
		for _, s := range n.Sets {
			for _, r := range s.Records {
				if now.Set(s.Type).index(r.RR) < 0 {
					p.rr(tagDeleted, r.RR)
				}
			}
		}
		return true
	})
}
