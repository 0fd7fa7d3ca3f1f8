package zone

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// written is a batch with a head and n records.
func written(n int) *packer {
	p := &packer{}
	p.zone(corp)
	p.head(7, digest{1, 2})
	for i := range n {
		p.record(tagRecord, Record{benchRecord(i), &By{At: int64(i)}})
	}
	return p
}

// TestParts: parts are one batch once all are there; what is left of one that failed in the middle is nothing.
func TestParts(t *testing.T) {
	batch := written(50).b
	var all [][]byte
	for part := range parts(batch, 100) {
		all = append(all, part)
	}
	if len(all) < 10 {
		t.Fatalf("%d parts", len(all))
	}
	none := []byte{tagClean, 0}
	for name, tt := range map[string]struct {
		batches [][]byte
		want    int // records, -1 for an error
	}{
		"whole":                      {[][]byte{batch}, 50},
		"all parts":                  {all, 50},
		"no end":                     {all[:5], 0},
		"no end, and another batch":  {append(all[:5:5], none), 0},
		"begun again":                {append(all[:5:5], all...), 50},
		"begun again after a batch":  {append(append(all[:5:5], none), all...), 50},
		"one is missing":             {append(all[:5:5], all[6:]...), -1},
		"the first is missing":       {all[1:], -1},
		"one is there twice":         {append(all[:5:5], all[4:]...), -1},
		"a batch in the middle":      {append(append(all[:5:5], none), all[5:]...), -1},
		"a part without its numbers": {[][]byte{{tagPart, 0}}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			l := loader{zones: map[string]*kept{}}
			var err error
			for _, b := range tt.batches {
				err = errors.Join(err, l.load(b))
			}
			got := 0
			if k := l.zones[corp]; k != nil {
				got = k.records
			}
			if tt.want == -1 && !errors.Is(err, errPart) || tt.want >= 0 && (err != nil || got != tt.want) {
				t.Errorf("%d records, %v; want %d", got, err, tt.want)
			}
		})
	}
}

// TestWhoRegistered: a record that nobody registered is not taken for that of the one before.
func TestWhoRegistered(t *testing.T) {
	p := written(0)
	dhcp := &By{Principal: "dhcp"}
	for i, by := range []*By{dhcp, {Principal: "dhcp"}, nil, nil, dhcp, {}} {
		p.record(tagRecord, Record{benchRecord(i), by})
	}
	l := loader{zones: map[string]*kept{}}
	if err := l.load(p.b); err != nil {
		t.Fatal(err)
	}
	got := ""
	l.zones[corp].names.Scan(func(_ string, n *Name) bool {
		if by := n.Sets[0].Records[0].By; by == nil {
			got += " nobody"
		} else {
			got += fmt.Sprintf(" %q", by.Principal)
		}
		return true
	})
	if want := ` "dhcp" "dhcp" nobody nobody "dhcp" ""`; got != want {
		t.Errorf("%s, want%s", got, want)
	}
}

// TestDamaged: a batch that cannot be right is refused, in words.
func TestDamaged(t *testing.T) {
	record := func(rr dns.RR) func(*packer) { return func(p *packer) { p.rr(tagRecord, rr) } }
	for name, tt := range map[string]struct {
		do   func(*packer)
		want string
	}{
		"an unknown tag":        {func(p *packer) { p.entry(99, nil) }, "tag 99"},
		"a length beyond":       {func(p *packer) { p.b = append(p.b, tagRecord, 0xff, 0x01) }, "longer than the batch"},
		"no length":             {func(p *packer) { p.b = append(p.b, tagRecord) }, "longer than the batch"},
		"a record of elsewhere": {record(&dns.TXT{Hdr: header("a.other.example.", dns.TypeTXT, 1), Txt: []string{"x"}}), "not in the zone"},
		"a name in upper case":  {record(&dns.TXT{Hdr: header("A.corp.example.", dns.TypeTXT, 1), Txt: []string{"x"}}), "not in the zone"},
		"another class":         {record(&dns.TXT{Hdr: dns.RR_Header{Name: corp, Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS}, Txt: []string{"x"}}), "no record of a zone"},
		"more than a record": {func(p *packer) {
			p.entry(tagRecord, []byte("\x04corp\x07example\x00\x00\x10\x00\x01\x00\x00\x00\x01\x00\x02\x01xy"))
		}, "longer than its record"},
		"a step without SOAs": {func(p *packer) { p.entry(tagStep, make([]byte, 16)) }, "did not begin"},
		"no SOA":              {func(p *packer) { p.rr(tagSOA, benchRecord(1)) }, "no SOA"},
		"a short head":        {func(p *packer) { p.entry(tagHead, nil) }, "another size"},
		"half of who":         {func(p *packer) { p.entry(tagBy, []byte{1}) }, "too short"},
	} {
		t.Run(name, func(t *testing.T) {
			p := written(1)
			tt.do(p)
			l := loader{zones: map[string]*kept{}}
			if err := l.load(p.b); !errors.Is(err, errFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want it to say %q", err, tt.want)
			}
		})
	}
	l := loader{zones: map[string]*kept{}}
	p := &packer{}
	p.head(1, digest{})
	if err := l.load(p.b); err == nil || !strings.Contains(err.Error(), "no zone") {
		t.Error(err)
	}
}
