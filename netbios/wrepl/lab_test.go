package wrepl

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
)

// memory is a Store that takes every record.
type memory struct {
	mu       sync.Mutex
	names    map[wins.IPv4]map[netbios.Name]wins.Record
	versions map[wins.IPv4]uint64
	seen     map[wins.IPv4]uint64
	verified map[wins.IPv4]wins.Stamp
	changed  chan struct{}
	applied  []string
	raised   []uint64
	stubborn bool // Raise does nothing, as with other software
	err      error
}

func newMemory() *memory {
	return &memory{
		names: map[wins.IPv4]map[netbios.Name]wins.Record{{}: {}}, versions: map[wins.IPv4]uint64{{}: 0},
		seen: map[wins.IPv4]uint64{}, verified: map[wins.IPv4]wins.Stamp{}, changed: make(chan struct{}),
	}
}

func (m *memory) Versions() []wins.OwnerVersion {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []wins.OwnerVersion
	for owner, v := range m.versions {
		out = append(out, wins.OwnerVersion{Owner: owner, Max: v, Seen: max(v, m.seen[owner]), Verified: m.verified[owner]})
	}
	return out
}

func (m *memory) Next(owner wins.IPv4, renew bool) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if renew && time.Since(m.verified[owner].Time()) > 12*24*time.Hour {
		return 1
	}
	return max(m.versions[owner], m.seen[owner]) + 1
}

func (m *memory) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *memory) Records(owner wins.IPv4, low, high uint64) iter.Seq[*wins.Record] {
	m.mu.Lock()
	list := slices.SortedFunc(maps.Values(m.names[owner]), func(a, b wins.Record) int { return int(a.Version) - int(b.Version) })
	m.mu.Unlock()
	return func(yield func(*wins.Record) bool) {
		for i := range list {
			if v := list[i].Version; v >= low && v <= high && !yield(&list[i]) {
				return
			}
		}
	}
}

func (m *memory) Apply(_ context.Context, r wins.Replicas) (sum wins.Applied, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return sum, m.err
	}
	if m.names[r.Owner] == nil {
		m.names[r.Owner] = map[netbios.Name]wins.Record{}
	}
	if r.Partner == r.Owner && r.From <= 1 && r.UpTo > 0 && r.UpTo < m.seen[r.Owner] {
		m.versions[r.Owner], m.seen[r.Owner], m.names[r.Owner] = 0, 0, map[netbios.Name]wins.Record{}
	}
	m.seen[r.Owner] = max(m.seen[r.Owner], r.UpTo)
	if r.Renew && r.From <= 1 {
		m.verified[r.Owner] = wins.StampOf(time.Now())
	}
	for i := range r.Records {
		m.names[r.Owner][r.Records[i].Name] = r.Records[i]
		m.versions[r.Owner] = max(m.versions[r.Owner], r.Records[i].Version)
		m.applied = append(m.applied, fmt.Sprintf("%s from %s", words(&r.Records[i]), r.Partner))
		sum.Stored++
	}
	return sum, nil
}

func (m *memory) Raise(_ context.Context, version uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.raised = append(m.raised, version)
	if !m.stubborn {
		m.versions[wins.IPv4{}] = version
	}
	return nil
}

// put makes an own record: "MAIL<20>" at an address.
func (m *memory) put(t testing.TB, name, addr string) uint64 {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[wins.IPv4{}]++
	r := wins.Record{Name: mustName(t, name), Node: netbios.HNode, Version: m.versions[wins.IPv4{}]}
	r.SetMembers([]wins.Member{{Addr: ip(addr)}})
	m.names[wins.IPv4{}][r.Name] = r
	close(m.changed)
	m.changed = make(chan struct{})
	return r.Version
}

// has is what came of an owner: "MAIL<20> 192.0.2.11".
func (m *memory) has(owner string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, r := range m.names[ip(owner)] {
		out = append(out, r.Name.String()+" "+r.At(0).Addr.String())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (m *memory) taken() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := strings.Join(m.applied, "; ")
	m.applied = nil
	return out
}

func ip(s string) wins.IPv4 { return wins.IPv4Of(netip.MustParseAddr(s)) }

// wire is a network in memory, whose hosts are known by their addresses.
type wire struct {
	mu    sync.Mutex
	hosts map[netip.Addr]*fakeListener
	said  []string // what was sent, in order
	minor uint16   // 0, or the version that start replies are made to have
}

type fakeListener struct {
	conns chan net.Conn
	down  chan struct{}
	once  sync.Once
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.down:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error {
	l.once.Do(func() { close(l.down) })
	return nil
}

func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// end is one end of a connection, which knows who is at the other one and notes what is written.
type end struct {
	net.Conn
	from, to netip.Addr
	w        *wire
}

func (e end) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPortFrom(e.to, 1024)) }

func (e end) Write(b []byte) (int, error) {
	m, err := Parse(b[4:])
	if err != nil {
		panic(err)
	}
	e.w.mu.Lock()
	last := func(a netip.Addr) byte { return a.As4()[3] }
	e.w.said = append(e.w.said, fmt.Sprintf("%d>%d %s", last(e.from), last(e.to), m.Body))
	if s, ok := m.Body.(*Start); ok && s.Reply && e.w.minor != 0 {
		s.Minor = e.w.minor
		b = m.Append(nil)
	}
	e.w.mu.Unlock()
	return e.Conn.Write(b)
}

// talk returns what was said since the last call.
func (w *wire) talk() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := strings.Join(w.said, ", ")
	w.said = nil
	return out
}

func (w *wire) dialFrom(from netip.Addr) func(context.Context, netip.AddrPort) (net.Conn, error) {
	return func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
		w.mu.Lock()
		l := w.hosts[to.Addr()]
		w.mu.Unlock()
		if l == nil {
			return nil, errors.New("connection refused")
		}
		near, far := net.Pipe()
		l.conns <- end{far, to.Addr(), from, w}
		return end{near, from, to.Addr(), w}, nil
	}
}

// server is a Replicator on a wire.
type server struct {
	*Replicator
	*memory
	w    *wire
	addr netip.Addr
	set  Settings
	stop func()
}

func (w *wire) server(addr string, partners ...Partner) *server {
	s := &server{memory: newMemory(), w: w, addr: netip.MustParseAddr(addr), set: Settings{Address: ip(addr), Partners: partners}}
	s.up()
	return s
}

func (s *server) up() {
	ctx, cancel := context.WithCancel(context.Background())
	s.Replicator = New(s.set, s.memory, s.w.dialFrom(s.addr), zerolog.Nop())
	l := &fakeListener{conns: make(chan net.Conn, 100), down: make(chan struct{})}
	s.w.mu.Lock()
	s.w.hosts[s.addr] = l
	s.w.mu.Unlock()
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = s.Replicator.Serve(ctx, l) })
	tasks.Go(func() { _ = s.Replicator.Run(ctx) })
	s.stop = func() {
		s.w.mu.Lock()
		delete(s.w.hosts, s.addr)
		s.w.mu.Unlock()
		cancel()
		tasks.Wait()
	}
}

// to is a partner that is told of news and asked twice an hour.
func to(addr string, change ...func(*Partner)) Partner {
	p := Partner{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), Port), Push: true, Persistent: true, Pull: 30 * time.Minute}
	for _, c := range change {
		c(&p)
	}
	return p
}

// world runs a test on a wire, in fake time. The servers that it returns are stopped in the end.
func world(t *testing.T, test func(*testing.T, *wire) []*server) {
	synctest.Test(t, func(t *testing.T) {
		for _, s := range test(t, &wire{hosts: map[netip.Addr]*fakeListener{}}) {
			s.stop()
		}
	})
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}
