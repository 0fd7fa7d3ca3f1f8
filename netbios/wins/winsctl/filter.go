package winsctl

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/nameward/nameward/netbios/wins"
)

// Filter says which registrations are wanted. The zero Filter is all records and what is parked.
type Filter struct {
	Name  string // MAIL, MAIL<20>, or with * for anything; "" is all
	State string // "active", "released" or "tombstone"; "" is all
	// Static leaves the records that an operator made.
	Static bool
	Held   HeldFilter
}

// HeldFilter says what of that is wanted which is held.
type HeldFilter uint8

// The choices.
const (
	WithParked  HeldFilter = iota // records and what is parked
	WithHeld                      // records and all that is held
	NoneHeld                      // records alone
	OnlyHeld                      // all that is held
	Quarantined                   // what is held and not parked
)

var heldWords = []string{"parked", "all", "none", "only", "quarantined"}

func (h HeldFilter) String() string { return heldWords[h] }

func (h HeldFilter) records() bool { return h != OnlyHeld && h != Quarantined }

func (h HeldFilter) has(f wins.Fate) bool {
	switch h {
	case WithParked:
		return f == wins.IsParked
	case NoneHeld:
		return false
	case Quarantined:
		return f != wins.IsParked
	}
	return true
}

// query writes the filter as the parameters of a request.
func (f *Filter) query() string {
	v := url.Values{"held": {f.Held.String()}}
	if f.Name != "" {
		v.Set("name", f.Name)
	}
	if f.State != "" {
		v.Set("state", f.State)
	}
	if f.Static {
		v.Set("static", "true")
	}
	return v.Encode()
}

// parseFilter reads what query writes.
func parseFilter(v url.Values) (f Filter, err error) {
	for key := range v {
		if !slices.Contains([]string{"name", "state", "static", "held"}, key) {
			return f, fmt.Errorf("unknown parameter %q, known are name, state, static, held", key)
		}
	}
	f.Name, f.State = v.Get("name"), v.Get("state")
	if f.State != "" {
		if _, err := stateOf(f.State); err != nil {
			return f, err
		}
	}
	if s := v.Get("static"); s != "" {
		if f.Static, err = strconv.ParseBool(s); err != nil {
			return f, fmt.Errorf("static %q is neither true nor false", s)
		}
	}
	if s := v.Get("held"); s != "" {
		i := slices.Index(heldWords, s)
		if i < 0 {
			return f, fmt.Errorf("held %q is none of %s", s, strings.Join(heldWords, ", "))
		}
		f.Held = HeldFilter(i)
	}
	return f, nil
}
