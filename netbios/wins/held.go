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

func (w What) isKnown() bool {
	return w >= What(Register) && w <= What(Release) || w == ConflictDemand || w == Unsolicited
}

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
	ReasonUpstream  = "upstream"       // the server behind did not take it
)

const (
	// maxHeld bounds what strangers can make us remember; the entry that was quiet for longest goes.
	maxHeld = 16384
	// maxParked bounds the entries of members, of which there are no more than the configuration has names
	// and addresses that go together: it is for a configuration that nobody expects.
	maxParked = 1 << 20
	// maxHeldOfSource bounds it for one address.
	maxHeldOfSource = 256
	// maxHeldSaved bounds what one batch has of them; the others are in the next one.
	maxHeldSaved = 4096
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

// note adds an entry or counts it again, and reports whether it is news.
func (t *heldTable) note(h Held, now Stamp) (isNew bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Packets have room for thousands of addresses.
	h.Claimed = slices.Clip(h.Claimed[:min(len(h.Claimed), MaxMembers)])
	h.Kept = slices.Clip(h.Kept[:min(len(h.Kept), MaxMembers)])
	k, saved := h.key(), Stamp(0)
	if e, ok := t.entries[k]; ok {
		old := e.Value.(*heldEntry)
		saved = old.saved
		h.First, h.Last, h.Count = old.First, now, old.Count+1
		if !h.sameAs(&old.Held) || now-old.saved >= heldResave {
			t.dirty[k] = true
		}
		if (h.Fate == IsParked) == (old.Fate == IsParked) {
			isNew = h.Fate != old.Fate
			old.Held = h
			if h.Fate != IsParked {
				t.quiet.MoveToBack(e)
			}
			return isNew
		}
		t.remove(k)
	} else {
		h.First, h.Last, h.Count = now, now, 1
	}
	if h.Fate != IsParked && t.bySource[k.source] >= maxHeldOfSource || h.Fate == IsParked && t.parked >= maxParked {
		t.dropped++
		return false
	}
	t.insert(h, saved)
	t.dirty[k] = true
	t.trim()
	return true
}

// trim drops the entries that were quiet for longest beyond the limit.
func (t *heldTable) trim() {
	for t.quiet.Len() > maxHeld {
		first := t.quiet.Front().Value.(*heldEntry)
		k := first.key()
		t.dropped++
		t.remove(k)
		// What the disk never had need not be taken from it: a flood costs no room while it fails.
		if first.saved != 0 {
			t.dirty[k] = true
		} else {
			delete(t.dirty, k)
		}
	}
}

// loaded brings the entries of a journal, which come in no order, into that of their last words.
func (t *heldTable) loaded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*list.Element, 0, t.quiet.Len())
	for e := t.quiet.Front(); e != nil; e = e.Next() {
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b *list.Element) int {
		return cmp.Compare(a.Value.(*heldEntry).Last, b.Value.(*heldEntry).Last)
	})
	for _, e := range all {
		t.quiet.MoveToBack(e)
	}
	t.trim()
}

// sameAs reports whether nothing but times and counts differs.
func (h *Held) sameAs(o *Held) bool {
	return h.Fate == o.Fate && h.What == o.What && h.Reason == o.Reason && h.Rule == o.Rule && h.Decision == o.Decision &&
		h.Role == o.Role && slices.Equal(h.Claimed, o.Claimed) && slices.Equal(h.Kept, o.Kept)
}

func (t *heldTable) insert(h Held, saved Stamp) {
	k := h.key()
	e := &heldEntry{Held: h, saved: saved}
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

// appendDirty appends what was not saved yet to a batch and returns the keys of it, for wasSaved.
func (t *heldTable) appendDirty(dst []byte) ([]byte, []heldKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.dirty) == 0 {
		return dst, nil
	}
	var keys []heldKey
	for k := range t.dirty {
		if len(keys) == maxHeldSaved {
			break
		}
		keys = append(keys, k)
		e, ok := t.entries[k]
		if !ok {
			dst = appendHeldGone(dst, k)
			continue
		}
		dst = appendHeld(dst, &e.Value.(*heldEntry).Held)
	}
	return dst, keys
}

// wasSaved says that the batch with these is on stable storage.
func (t *heldTable) wasSaved(keys []heldKey, now Stamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		delete(t.dirty, k)
		if e, ok := t.entries[k]; ok {
			e.Value.(*heldEntry).saved = now
		}
	}
}

// list returns a copy of all entries by fate, parked ones first, then by the latest word.
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
