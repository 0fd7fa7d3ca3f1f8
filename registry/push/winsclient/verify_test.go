package winsclient

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
)

func TestContent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		mode  registry.Mode
		names []string
		nodes []string
		all   bool
		want  string
	}{
		{"one address", registry.Single, []string{"MAIL<00>", "MAIL<20>"}, []string{"ex2"}, true, "MAIL<00> MAIL<20> 192.0.2.12"},
		{"the first of two", registry.All, []string{"MAIL<20>"}, []string{"ex1", "ex2"}, false, "MAIL<20> 192.0.2.11"},
		{"both", registry.All, []string{"MAIL<20>"}, []string{"ex1", "ex2"}, true, "MAIL<20> 192.0.2.11 192.0.2.12"},
		{"no IPv4 address", registry.Single, []string{"MAIL<20>"}, []string{"ex6"}, true, "MAIL<20> nowhere"},
		{"no name", registry.Single, nil, []string{"ex1"}, true, ""},
		{"no name that a server keeps", registry.Single, []string{"MAIL<1d>"}, []string{"ex1"}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			it := item(t, world(t, tt.mode, tt.names...), tt.nodes)
			d := (&wire{}).driver(config.Target{WINS: &config.WINSTarget{All: tt.all}})
			if got := d.Content(it.Snap, it.Role); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	mail00 := mail20.WithSuffix(0)
	type records = map[netbios.Name][]netip.Addr
	for _, tt := range []struct {
		name    string
		records records
		told    []netip.Addr
		want    string
	}{
		{"right", records{mail00: {ex2}, mail20: {ex2}}, nil, "verified"},
		{"one name is behind", records{mail00: {ex2}, mail20: {ex1}}, nil, "stale 192.0.2.11"},
		{"one name is gone", records{mail00: {ex2}}, nil, "stale"},
		{"one too many", records{mail00: {ex2}, mail20: {ex1, ex2}}, nil, "stale 192.0.2.11, 192.0.2.12"},
		{"the management address", records{mail00: {ex2}, mail20: {admin1}}, nil, "stale 10.9.0.11"},
		{"what was told before", records{mail00: {ex2}, mail20: {nobody}}, addrs(nobody), "stale 192.0.2.99"},
		{"somebody else", records{mail00: {nobody}, mail20: {ex1}}, nil, "foreign 192.0.2.99"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			it := item(t, world(t, registry.Single, "MAIL<00>", "MAIL<20>"), []string{"ex2"}, tt.told...)
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				(&wins{records: tt.records}).on(w)
				w.driver(config.Target{}).Verify(t.Context(), []*push.Item{it})
				if got := stage(it); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestRefresh checks a target for a while.
func TestRefresh(t *testing.T) {
	for _, tt := range []struct {
		name    string
		granted uint32        // 0: what is asked for, an hour
		check   time.Duration // from check to check
		least   int           // refreshes in a day
		most    int
	}{
		{"an hour, checked each minute", 0, time.Minute, 48, 62},
		{"an hour, checked each half hour", 0, 30 * time.Minute, 47, 49},
		{"five minutes, as a server grants that has much to do", 300, time.Minute, 400, 1440},
		{"checked too seldom", 300, 10 * time.Minute, 143, 145},
		{"six days", 6 * 86400, time.Minute, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			it := item(t, world(t, registry.Single, "MAIL<20>"), []string{"ex2"})
			synctest.Test(t, func(t *testing.T) {
				w := &wire{}
				s := (&wins{ttl: tt.granted}).on(w)
				d := w.driver(config.Target{Check: tt.check})
				d.Push(t.Context(), []*push.Item{it})
				for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); {
					time.Sleep(tt.check)
					d.Verify(t.Context(), []*push.Item{it})
					if got := stage(it); got != "verified" {
						t.Fatal(got)
					}
				}
				if s.refreshed < tt.least || s.refreshed > tt.most {
					t.Errorf("%d refreshes, want %d to %d", s.refreshed, tt.least, tt.most)
				}
			})
		})
	}
	t.Run("granted for ever", func(t *testing.T) {
		var g grants
		g.due = map[netbios.Name]time.Time{mail20: {}}
		if g.isDue(mail20, 1000*time.Hour) {
			t.Error("due")
		}
	})
}

// TestRefreshAfterStart refreshes what it has not registered itself, and nothing that is not right.
func TestRefreshAfterStart(t *testing.T) {
	it := item(t, world(t, registry.Single, "MAIL<20>"), []string{"ex2"})
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		s := (&wins{records: map[netbios.Name][]netip.Addr{mail20: {ex1}}}).on(w)
		d := w.driver(config.Target{Check: time.Minute})
		d.Verify(t.Context(), []*push.Item{it})
		if got := stage(it); got != "stale 192.0.2.11" || s.refreshed != 0 {
			t.Errorf("%s, %d refreshes", got, s.refreshed)
		}
		s.records[mail20] = addrs(ex2)
		for range 2 {
			d.Verify(t.Context(), []*push.Item{it})
		}
		if got := stage(it); got != "verified" || s.refreshed != 1 {
			t.Errorf("%s, %d refreshes", got, s.refreshed)
		}
	})
}

// TestRefreshRefused says so, though the answer is right.
func TestRefreshRefused(t *testing.T) {
	it := item(t, world(t, registry.Single, "MAIL<20>"), []string{"ex2"})
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		(&wins{records: map[netbios.Name][]netip.Addr{mail20: {ex2}}, static: map[netbios.Name]bool{mail20: true}}).on(w)
		w.driver(config.Target{}).Verify(t.Context(), []*push.Item{it})
		if got, want := stage(it), "failed: refreshing what is right: 192.0.2.42:137 answers for MAIL<20>: ACT_ERR"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
