package updates

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/held"
)

// Held is one change of an update that was asked for and is not, or not of itself, published.
type Held struct {
	Zone    string `json:"zone"` // of the update, lower case and fully qualified as the name is
	Name    string `json:"name"`
	Type    uint16 `json:"type"`
	Deletes bool   `json:"deletes,omitempty"`
	Data    string `json:"data,omitempty"` // RDATA in presentation form, at most MaxData octets; "" when a whole set was meant
	// Source is where the update came from, Principal who signed it, "" for nobody.
	Source    netip.Addr `json:"source,omitzero"`
	Principal string     `json:"principal,omitempty"`
	Fate      held.Fate  `json:"fate"`
	Role      string     `json:"role,omitempty"`
	// Reason is a short stable word; Rule and Decision are those of the policy, if it had a word in it.
	Reason   string `json:"reason,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Decision uint64 `json:"decision,omitempty"`
	Alert    bool   `json:"alert,omitempty"`
	// First, Last and Count are the book's.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count uint64    `json:"count"`
}

// What is "add A", "delete A", or "delete ANY" for a whole name.
func (h *Held) What() string {
	if h.Deletes {
		return "delete " + dns.Type(h.Type).String()
	}
	return "add " + dns.Type(h.Type).String()
}

// MaxData bounds in octets the data that is kept of an entry, maxText its names and other words: an escaped
// name has four for each of its own.
const (
	MaxData = 256
	maxText = 1024
)

// bound makes an entry fit to be kept, and shown on a terminal: what a client says may be anything.
func (h *Held) bound() {
	h.Data = clean(h.Data, MaxData)
	for _, s := range []*string{&h.Zone, &h.Name, &h.Principal, &h.Role, &h.Reason, &h.Rule} {
		*s = clean(*s, maxText)
	}
	h.Source = h.Source.Unmap().WithZone("")
	if !h.Fate.IsValid() {
		h.Fate = held.Ignored
	}
}

// clean replaces what does not print, and cuts a text that is too long.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	const cut = "..."
	return strings.ToValidUTF8(s[:most-len(cut)], "") + cut
}

// key is one matter to whoever reads the list.
type key struct {
	Zone      string     `json:"zone"`
	Name      string     `json:"name"`
	Type      uint16     `json:"type"`
	Deletes   bool       `json:"deletes,omitempty"`
	Data      string     `json:"data,omitempty"`
	Source    netip.Addr `json:"source,omitzero"`
	Principal string     `json:"principal,omitempty"`
}

func (h *Held) key() key {
	return key{h.Zone, h.Name, h.Type, h.Deletes, h.Data, h.Source, h.Principal}
}

// origin is what the limit of a source is about: an IPv6 node has a whole /64 to choose from.
func (h *Held) origin() netip.Prefix {
	p, _ := h.Source.Prefix(min(h.Source.BitLen(), 64)) // the zero one for no source
	return p
}

// count gives an entry its times and its count.
func (h *Held) count(before *Held, now time.Time) {
	h.Last = now.UTC().Round(0)
	h.First, h.Count = h.Last, 1
	if before != nil {
		h.First, h.Count = before.First, before.Count+1
	}
}

// sameAs reports whether nothing but times and counts differs between two of one key.
func (h *Held) sameAs(o *Held) bool {
	return h.Fate == o.Fate && h.Role == o.Role && h.Reason == o.Reason && h.Rule == o.Rule && h.Decision == o.Decision && h.Alert == o.Alert
}

// compare is by fate, parked ones first, then by the latest word.
func compare(a, b Held) int {
	return cmp.Or(cmp.Compare(a.Fate, b.Fate), b.Last.Compare(a.Last), cmp.Compare(a.Name, b.Name), a.Source.Compare(b.Source),
		cmp.Compare(a.What(), b.What()), cmp.Compare(a.Data, b.Data))
}

type table = held.Table[key, netip.Prefix, Held]

func newTable(limits held.Limits) *table {
	return held.New(held.Kind[key, netip.Prefix, Held]{
		Key:    (*Held).key,
		Source: (*Held).origin,
		Fate:   func(h *Held) held.Fate { return h.Fate },
		Last:   func(h *Held) time.Time { return h.Last },
		Count:  (*Held).count,
		Same:   (*Held).sameAs,
	}, limits)
}
