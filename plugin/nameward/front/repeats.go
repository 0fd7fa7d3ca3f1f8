package front

import (
	"container/list"
	"crypto/sha256"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// repeats remembers updates by their octets, with what was answered. One that comes again, because its
// client heard nothing or because somebody recorded it, is answered again and not carried out again: a
// record that was deleted meanwhile does not come back.
type repeats struct {
	mu    sync.Mutex
	known map[fingerprint]*list.Element // of *repeat
	order list.List                     // the oldest first
}

type fingerprint [16]byte

type repeat struct {
	of     fingerprint
	ends   time.Time
	answer []byte // nil while it is carried out
}

const (
	// maxRepeats bounds what is remembered, at some 300 octets each; the oldest goes first.
	maxRepeats = 65536
	// signedFor is how long a signature holds good: the fudge in both directions, RFC 8945, Section 10.
	signedFor = 2 * 300 * time.Second
	// unsignedFor is how long a client repeats a message that nobody signed, from one socket.
	unsignedFor = 10 * time.Second
)

// fingerprintOf tells messages apart. One that is signed is itself wherever it comes from; another one may be
// like an earlier one by chance, unless it comes from the same socket at about the same time.
func fingerprintOf(raw []byte, signed bool, from net.Addr) (f fingerprint) {
	h := sha256.New()
	h.Write(raw)
	if !signed {
		h.Write([]byte(from.String()))
	}
	copy(f[:], h.Sum(nil))
	return f
}

// begin reports whether a message came before, with the answer to it, nil as long as there is none. If it did
// not, it is remembered from now on.
func (r *repeats) begin(f fingerprint, signed bool) (answer []byte, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for e := r.order.Front(); e != nil; e = r.order.Front() {
		if old := e.Value.(*repeat); r.order.Len() < maxRepeats && now.Before(old.ends) {
			break
		}
		r.drop(e)
	}
	if e, ok := r.known[f]; ok && now.Before(e.Value.(*repeat).ends) {
		return e.Value.(*repeat).answer, true
	} else if ok {
		r.drop(e)
	}
	ends := now.Add(unsignedFor)
	if signed {
		ends = now.Add(signedFor)
	}
	if r.known == nil {
		r.known = map[fingerprint]*list.Element{}
	}
	r.known[f] = r.order.PushBack(&repeat{of: f, ends: ends})
	return nil, false
}

// end notes the answer. A message that failed here may be tried again.
func (r *repeats) end(f fingerprint, answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known[f]
	switch {
	case !ok:
	case len(answer) < headerSize || answer[3]&0x0f == dns.RcodeServerFailure:
		r.drop(e)
	default:
		e.Value.(*repeat).answer = answer
	}
}

// abandon forgets a message that was given no answer.
func (r *repeats) abandon(f fingerprint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.known[f]; ok && e.Value.(*repeat).answer == nil {
		r.drop(e)
	}
}

func (r *repeats) drop(e *list.Element) {
	delete(r.known, e.Value.(*repeat).of)
	r.order.Remove(e)
}
