package zone

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/store/boltfile/boltfiletest"
	"github.com/nameward/nameward/registry/store/journal"
)

// childEnv names the file to the child process of TestKill.
const childEnv = "NAMEWARD_TEST_ZONE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := updateForever(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// killNames is how many names the child of TestKill goes through, and killWaiting how many updates wait at once.
const (
	killNames   = 400
	killWaiting = 32
)

// updateForever does numbered updates, each of which puts its number at the next name and takes it away from the
// one ahead, prints the numbers that were acknowledged, and makes switches and checkpoints meanwhile.
func updateForever(path string) error {
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	reg, err := registry.Open(testWorld(), &registry.Memory{}, nopLog)
	if err != nil {
		return err
	}
	db, err := Open(j, DefaultLimits, reg.Snapshot, nopLog)
	if err != nil {
		return err
	}
	ended := make(chan error, 4)
	go func() { ended <- reg.Run(context.Background()) }()
	go func() { ended <- db.Run(context.Background()) }()
	go func() {
		for i := 0; ; i++ {
			if _, err := reg.Switch(context.Background(), registry.SwitchRequest{Roles: []string{"mailbox"}, To: []string{"ex1", "ex2"}[i%2]}); err != nil {
				ended <- err
				return
			}
			if err := db.Checkpoint(context.Background()); err != nil {
				ended <- err
				return
			}
		}
	}()
	slots := make(chan struct{}, killWaiting)
	for n := lastNumber(db.View(corp)) + 1; ; n++ {
		select {
		case slots <- struct{}{}:
		case err := <-ended:
			return fmt.Errorf("it ended: %w", err)
		}
		u := numberedUpdate(n)
		u.Done = func(r Result) {
			<-slots
			if r.Rcode != 0 {
				fmt.Fprintln(os.Stderr, r.Why)
				os.Exit(1)
			}
			fmt.Println(n)
		}
		if !db.Submit(u) {
			return fmt.Errorf("no room")
		}
	}
}

func numberedUpdate(n uint64) *Update {
	name := func(n uint64) string { return fmt.Sprintf("n%d.%s", n%killNames, corp) }
	return &Update{
		Zone: corp, By: &By{Source: netip.MustParseAddr("192.0.2.77"), At: int64(n)},
		Changes: []dns.RR{
			&dns.ANY{Hdr: dns.RR_Header{Name: name(n), Rrtype: dns.TypeTXT, Class: dns.ClassANY}},
			&dns.ANY{Hdr: dns.RR_Header{Name: name(n + killNames/2), Rrtype: dns.TypeTXT, Class: dns.ClassANY}},
			&dns.TXT{Hdr: header(name(n), dns.TypeTXT, 5), Txt: []string{strconv.FormatUint(n, 10)}},
		},
	}
}

// numbers are what the zone has, by name.
func numbers(v *View) map[uint64]uint64 {
	out := map[uint64]uint64{}
	for name := range v.All() {
		for _, r := range name.Sets[0].Records {
			n, _ := strconv.ParseUint(r.RR.(*dns.TXT).Txt[0], 10, 64)
			out[n%killNames] = n
		}
	}
	return out
}

func lastNumber(v *View) (last uint64) {
	for _, n := range numbers(v) {
		last = max(last, n)
	}
	return last
}

// TestKill kills a process while it takes updates from many at once: what was acknowledged is there, of what was
// not all up to a point, and the serial never goes back.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zones.db")
	reg, err := registry.Open(testWorld(), &registry.Memory{}, nopLog)
	if err != nil {
		t.Fatal(err)
	}
	rounds, last, serial := 20, uint64(0), uint32(0)
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		last = max(last, boltfiletest.KilledChild(t, 150*time.Millisecond, childEnv+"="+path))
		j, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		db, err := Open(j, DefaultLimits, reg.Snapshot, nopLog)
		if err != nil {
			t.Fatal(err)
		}
		v := db.View(corp)
		end := lastNumber(v)
		if end < last || end > last+killWaiting {
			t.Errorf("round %d: update %d was acknowledged, the zone has %d", round, last, end)
		}
		has, want := numbers(v), map[uint64]uint64{}
		for n := uint64(1); n <= end; n++ {
			delete(want, (n+killNames/2)%killNames)
			want[n%killNames] = n
		}
		if fmt.Sprint(has) != fmt.Sprint(want) {
			t.Errorf("round %d: the zone has %v, want %v", round, has, want)
		}
		if serial != 0 && !Newer(v.Serial, serial) {
			t.Errorf("round %d: serial %d after %d", round, v.Serial, serial)
		}
		last, serial = end, v.Serial
		if err := j.Close(); err != nil || t.Failed() {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d updates", rounds, last)
	if last < uint64(rounds) {
		t.Errorf("only %d updates in %d rounds: the test proves nothing", last, rounds)
	}
}
