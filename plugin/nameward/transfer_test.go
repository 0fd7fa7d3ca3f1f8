package nameward

import (
	"slices"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
)

func transferred(t *testing.T, h *Handler, zone string, serial uint32) []dns.RR {
	t.Helper()
	ch, err := h.Transfer(zone, serial)
	if err != nil {
		t.Fatal(err)
	}
	var rrs []dns.RR
	for batch := range ch {
		rrs = append(rrs, batch...)
	}
	return rrs
}

// queried collects what queries give for every name of a zone, as a secondary would have to answer it:
// the delegations of owned zones below come from the zone below.
func queried(n now, z *registry.Zone) []string {
	var lines []string
	ask := func(name string, qtypes ...uint16) {
		for _, qtype := range qtypes {
			m, _ := n.answer(question(name, qtype))
			if m == nil {
				continue
			}
			for _, rr := range append(m.Answer, m.Extra...) {
				if !slices.Contains(lines, rr.String()) {
					lines = append(lines, rr.String())
				}
			}
		}
	}
	ask(z.Name, dns.TypeSOA, dns.TypeNS)
	for _, name := range n.snap.OwnerNames(z) {
		ask(name, dns.TypeA, dns.TypeAAAA, dns.TypePTR)
	}
	for _, child := range n.snap.World.Zones {
		if child != z && dns.IsSubDomain(z.Name, child.Name) {
			ask(child.Name, dns.TypeNS)
		}
	}
	slices.Sort(lines)
	return lines
}

func checkTransfers(t *testing.T, r *served) {
	t.Helper()
	n := r.now(t)
	h := &Handler{State: r}
	for _, z := range n.snap.World.Zones {
		rrs := transferred(t, h, z.Name, 0)
		first, last := rrs[0], rrs[len(rrs)-1]
		if first.String() != last.String() || first.Header().Rrtype != dns.TypeSOA {
			t.Errorf("%s begins with %v and ends with %v", z.Name, first, last)
		}
		var lines []string
		for _, rr := range rrs[:len(rrs)-1] {
			lines = append(lines, rr.String())
		}
		slices.Sort(lines)
		if diff := cmp.Diff(queried(n, z), lines); diff != "" {
			t.Errorf("%s (-queried +transferred):\n%s", z.Name, diff)
		}
	}
}

func TestTransferGivesWhatQueriesGive(t *testing.T) {
	r := newRegistry(t)
	checkTransfers(t, r)
	claim(t, r, "mailbox", "ex2")
	claim(t, r, "www", "web2")
	claim(t, r, "unknown", "ex1")
	checkTransfers(t, r)
}

func TestTransferSerials(t *testing.T) {
	r := newRegistry(t)
	h := &Handler{State: r}
	serial := serialOf(t, r, corp)
	for name, tt := range map[string]struct {
		serial uint32
		whole  bool
	}{
		"older": {serial - 1, true}, "same": {serial, false}, "newer": {serial + 1, false},
	} {
		rrs := transferred(t, h, "corp.example.", tt.serial)
		if (len(rrs) > 1) != tt.whole || rrs[0].(*dns.SOA).Serial != serial {
			t.Errorf("%s: %d records, first %v", name, len(rrs), rrs[0])
		}
	}
	if len(transferred(t, h, "CORP.example.", 0)) < 3 {
		t.Error("upper case is not transferred")
	}
	for _, zone := range []string{"mail.corp.example.", "b.corp.example.", "other.example.", "."} {
		if _, err := h.Transfer(zone, 0); err != transfer.ErrNotAuthoritative {
			t.Errorf("%s: %v", zone, err)
		}
	}
}

// TestTransferIsOneSnapshot: a role that moves meanwhile does not get in.
func TestTransferIsOneSnapshot(t *testing.T) {
	r := newRegistry(t)
	ch, err := (&Handler{State: r}).Transfer("corp.example.", 0)
	if err != nil {
		t.Fatal(err)
	}
	soa := (<-ch)[0].String()
	claim(t, r, "mailbox", "ex2")
	var last string
	for batch := range ch {
		for _, rr := range batch {
			last = rr.String()
			if a, ok := rr.(*dns.A); ok && strings.HasPrefix(a.Hdr.Name, "mail.") && a.A.String() != "192.0.2.11" {
				t.Errorf("got %v", a)
			}
		}
	}
	if last != soa {
		t.Errorf("begins with %s and ends with %s", soa, last)
	}
}
