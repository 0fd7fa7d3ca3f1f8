package wrepl

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushtest"
)

// fakePartner answers name queries over UDP.
type fakePartner struct {
	conn *net.UDPConn
	mu   sync.Mutex
	has  map[string][]string // no addresses: there is no such name
	mute bool
}

func newPartner(t *testing.T) *fakePartner {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &fakePartner{conn: conn, has: map[string][]string{}}
	var serving sync.WaitGroup
	serving.Go(p.serve)
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return p
}

func (p *fakePartner) serve() {
	var b [1500]byte
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return
		}
		h, q, err := netbios.ParseQuestion(b[:n])
		if err != nil {
			continue
		}
		p.mu.Lock()
		var addrs []netbios.Address
		for _, a := range p.has[q.Name.String()] {
			addrs = append(addrs, netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr(a)})
		}
		mute := p.mute
		p.mu.Unlock()
		reply := netbios.AppendPositiveQueryResponse(nil, h.ID, q.Name, 60, addrs...)
		if len(addrs) == 0 {
			reply = netbios.AppendNegativeQueryResponse(nil, h.ID, netbios.RcodeName, q.Name)
		}
		if !mute {
			_, _ = p.conn.WriteToUDPAddrPort(reply, from)
		}
	}
}

func (p *fakePartner) driver() *Driver {
	return &Driver{
		Server: netip.MustParseAddrPort(p.conn.LocalAddr().String()), Client: &nbns.Client{UnicastTries: 1, UnicastTimeout: 200 * time.Millisecond},
	}
}

// stages is how far items are: "verified", "stale 192.0.2.11", "failed: why".
func stages(items []*push.Item) string {
	var out []string
	for _, it := range items {
		stage, found, why := it.Stage()
		text := stage.String()
		for _, a := range found {
			text += " " + a.String()
		}
		if why != nil {
			text += ": " + why.Error()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestContent(t *testing.T) {
	reg := pushtest.Pair(t, 1, true)
	d := &Driver{}
	snap := reg.Snapshot()
	role, _ := snap.Role("role0")
	if got, want := d.Content(snap, role), "ROLE0<20> 192.0.2.11"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	reg.Switch("ex2")
	role, _ = reg.Snapshot().Role("role0")
	if got, want := d.Content(snap, role), "ROLE0<20> 192.0.2.12"; got != want {
		t.Errorf("after a switch: got %q, want %q", got, want)
	}
	bare := *role.Role
	bare.NetBIOS = nil
	other := *role
	other.Role = &bare
	if got := d.Content(snap, &other); got != "" {
		t.Errorf("a role without NetBIOS names: %q", got)
	}
}

func TestPush(t *testing.T) {
	reg := pushtest.Pair(t, 3, false)
	reg.Switch("ex2")
	late := errors.New("too late")
	for _, tt := range []struct {
		name          string
		version, tell error
		want          string
	}{
		{"all is well", nil, nil, "acked, acked, acked"},
		{"the database takes nothing", late, nil, "failed: too late, failed: too late, failed: too late"},
		{"the partner does not follow", nil, late, "failed: too late, failed: too late, failed: too late"},
	} {
		items := reg.Items()
		var told uint64
		d := &Driver{
			Version: func(_ context.Context, change uint64) (uint64, error) {
				if change != reg.Snapshot().Change {
					t.Errorf("%s: change %d is waited for, want %d", tt.name, change, reg.Snapshot().Change)
				}
				return 42, tt.version
			},
			Tell: func(_ context.Context, version uint64, sent func()) error {
				told = version
				sent()
				if got := stages(items); got != "sent, sent, sent" {
					t.Errorf("%s: when the partner is told: %s", tt.name, got)
				}
				return tt.tell
			},
		}
		d.Push(t.Context(), items)
		if got := stages(items); got != tt.want || tt.version == nil && told != 42 {
			t.Errorf("%s: %s, told version %d", tt.name, got, told)
		}
	}
}

func TestVerify(t *testing.T) {
	reg := pushtest.Pair(t, 200, false)
	p := newPartner(t)
	d := p.driver()
	for _, tt := range []struct {
		name string
		has  []string
		told string
		want string
	}{
		{"the right address", []string{"192.0.2.11"}, "", "verified"},
		{"that of the other node", []string{"192.0.2.12"}, "", "stale 192.0.2.12"},
		{"what was told before", []string{"192.0.2.77"}, "192.0.2.77", "stale 192.0.2.77"},
		{"a stranger's", []string{"203.0.113.9"}, "", "foreign 203.0.113.9"},
		{"one too many", []string{"192.0.2.11", "192.0.2.12"}, "", "stale 192.0.2.11 192.0.2.12"},
		{"no such name", nil, "", "stale"},
	} {
		p.mu.Lock()
		for i := range 200 {
			p.has["ROLE"+strconv.Itoa(i)+"<20>"] = tt.has
		}
		p.mu.Unlock()
		var told []string
		if tt.told != "" {
			told = []string{tt.told}
		}
		items := reg.Items(told...)
		d.Verify(t.Context(), items)
		if got, want := stages(items), strings.TrimSuffix(strings.Repeat(tt.want+", ", 200), ", "); got != want {
			t.Errorf("%s:\n got %.200s\nwant %.200s", tt.name, got, want)
		}
	}
	p.mu.Lock()
	p.mute = true
	p.mu.Unlock()
	items := reg.Items()[:3]
	d.Verify(t.Context(), items)
	if got := stages(items); strings.Count(got, "failed") != 3 || !strings.Contains(got, "ROLE0<20>") {
		t.Errorf("a mute partner: %s", got)
	}
}
