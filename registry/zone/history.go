package zone

import (
	"sort"

	"github.com/miekg/dns"
)

// Step is the difference between a serial and the next one.
type Step struct {
	Before, After  *dns.SOA
	Deleted, Added []dns.RR
}

// octets is about what the step takes in a transfer.
func (s *Step) octets() int {
	n := 2 * soaOctets
	for _, rrs := range [][]dns.RR{s.Deleted, s.Added} {
		for _, rr := range rrs {
			n += dns.Len(rr)
		}
	}
	return n
}

const soaOctets = 100

// history is the steps that led to a view, without gaps, the oldest first. Views share what they have in
// common: a newer one appends behind what an older one sees.
type history struct {
	steps  []*Step
	sizes  []int // octets of each
	octets int
}

// with returns the history with one more step, bounded to about so many octets: differences longer than the
// zone are of no use.
func (h history) with(s *Step, limit int) history {
	size := s.octets()
	h = history{append(h.steps, s), append(h.sizes, size), h.octets + size}
	drop := 0
	for h.octets > limit && drop < len(h.sizes) {
		h.octets -= h.sizes[drop]
		drop++
	}
	h.steps, h.sizes = h.steps[drop:], h.sizes[drop:]
	return h
}

// minHistory is what every zone may have, however small it is.
const minHistory = 64 << 10

// since returns the steps from a serial on.
func (h history) since(serial uint32) ([]*Step, bool) {
	i := sort.Search(len(h.steps), func(i int) bool { return !Newer(serial, h.steps[i].Before.Serial) })
	if i == len(h.steps) || h.steps[i].Before.Serial != serial {
		return nil, false
	}
	return h.steps[i:], true
}
