package usage

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// start is the time at which the tests without fake time make their reports.
var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// address is the i-th client.
func address(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24+uint32(i))
	return netip.AddrFrom4(b)
}

// names returns this many names.
func names(t testing.TB, n int) []netbios.Name {
	t.Helper()
	list := make([]netbios.Name, n)
	for i := range list {
		name, err := netbios.NewName(fmt.Sprintf("HOST%06d", i), 0x20, "")
		if err != nil {
			t.Fatal(err)
		}
		list[i] = name
	}
	return list
}

// random is a name that nobody asked for before.
func random(rng *rand.Rand) netbios.Name {
	var o [netbios.BaseLen + 1]byte
	binary.LittleEndian.PutUint64(o[:8], rng.Uint64())
	binary.LittleEndian.PutUint64(o[8:], rng.Uint64())
	return netbios.NameFromOctets(o).Fold()
}

// put counts notes at once, as many as there may be, so that none is dropped.
func put(tr *Tracker, now time.Time, notes ...Note) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, n := range notes {
		tr.state.note(pair{n.Name.Fold(), n.Source.As4(), n.Kind}, n.Found, now.UnixMilli())
	}
}

// traffic is a sort of requests.
type traffic struct {
	name string
	next func() Note
}

// traffics are what the tracker meets in ordinary networks and under attack.
func traffics(t testing.TB, rng *rand.Rand) []traffic {
	var list []traffic
	for _, nNames := range []int{1000, 100_000} {
		pool := names(t, nNames)
		nameZipf := rand.NewZipf(rng, 1.1, 1, uint64(nNames-1))
		for _, nClients := range []int{1, 10_000} {
			clientZipf := rand.NewZipf(rng, 1.1, 1, uint64(max(nClients-1, 1)))
			list = append(list,
				traffic{fmt.Sprintf("skewed/names=%d/clients=%d", nNames, nClients), func() Note {
					return Note{pool[nameZipf.Uint64()], address(int(clientZipf.Uint64()) % nClients), Query, true}
				}},
				traffic{fmt.Sprintf("uniform/names=%d/clients=%d", nNames, nClients), func() Note {
					return Note{pool[rng.IntN(nNames)], address(rng.IntN(nClients)), Query, true}
				}})
		}
	}
	one := names(t, 1)[0]
	return append(list,
		traffic{"attack/names", func() Note { return Note{random(rng), address(1), Query, false} }},
		traffic{"attack/sources", func() Note { return Note{one, address(int(rng.Uint32() >> 8)), Query, true} }},
		traffic{"attack/both", func() Note { return Note{random(rng), address(int(rng.Uint32() >> 8)), Query, false} }})
}
