package wins

import (
	"cmp"
	"slices"
	"sync"

	"github.com/nameward/nameward/netbios"
)

// Out is what a WINS server behind this one has still to be told of one address of a name. Later words
// take the place of earlier ones, so that there is one at the most.
type Out struct {
	Name  netbios.Name
	Addr  IPv4
	Op    Op
	Flags netbios.NodeFlags
	TTL   uint32 // seconds
	Since Stamp
}

type outKey struct {
	name netbios.Name
	addr IPv4
}

func (o *Out) key() outKey { return outKey{o.Name, o.Addr} }

// outbox is what waits to be told. The writer alone changes it.
type outbox struct {
	mu      sync.Mutex
	waiting map[outKey]Out
	wake    chan struct{} // has a token when something new waits
}

func (b *outbox) put(outs []Out, gone []outKey) {
	if len(outs) == 0 && len(gone) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range gone {
		delete(b.waiting, k)
	}
	for _, o := range outs {
		b.waiting[o.key()] = o
	}
	if len(outs) > 0 {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

func (b *outbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

func (b *outbox) list(limit int) []Out {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Out, 0, len(b.waiting))
	for _, o := range b.waiting {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b Out) int { return cmp.Or(cmp.Compare(a.Since, b.Since), a.Name.Compare(b.Name)) })
	return out[:min(limit, len(out))]
}

// of lists what there is of a folded name, by address.
func (b *outbox) of(n netbios.Name) (out []Out) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.waiting {
		if o.Name.Fold() == n {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Out) int { return a.Addr.Addr().Compare(b.Addr.Addr()) })
	return out
}

// has reports whether this very word still waits.
func (b *outbox) has(o Out) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting[o.key()] == o
}
