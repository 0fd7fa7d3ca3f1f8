package wins

import (
	"testing"

	"github.com/nameward/nameward/netbios"
)

func TestRegisterRefreshRelease(t *testing.T) {
	l := newLab(t)
	l.wantQuery("FS1<20>", "-")
	l.want("register FS1<20> 192.0.2.1", Registered)
	l.wantQuery("FS1<20>", "192.0.2.1")
	v := l.db.Snapshot().Version
	l.want("refresh FS1<20> 192.0.2.1", Refreshed)
	if got := l.db.Snapshot().Version; got != v {
		t.Errorf("a refresh moved the version from %d to %d", v, got)
	}
	l.want("release FS1<20> 192.0.2.1 from 192.0.2.66", NotReleased)
	l.want("release FS1<20> 192.0.2.66 from 192.0.2.1", NotReleased)
	l.wantQuery("FS1<20>", "192.0.2.1")
	l.want("release FS1<20> 192.0.2.1", ReleasedOwn)
	l.wantQuery("FS1<20>", "-")
	l.want("release NONE 192.0.2.1", NotReleased)
	l.restart()
	l.wantQuery("FS1<20>", "-")
	l.want("register FS1<20> 192.0.2.7", Registered)
	l.restart()
	l.wantQuery("FS1<20>", "192.0.2.7")
	if got := len(l.db.Held()); got != 2 {
		t.Errorf("%d tries were recorded, want the 2 forged releases: %+v", got, l.db.Held())
	}
}

func TestChallenge(t *testing.T) {
	owned := func(lists ...IPv4) func(netbios.Name, []IPv4) []Challenged {
		return func(_ netbios.Name, addrs []IPv4) []Challenged {
			return []Challenged{{Addr: addrs[0], Has: true, Lists: lists}}
		}
	}
	one, two := IPv4{192, 0, 2, 1}, IPv4{192, 0, 2, 2}
	for name, test := range map[string]struct {
		claim string
		owner func(netbios.Name, []IPv4) []Challenged
		want  Outcome
		after string
	}{
		"silent":                {"register FS1 192.0.2.2", func(netbios.Name, []IPv4) []Challenged { return nil }, TakenOver, "192.0.2.2"},
		"has it":                {"register FS1 192.0.2.2", owned(one), Contested, "192.0.2.1"},
		"lists both":            {"multihomed FS1 192.0.2.2", owned(one, two), Merged, "192.0.2.1 192.0.2.2"},
		"multihomed, lists one": {"multihomed FS1 192.0.2.2", owned(one), Contested, "192.0.2.1"},
		"group wanted, alive":   {"register FS1 group 192.0.2.2", owned(one, two), Contested, "192.0.2.1"},
		"group wanted, silent":  {"register FS1 group 192.0.2.2", func(netbios.Name, []IPv4) []Challenged { return nil }, TakenOver, "group 255.255.255.255"},
		"owner vouches":         {"multihomed FS1 192.0.2.2 from 192.0.2.1", owned(one, two), Merged, "192.0.2.1 192.0.2.2"},
		"stranger vouches":      {"multihomed FS1 192.0.2.2 from 192.0.2.9", owned(one, two), Quarantined, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.want("register FS1 192.0.2.1", Registered)
			l.owner = test.owner
			r := l.send(test.claim)
			a, wacked := l.last(r)
			if a.Outcome != test.want {
				t.Errorf("outcome %s, want %s", a.Outcome, test.want)
			}
			if wacked != (test.want != Quarantined) {
				t.Errorf("told to wait: %t", wacked)
			}
			l.wantQuery("FS1", test.after)
			l.restart()
			l.wantQuery("FS1", test.after)
		})
	}
}
