package update

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

// marker says under which epoch the records beside it were written.
type marker struct {
	role   string
	epoch  uint64
	holder string // nodes, for people
	id     string // of the write
}

// markerLabel is where the marker of a name stands, below it.
const markerLabel = "_nameward."

// maxHolders bounds the nodes that a marker names: a character string has 255 octets at the most.
const maxHolders = 80

// newMarker is for one write.
func newMarker(role *registry.RoleState) marker {
	m := marker{role: role.Role.Name, epoch: role.Epoch, holder: strings.Join(role.ServedNames(), ","), id: fmt.Sprintf("%016x", rand.Uint64())}
	if len(m.holder) > maxHolders {
		m.holder = fmt.Sprintf("%d-nodes", len(role.Served))
	}
	return m
}

func (m marker) String() string {
	return fmt.Sprintf("v=1 role=%s epoch=%d holder=%s id=%s", m.role, m.epoch, m.holder, m.id)
}

// parseMarker reads the text of a marker. Keys that it does not know are left out.
func parseMarker(text string) (m marker, ok bool) {
	version := ""
	for _, field := range strings.Fields(text) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "v":
			version = value
		case "role":
			m.role = value
		case "holder":
			m.holder = value
		case "id":
			m.id = value
		case "epoch":
			var err error
			if m.epoch, err = strconv.ParseUint(value, 10, 64); err != nil {
				return marker{}, false
			}
			ok = true
		}
	}
	if !ok || version != "1" {
		return marker{}, false
	}
	return m, true
}

// markersIn gives those among TXT records.
func markersIn(set []dns.RR) (all []marker) {
	for _, rr := range set {
		if m, ok := parseMarker(strings.Join(rr.(*dns.TXT).Txt, "")); ok {
			all = append(all, m)
		}
	}
	return all
}

func (m marker) record(name string) dns.RR {
	h := dns.RR_Header{Name: markerLabel + name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: markerTTL}
	return &dns.TXT{Hdr: h, Txt: []string{m.String()}}
}

// markerTTL is that of markers in seconds. Only guards ask for them, at the primary.
const markerTTL = 60
