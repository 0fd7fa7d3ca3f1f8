package main

import (
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nameward/nameward/policy/audit"
)

func TestWriteWinsDat(t *testing.T) {
	const names = 1000
	path := filepath.Join(t.TempDir(), "wins.dat")
	addr := func(i int) netip.Addr { return spreadAddr(netip.MustParseAddr("11.0.0.0"), i) }
	if err := writeWinsDat(path, names, addr); err != nil {
		t.Fatal(err)
	}
	source, err := audit.Open(t.Context(), path, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	i := 0
	for r, err := range source.Records() {
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.Addrs, []netip.Addr{addr(i)}) || r.Name() != netbiosText(i) || r.Group || r.Static {
			t.Fatalf("record %d is %+v", i, r)
		}
		i++
	}
	if i != names {
		t.Errorf("%d records, want %d", i, names)
	}
}
