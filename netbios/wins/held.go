package wins

import (
	"cmp"
	"container/list"
	"net/netip"
	"slices"
	"sync"

	"github.com/nameward/nameward/netbios"
)

// Held is something that somebody asked for and that is not, or not yet, published: a registration that
// was quarantined or refused, one of a role's member that is parked, a try to take a name away.
type Held struct {
	Name    netbios.Name
	What    What
	Fate    Fate
	Source  netip.Addr        // of the packet
	Claimed []netbios.Address // as it was said
	Kept    []IPv4            // what of it may be published, when the time comes
	Role    string
	// Reason is a short stable word; Rule and Decision are those of the policy, if it had a word in it.
	Reason      string
	Rule        string
	Decision    uint64
	Alert       bool
	First, Last Stamp
	Count       uint64
}

// What was asked for. The first ones have the numbers of operations.
type What uint8

// What is asked for by no request of its own.
const (
	ConflictDemand What = iota + 16 // RFC 1002, Section 4.2.8: a response that nobody asked for
	Unsolicited                     // any other response that nobody asked for
)

func (w What) String() string {
	switch w {
	case ConflictDemand:
		return "conflict-demand"
	case Unsolicited:
		return "response"
	}
	return Op(w).String()
}

// MarshalText writes the word.
func (w What) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Fate is what became of it.
type Fate uint8

// The fates.
const (
	IsParked      Fate = iota + 1 // published while the node holds the role
	IsQuarantined                 // quiet accept
	IsRefused                     // a negative answer
	IsIgnored                     // without effect
)

// Fates lists the fates.
var Fates = []Fate{IsParked, IsQuarantined, IsRefused, IsIgnored}

func (f Fate) String() string {
	return [...]string{"none", "parked", "quarantined", "refused", "ignored"}[f]
}

// MarshalText writes the word.
func (f Fate) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Reasons of our own; those of the policy are its words.
const (
	ReasonNotSource = "not-the-source" // the address is not the one that the packet came from
	ReasonNotOwner  = "not-owner"      // the packet did not come from an address of the record
	ReasonGuarded   = "guarded"        // the role's state decides
	ReasonUnasked   = "unasked"        // a response that nobody asked for
)

const (
	// maxHeld bounds what strangers can make us remember; the entry that was quiet for longest goes.
	maxHeld = 16384
	// maxHeldOfSource bounds it for one address.
	maxHeldOfSource = 256
	// heldResave is how old the saved count of an entry may be, in seconds: repetitions cost no writing.
	heldResave = 3600
)

type heldKey struct {
	name   netbios.Name
	source IPv4
	addr   IPv4
	what   What
}

func (h *Held) key() heldKey {
	k := heldKey{name: h.Name, what: h.What}
	if h.Source.IsValid() {
		k.source = IPv4Of(h.Source)
	}
	if h.What == What(RegisterMultihomed) || h.What == What(Refresh) {
		k.what = What(Register) // one matter to whoever reads the list
	}
	if len(h.Claimed) > 0 {
		k.addr = IPv4Of(h.Claimed[0].Addr)
	}
	return k
}

// heldTable is the bounded table of all that is held. Parked entries are those of members and so bounded
// by the configuration.
type heldTable struct {
	mu       sync.Mutex
	entries  map[heldKey]*list.Element // of *heldEntry
	quiet    *list.List                // not parked, the one that was quiet for longest first
	bySource map[IPv4]int
	parked   int
	dropped  uint64
	dirty    map[heldKey]bool // to be saved; the entry may have gone since
}

type heldEntry struct {
	Held
	saved Stamp
}

func newHeldTable() heldTable {
	return heldTable{entries: map[heldKey]*list.Element{}, quiet: list.New(), bySource: map[IPv4]int{}, dirty: map[heldKey]bool{}}
}

// note adds an entry or counts it again.
func (t *heldTable) note(h Held, now Stamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := h.key()
	if e, ok := t.entries[k]; ok {
		old := e.Value.(*heldEntry)
		h.First, h.Last, h.Count = old.First, now, old.Count+1
		if !h.sameAs(&old.Held) || now-old.saved >= heldResave {
			t.dirty[k] = true
		}
		if (h.Fate == IsParked) == (old.Fate == IsParked) {
			old.Held = h
			if h.Fate != IsParked {
				t.quiet.MoveToBack(e)
			}
			return
		}
		t.remove(k)
	} else {
		h.First, h.Last, h.Count = now, now, 1
	}
	if h.Fate != IsParked && t.bySource[k.source] >= maxHeldOfSource {
		t.dropped++
		return
	}
	t.insert(h)
	t.dirty[k] = true
	if t.quiet.Len() > maxHeld {
		first := t.quiet.Front().Value.(*heldEntry).key()
		t.dropped++
		t.remove(first)
		t.dirty[first] = true
	}
}

// sameAs reports whether nothing but times and counts differs.
func (h *Held) sameAs(o *Held) bool {
	return h.Fate == o.Fate && h.What == o.What && h.Reason == o.Reason && h.Rule == o.Rule && h.Decision == o.Decision &&
		h.Role == o.Role && slices.Equal(h.Claimed, o.Claimed) && slices.Equal(h.Kept, o.Kept)
}

func (t *heldTable) insert(h Held) {
	k := h.key()
	e := &heldEntry{Held: h}
	if h.Fate == IsParked {
		t.entries[k] = &list.Element{Value: e}
		t.parked++
		return
	}
	t.entries[k] = t.quiet.PushBack(e)
	t.bySource[k.source]++
}

func (t *heldTable) remove(k heldKey) bool {
	e, ok := t.entries[k]
	if !ok {
		return false
	}
	delete(t.entries, k)
	if e.Value.(*heldEntry).Fate == IsParked {
		t.parked--
		return true
	}
	t.quiet.Remove(e)
	if t.bySource[k.source]--; t.bySource[k.source] == 0 {
		delete(t.bySource, k.source)
	}
	return true
}

// forget takes an entry of a fate out and reports whether there was one.
func (t *heldTable) forget(k heldKey, fate Fate) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.entries[k]; !ok || e.Value.(*heldEntry).Fate != fate {
		return false
	}
	t.dirty[k] = true
	return t.remove(k)
}

// appendDirty appends what was not saved yet to a batch and returns the keys of it.
func (t *heldTable) appendDirty(dst []byte, now Stamp) ([]byte, []heldKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.dirty) == 0 {
		return dst, nil
	}
	var keys []heldKey
	for k := range t.dirty {
		keys = append(keys, k)
		e, ok := t.entries[k]
		if !ok {
			dst = appendHeldGone(dst, k)
			continue
		}
		entry := e.Value.(*heldEntry)
		entry.saved = now
		dst = appendHeld(dst, &entry.Held)
	}
	clear(t.dirty)
	return dst, keys
}

// unsaved says that a batch did not reach the disk.
func (t *heldTable) unsaved(keys []heldKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		t.dirty[k] = true
	}
}

// list returns a copy of all entries, parked ones first, then by the latest word.
func (t *heldTable) list() []Held {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Held, 0, len(t.entries))
	for _, e := range t.entries {
		out = append(out, e.Value.(*heldEntry).Held)
	}
	slices.SortFunc(out, func(a, b Held) int {
		return cmp.Or(cmp.Compare(a.Fate, b.Fate), -cmp.Compare(a.Last, b.Last), a.Name.Compare(b.Name), a.Source.Compare(b.Source))
	})
	return out
}

// HeldCounts are the numbers of entries.
type HeldCounts struct {
	Parked, Others int
	Dropped        uint64 // for want of room, since the start
}

func (t *heldTable) counts() HeldCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return HeldCounts{Parked: t.parked, Others: t.quiet.Len(), Dropped: t.dropped}
}
