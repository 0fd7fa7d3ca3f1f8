package wins

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

func dynamic(name string, addr byte) Record {
	ends := StampOf(time.Now().Add(time.Hour))
	r := Record{Name: netbios.MustParseName(name), Node: netbios.HNode, Ends: ends}
	r.SetMembers([]Member{{Addr: IPv4{192, 0, 2, addr}, Ends: ends}})
	return r
}

// TestDryRunLeavesNoTrace: trials in between change nothing of what others do in the same batches.
func TestDryRunLeavesNoTrace(t *testing.T) {
	l := newLab(t)
	var tasks sync.WaitGroup
	for i := range 50 {
		tasks.Go(func() {
			if errs, err := l.db.Take(t.Context(), []Record{dynamic(fmt.Sprintf("DRY%d<1b>", i), byte(i))}, true); err != nil || errs[0] != nil {
				t.Error(errs, err)
			}
		})
		tasks.Go(func() {
			if errs, err := l.db.Take(t.Context(), []Record{dynamic(fmt.Sprintf("REAL%d<1b>", i), byte(i))}, false); err != nil || errs[0] != nil {
				t.Error(errs, err)
			}
		})
	}
	tasks.Wait()
	for range 2 {
		s := l.db.Snapshot()
		if s.Len() != 50 || len(s.masters) != 50 || s.Version != 50 {
			t.Errorf("%d records, %d master browsers, version %d; want 50 of each", s.Len(), len(s.masters), s.Version)
		}
		for i := range 50 {
			if _, ok := s.Find(netbios.MustParseName(fmt.Sprintf("REAL%d<1b>", i))); !ok {
				t.Errorf("REAL%d is lost", i)
			}
		}
		l.restart()
	}
}

func TestCount(t *testing.T) {
	l := newLab(t)
	records := []Record{dynamic("A<20>", 1), dynamic("B<20>", 2), dynamic("C<20>.scope", 3), dynamic("D<20>", 4), dynamic("E<20>", 5)}
	records[1].Static, records[1].Ends = true, 0
	records[3].State = Released
	records[4].State = Tombstone
	if _, err := l.db.Put(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	now := StampOf(time.Now())
	for _, tt := range []struct {
		after time.Duration
		want  Counts
	}{
		{0, Counts{Active: 3, Released: 1, Tombstone: 1, Static: 1}},
		{2 * time.Hour, Counts{Active: 1, Released: 2, Tombstone: 2, Static: 1}},
	} {
		if got := l.db.Snapshot().Count(now.add(tt.after)); got != tt.want {
			t.Errorf("after %s: %+v, want %+v", tt.after, got, tt.want)
		}
	}
}
