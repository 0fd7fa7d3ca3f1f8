package gsstsig

// windowSize is how far behind the newest message of a context another one may arrive. Over UDP messages
// overtake each other; a client has nowhere near as many under way.
const windowSize = 1024

// window tells messages that were seen from new ones by their sequence numbers.
type window struct {
	first uint64 // number of the first message
	top   uint64 // one more than the newest that was seen, counted from the first
	seen  [windowSize / 64]uint64
}

// take reports whether the number is new, and remembers it.
func (w *window) take(seq uint64) bool {
	at := seq - w.first
	switch {
	case at>>63 != 0: // before the first
		return false
	case at < w.top:
		if w.top-at > windowSize || w.seen[at/64%uint64(len(w.seen))]&(1<<(at%64)) != 0 {
			return false
		}
	case at-w.top >= windowSize:
		w.seen, w.top = [windowSize / 64]uint64{}, at+1
	default:
		for ; w.top <= at; w.top++ {
			w.seen[w.top/64%uint64(len(w.seen))] &^= 1 << (w.top % 64)
		}
	}
	w.seen[at/64%uint64(len(w.seen))] |= 1 << (at % 64)
	return true
}

// recent does the same by the checksums of the newest messages.
type recent struct {
	seen  map[uint64]bool
	order []uint64 // the oldest of it at next, once it is full
	next  int
}

// maxRecent is more than what a server that registers for others sends in ten minutes, for which a message
// is fresh.
const maxRecent = 8192

func (r *recent) take(sum uint64) bool {
	if r.seen[sum] {
		return false
	}
	if r.seen == nil {
		r.seen = map[uint64]bool{}
	}
	if len(r.order) < maxRecent {
		r.order = append(r.order, sum)
	} else {
		delete(r.seen, r.order[r.next])
		r.order[r.next] = sum
		r.next = (r.next + 1) % maxRecent
	}
	r.seen[sum] = true
	return true
}
