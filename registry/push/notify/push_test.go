package notify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push"
)

// item is a role's state of now on its way.
func (l *lab) item(role string, told ...string) *push.Item {
	l.t.Helper()
	snap := l.reg.Snapshot()
	state, ok := snap.Role(role)
	if !ok {
		l.t.Fatalf("no role %s", role)
	}
	var addrs []netip.Addr
	for _, a := range told {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return push.NewItem(snap, state, addrs)
}

// stageOf is how far an item is, in words.
func stageOf(it *push.Item) string {
	stage, found, why := it.Stage()
	text := stage.String()
	if found != nil {
		text += fmt.Sprint(" ", found)
	}
	if why != nil {
		text += ": " + why.Error()
	}
	return text
}

func (l *lab) push(d *Driver, within time.Duration, items ...*push.Item) (took time.Duration) {
	ctx, cancel := context.WithTimeout(l.t.Context(), within)
	defer cancel()
	begin := time.Now()
	d.Push(ctx, items)
	return time.Since(begin)
}

func TestContent(t *testing.T) {
	f := newFake(dns.RcodeSuccess)
	l := start(t, newWorld(list(f), nil))
	l.claim("mailbox", "ex1")
	l.claim("inner", "ex2")
	d, nobody := l.Driver(f.addr), l.Driver(netip.MustParseAddrPort("198.51.100.99:53"))
	content := func(d *Driver, role string) string {
		snap := l.reg.Snapshot()
		state, _ := snap.Role(role)
		return d.Content(snap, state)
	}
	for role, want := range map[string]string{
		"mailbox": "mail.corp.example. 5 192.0.2.11 2001:db8::11", // and not mail.other.example.
		"inner":   "y.corp.example. 5 192.0.2.12",                 // and not what is in sub
	} {
		if got := content(d, role); got != want {
			t.Errorf("%s: got %q, want %q", role, got, want)
		}
		if got := content(nobody, role); got != "" {
			t.Errorf("%s is for a secondary that nobody notifies: %q", role, got)
		}
	}
	if err := l.reg.Complain(t.Context(), registry.Trouble{Role: "mailbox", Why: "gone", Gone: true}); err != nil {
		t.Fatal(err)
	}
	if got := content(d, "mailbox"); got != "mail.corp.example. none" {
		t.Errorf("withdrawn: %q", got)
	}
}

// TestPush is acknowledged by the NOTIFY that the change itself brought about; no other is sent.
func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess, delayed(70*time.Millisecond))
		l := newLab(t, list(f), list(f))
		l.told(f, corp, sub)
		l.counted(0, 0)
		time.Sleep(time.Second)
		d := l.Driver(f.addr)
		l.claim("mailbox", "ex1")
		l.claim("inner", "ex2")
		a, b := l.item("mailbox"), l.item("inner")
		if took := l.push(d, 5*time.Second, a, b); took > 70*time.Millisecond+2*spacing {
			t.Errorf("it takes %s", took)
		}
		if stageOf(a) != "acked" || stageOf(b) != "acked" {
			t.Errorf("%s, %s", stageOf(a), stageOf(b))
		}
		for len(f.heard) > 0 {
			<-f.heard
		}
		again := l.item("mailbox")
		if took := l.push(d, 5*time.Second, again); took > 0 || stageOf(again) != "acked" {
			t.Errorf("again: %s after %s", stageOf(again), took)
		}
		f.quiet(t, time.Minute)
	})
}

// TestPushUnderLoad: serials that come faster than the responses do not keep a change from being acknowledged.
func TestPushUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess, delayed(230*time.Millisecond))
		l := newLab(t, list(f))
		time.Sleep(time.Second)
		l.claim("mailbox", "ex1")
		it := l.item("mailbox")
		ctx, stop := context.WithCancel(t.Context())
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			for i := 0; pause(ctx, 20*time.Millisecond); i++ {
				l.claim("inner", []string{"ex1", "ex2"}[i%2])
			}
		}()
		if took := l.push(l.Driver(f.addr), 5*time.Second, it); took > 300*time.Millisecond || stageOf(it) != "acked" {
			t.Errorf("%s after %s", stageOf(it), took)
		}
		stop()
		<-moved
	})
}

// TestPushFails: with the reason, when the time is over, or at once when it is refused.
func TestPushFails(t *testing.T) {
	const within = 5 * time.Second
	for _, tt := range []struct {
		name string
		fake *fakeSecondary
		role string
		want string
		took time.Duration
	}{
		{"silence", newFake(silence), "mailbox", "failed: NOTIFY of corp.example.: no response", within},
		{"refused", newFake(dns.RcodeRefused), "mailbox", "failed: NOTIFY of corp.example.: the response REFUSED", 0},
		{"slow", newFake(dns.RcodeSuccess, delayed(time.Minute)), "mailbox", "failed: NOTIFY of corp.example.: no response", within},
		{"one zone is refused", newFake(dns.RcodeSuccess, spoiled(func(m *dns.Msg) {
			if m.Question[0].Name == sub {
				m.Rcode = dns.RcodeNotAuth
			}
		})), "inner", "failed: NOTIFY of sub.corp.example.: the response NOTAUTH", 0},
		{"the other zone is refused", newFake(dns.RcodeSuccess, spoiled(func(m *dns.Msg) {
			if m.Question[0].Name == sub {
				m.Rcode = dns.RcodeNotAuth
			}
		})), "mailbox", "acked", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, list(tt.fake), list(tt.fake))
				time.Sleep(time.Second)
				l.claim(tt.role, "ex1")
				it := l.item(tt.role)
				if took := l.push(l.Driver(tt.fake.addr), within, it); took < tt.took || took > tt.took+spacing {
					t.Errorf("it takes %s, want %s", took, tt.took)
				}
				if got := stageOf(it); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestPushNowhere: an item of a configuration that is over, and a Sender that does not run.
func TestPushNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		l := start(t, newWorld(list(f)))
		l.claim("mailbox", "ex1")
		it := l.item("mailbox")
		l.push(l.Driver(f.addr), time.Second, it)
		if _, _, why := it.Stage(); !errors.Is(why, errUntold) {
			t.Errorf("nobody sends: %s", stageOf(it))
		}
		l.push(l.Driver(netip.MustParseAddrPort("198.51.100.99:53")), time.Second, it)
		if _, _, why := it.Stage(); !errors.Is(why, errNoZone) {
			t.Errorf("another secondary: %s", stageOf(it))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.Driver(f.addr).Push(ctx, []*push.Item{it})
		if got := stageOf(it); !strings.HasPrefix(got, "failed") {
			t.Errorf("without time: %s", got)
		}
	})
}

// TestPushAfterOutage: a secondary that was down for some minutes is told within seconds of its return.
func TestPushAfterOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(dns.RcodeSuccess)
		f.gone.Store(true)
		l := newLab(t, list(f))
		d := l.Driver(f.addr)
		l.claim("mailbox", "ex1")
		it := l.item("mailbox")
		l.push(d, 3*time.Minute, it)
		if got := stageOf(it); !strings.Contains(got, "refused") {
			t.Errorf("while it is down: %s", got)
		}
		f.gone.Store(false)
		if took := l.push(d, time.Minute, it); took > soonWait || stageOf(it) != "acked" {
			t.Errorf("%s after %s", stageOf(it), took)
		}
	})
}
