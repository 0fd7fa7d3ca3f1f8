package zone

import (
	"sort"

	"github.com/miekg/dns"
)

// Step is the difference between a serial and a later one.
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

const (
	// minHistory is what every zone may have in octets, however small it is.
	minHistory = 64 << 10
	// maxSteps bounds what a large zone keeps in memory for steps that are small.
	maxSteps = 20_000
)

// with returns the history with one more step, bounded to about so many octets: differences longer than the
// zone are of no use.
func (h history) with(s *Step, limit int) history {
	size := s.octets()
	return history{append(h.steps, s), append(h.sizes, size), h.octets + size}.within(limit)
}

func (h history) within(limit int) history {
	drop := max(0, len(h.steps)-maxSteps)
	for _, size := range h.sizes[:drop] {
		h.octets -= size
	}
	for h.octets > limit && drop < len(h.sizes) {
		h.octets -= h.sizes[drop]
		drop++
	}
	if drop == len(h.steps) {
		return history{} // of the steps, nothing is held in memory
	}
	h.steps, h.sizes = h.steps[drop:], h.sizes[drop:]
	return h
}

// since returns the steps from a serial on.
func (h history) since(serial uint32) ([]*Step, bool) {
	i := sort.Search(len(h.steps), func(i int) bool { return !Newer(serial, h.steps[i].Before.Serial) })
	if i == len(h.steps) || h.steps[i].Before.Serial != serial {
		return nil, false
	}
	return h.steps[i:], true
}

// end is the SOA that the last step led to, if that is equal to soa: both then share one.
func (h history) end(soa *dns.SOA) *dns.SOA {
	if n := len(h.steps); n > 0 && *h.steps[n-1].After == *soa {
		return h.steps[n-1].After
	}
	return soa
}
