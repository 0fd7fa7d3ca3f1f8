package updatesctl

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/updates"
)

// Filter says which of the held updates are meant. What is empty stands for anything.
type Filter struct {
	Zone   string     `json:"zone,omitempty"`
	Name   string     `json:"name,omitempty"` // with * for anything
	Source netip.Addr `json:"source,omitzero"`
	Fate   string     `json:"fate,omitempty"`
}

func (f *Filter) query() string {
	v := url.Values{}
	set(v, "zone", f.Zone)
	set(v, "name", f.Name)
	set(v, "fate", f.Fate)
	if f.Source.IsValid() {
		v.Set("source", f.Source.String())
	}
	return v.Encode()
}

func set(v url.Values, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

// parseFilter reads what query writes.
func parseFilter(v url.Values) (f Filter, err error) {
	if err := onlyThese(v, "zone", "name", "source", "fate"); err != nil {
		return f, err
	}
	f.Zone, f.Name, f.Fate = v.Get("zone"), v.Get("name"), v.Get("fate")
	if s := v.Get("source"); s != "" {
		if f.Source, err = netip.ParseAddr(s); err != nil {
			return f, fmt.Errorf("source %q is no address, as in 192.0.2.1", s)
		}
	}
	return f, nil
}

func onlyThese(v url.Values, keys ...string) error {
	for key := range v {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("unknown parameter %q, known are %s", key, strings.Join(keys, ", "))
		}
	}
	return nil
}

// matcher makes the filter a function.
func (f *Filter) matcher() (func(*updates.Held) bool, error) {
	var fate held.Fate
	if f.Fate != "" {
		if err := fate.UnmarshalText([]byte(f.Fate)); err != nil {
			return nil, fmt.Errorf("fate %w", err)
		}
	}
	zone, err := parseName(f.Zone)
	if err != nil {
		return nil, err
	}
	name, source := parsePattern(f.Name), f.Source.Unmap()
	return func(h *updates.Held) bool {
		return (zone == "" || h.Zone == zone) && name.matches(h.Name) && (!source.IsValid() || h.Source == source) && (fate == 0 || h.Fate == fate)
	}, nil
}

// parseName makes a name lower case and fully qualified; "" stays what it is.
func parseName(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if _, ok := dns.IsDomainName(s); !ok {
		return "", fmt.Errorf("%q is not a DNS name, as in www.corp.example", s)
	}
	return dns.CanonicalName(s), nil
}

// pattern is a name in which * stands for anything; the zero one is all names.
type pattern []string

func parsePattern(s string) pattern {
	if s == "" {
		return nil
	}
	if !strings.HasSuffix(s, "*") {
		s = dns.CanonicalName(s)
	}
	return strings.Split(strings.ToLower(s), "*")
}

// exact is the one name that matches, "" when there may be several.
func (p pattern) exact() string {
	if len(p) == 1 {
		return p[0]
	}
	return ""
}

func (p pattern) matches(name string) bool {
	if len(p) == 0 {
		return true
	}
	if len(p) == 1 {
		return name == p[0]
	}
	rest, ok := strings.CutPrefix(name, p[0])
	for _, part := range p[1 : len(p)-1] {
		if !ok {
			return false
		}
		_, rest, ok = strings.Cut(rest, part)
	}
	return ok && strings.HasSuffix(rest, p[len(p)-1])
}

// RecordFilter says which registered records are meant. What is empty stands for anything.
type RecordFilter struct {
	Zone string
	Name string // with * for anything
	Of   string // a zone, with all that is in it, or else a name
}

func (f *RecordFilter) query() string {
	v := url.Values{}
	set(v, "zone", f.Zone)
	set(v, "name", f.Name)
	set(v, "of", f.Of)
	return v.Encode()
}

func parseRecordFilter(v url.Values) (f RecordFilter, err error) {
	if err := onlyThese(v, "zone", "name", "of"); err != nil {
		return f, err
	}
	f.Zone, f.Name, f.Of = v.Get("zone"), v.Get("name"), v.Get("of")
	if f.Of != "" && f.Zone+f.Name != "" {
		return f, errors.New("of says both, what zone and what name; leave it or them out")
	}
	return f, nil
}
