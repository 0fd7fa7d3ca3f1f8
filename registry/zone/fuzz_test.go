package zone

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/journal"
)

// FuzzLoad reads damaged batches: an error or zones that are read back as they are.
func FuzzLoad(f *testing.F) {
	l := newLab(f)
	l.update(corp, "+ a 5 A 192.0.2.1; + a 5 TXT x y; + b.c 5 CNAME a.corp.example.")
	l.switchTo("ex2")
	l.update(corp, "- a A 192.0.2.1; + d 5 MX 10 mail.corp.example.")
	for _, b := range l.journal.Batches() {
		f.Add(b, []byte{})
		for part := range parts(b, len(b)/2+1) {
			f.Add(part, b)
		}
	}
	for b := range base(l.db.whole()) {
		f.Add(b, l.journal.Batches()[1])
	}
	l.stop()
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a := loader{zones: map[string]*kept{}}
		if a.load(first) != nil || a.load(second) != nil {
			return
		}
		b := loader{zones: map[string]*kept{}}
		for chunk := range base(a.zones) {
			if err := b.load(chunk); err != nil {
				t.Fatalf("what was written is not read: %v", err)
			}
		}
		for name, k := range a.zones {
			got := b.zones[name]
			if got.serial != k.serial && len(k.history.steps) == 0 || got.digest != k.digest || got.records != k.records || got.octets != k.octets {
				t.Fatalf("%s: %+v became %+v", name, k, got)
			}
		}
	})
}

// FuzzUpdate takes the update section of a message from the wire as far as the journal and back.
func FuzzUpdate(f *testing.F) {
	for _, text := range []string{
		"+ a 5 A 192.0.2.1", "- a", "- a A", "+ a 5 MX 10 mail.corp.example.", "+ a 5 NS b.corp.example.", "+ a 5 CNAME b.corp.example.",
		"+ a 5 SRV 1 2 3 b.corp.example.", "+ a 5 SVCB 1 . alpn=h2", "+ a 5 CAA 0 issue x", "+ a 5 DNAME x.example.", "- a A 192.0.2.1",
		"+ a 5 NAPTR 1 2 \"s\" \"x\" \"y\" .", "+ a 5 LOC 1 N 1 E 1m", "+ a 5 APL 1:192.0.2.0/24", "+ a 5 TYPE65280 \\# 2 abcd", "+ a 5 URI 1 1 \"x\"",
	} {
		m := &dns.Msg{Ns: []dns.RR{rr(f, text)}}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	reg, err := registry.Open(testWorld(), &registry.Memory{}, nopLog)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var m dns.Msg
		if m.Unpack(wire) != nil || len(m.Ns)+len(m.Answer) > 50 || Check(corp, m.Answer, m.Ns).Rcode != 0 {
			return
		}
		j := &journal.Memory{}
		db, err := Open(j, DefaultLimits, reg.Snapshot, nopLog)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			u := &Update{Zone: corp, Prerequisites: m.Answer, Changes: m.Ns, By: &By{Source: netip.MustParseAddr("fe80::1%eth0"), At: -1}}
			if err := db.step([]*Update{u}, nil, false); err != nil {
				t.Fatal(err)
			}
		}
		db.finish()
		again, err := Open(j, DefaultLimits, reg.Snapshot, nopLog)
		if err != nil {
			t.Fatal(err)
		}
		a, b := db.View(corp), again.View(corp)
		if !slices.Equal(recordsOf(a), recordsOf(b)) || a.Serial != b.Serial || a.octets != b.octets {
			t.Fatalf("%q at %d became %q at %d", recordsOf(a), a.Serial, recordsOf(b), b.Serial)
		}
		for n := range b.All() {
			for _, s := range n.Sets {
				b.Lookup(n.Owner, s.Type)
				b.Lookup("x."+n.Owner, s.Type)
			}
		}
	})
}

// TestBy reads back who registered something.
func TestBy(t *testing.T) {
	for _, by := range []*By{nil, {}, {Source: netip.MustParseAddr("192.0.2.1"), Principal: "dhcp.example.", At: 1 << 40, Decision: 1 << 63}, {Source: netip.MustParseAddr("fe80::1%eth0"), At: -1}} {
		data := appendBy(nil, by)
		got, err := parseBy(data)
		if err != nil || (got == nil) != (by == nil) || got != nil && *got != *by {
			t.Errorf("%+v became %+v, %v", by, got, err)
		}
		for n := range len(data) {
			_, _ = parseBy(data[:n]) // it may be shorter, and must not panic
		}
	}
}
