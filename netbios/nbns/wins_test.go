package nbns

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry/store/journal"
)

// everybody is a guard that lets anybody register any address, and leaves the roles of the test world to
// themselves.
type everybody struct{ s *Server }

func (g everybody) Admit(r *wins.Request) wins.Verdict {
	v := wins.Verdict{Addrs: r.Addrs, ByRule: true}
	v.HandOn = len(g.s.settings.Load().Forward) > 0 && strings.HasPrefix(r.Name.Base(), "THEIRS")
	if role, ok := g.s.Snapshot().NetBIOS(r.Name); ok {
		v.Guarded, v.Role, v.Action = true, role.Role.Name, wins.Park
	}
	return v
}

// holders says who is alive when a name is challenged.
type holders struct {
	mu    sync.Mutex
	alive map[wins.IPv4]bool
}

func (o *holders) challenge(_ context.Context, _ netbios.Name, addrs []wins.IPv4) ([]wins.Challenged, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []wins.Challenged
	for _, a := range addrs {
		out = append(out, wins.Challenged{Addr: a, Has: o.alive[a], Lists: []wins.IPv4{a}})
	}
	return out, nil
}

func (o *holders) set(a wins.IPv4, alive bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.alive[a] = alive
}

// winsServer is a server with a database in memory.
type winsServer struct {
	*Server
	db      *wins.Database
	holders *holders
	usage   *usage.Tracker
	at      netip.AddrPort
	stop    func()
}

func newWINS(t *testing.T, use WINS, forward ...netip.AddrPort) *winsServer {
	t.Helper()
	w := &winsServer{Server: newServer(newRegistry(t)), holders: &holders{alive: map[wins.IPv4]bool{}}, usage: usage.New(0)}
	set := wins.Settings{Timers: wins.DefaultTimers, Limits: wins.DefaultLimits}
	db, err := wins.Open(&journal.Memory{}, set, everybody{w.Server}, w.holders.challenge, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	w.db = db
	ctx, cancel := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	tasks.Go(func() { db.Run(ctx) })
	tasks.Go(func() { w.ServeOutbox(ctx, db) })
	t.Cleanup(func() {
		cancel()
		tasks.Wait()
	})
	s := *w.settings.Load()
	s.Forward, s.WINS = forward, use
	s.WINS.DB, s.WINS.Usage = db, w.usage
	w.Configure(s)
	w.at, w.stop = startServer(t, w.Server, loopback)
	return w
}

var quick = Client{UnicastTries: 2, UnicastTimeout: 2 * time.Second}

func addr(text string, flags netbios.NodeFlags) netbios.Address {
	return netbios.Address{Flags: flags, Addr: netip.MustParseAddr(text)}
}

func (w *winsServer) wantClaim(t *testing.T, m netbios.Message, rcode netbios.Rcode, wacked bool) ClaimResult {
	t.Helper()
	r, err := quick.Claim(t.Context(), w.at, m)
	var negative *NegativeError
	got := netbios.RcodeOK
	if errors.As(err, &negative) {
		got, err = negative.Rcode, nil
	}
	if err != nil || got != rcode || r.Wacked != wacked {
		t.Errorf("%s of %s: rcode %v, told to wait %t (%v), want %v, %t", m.Form(), m.Questions[0].Name, got, r.Wacked, err, rcode, wacked)
	}
	return r
}

// wantQuery asks and compares; want is the addresses as text, "" for a negative answer.
func wantQuery(t *testing.T, at netip.AddrPort, name, want string) {
	t.Helper()
	if got := queryText(t, at, name); got != want {
		t.Errorf("query %s: %q, want %q", name, got, want)
	}
}

func queryText(t *testing.T, at netip.AddrPort, name string) string {
	t.Helper()
	r, err := quick.Query(t.Context(), at, netbios.MustParseName(name))
	var negative *NegativeError
	if err != nil && !errors.As(err, &negative) {
		return err.Error()
	}
	var out []string
	for _, a := range r.Addrs {
		out = append(out, a.Addr.String())
	}
	return strings.Join(out, " ")
}

func TestWINSOnLoopback(t *testing.T) {
	w := newWINS(t, WINS{})
	one, two := addr("203.0.113.1", netbios.HNode), addr("203.0.113.2", netbios.HNode)
	fs1 := netbios.MustParseName("FS1<20>")
	r := w.wantClaim(t, netbios.NewRegistration(0, fs1, 300000, one), 0, false)
	if r.TTL != 300000*time.Second || !slices.Equal(r.Addrs, []netbios.Address{one}) {
		t.Errorf("granted %+v", r)
	}
	wantQuery(t, w.at, "FS1<20>", "203.0.113.1")
	wantQuery(t, w.at, "fs1<20>", "") // octet by octet
	w.wantClaim(t, netbios.NewRefresh(0, fs1, 300000, one), 0, false)
	alt := netbios.NewRefresh(0, fs1, 300000, one)
	alt.Opcode = netbios.OpRefreshAlt
	w.wantClaim(t, alt, 0, false)
	w.holders.set(wins.IPv4{203, 0, 113, 1}, true)
	w.wantClaim(t, netbios.NewRegistration(0, fs1, 300000, two), netbios.RcodeActive, true)
	w.holders.set(wins.IPv4{203, 0, 113, 1}, false)
	w.wantClaim(t, netbios.NewMultihomed(0, fs1, 300000, two), 0, true)
	wantQuery(t, w.at, "FS1<20>", "203.0.113.2")
	w.wantClaim(t, netbios.NewRegistration(0, netbios.MustParseName("G"), 300000, addr("203.0.113.1", netbios.Group)), 0, false)
	wantQuery(t, w.at, "G", "255.255.255.255")
	w.wantClaim(t, netbios.NewRegistration(0, netbios.MustParseName("CORP<1b>"), 300000, addr("203.0.113.1", netbios.Group)), netbios.RcodeRefused, false)

	// A release counts from an address of the record only, and the client is on loopback.
	w.wantClaim(t, netbios.NewRelease(0, fs1, two), 0, false)
	wantQuery(t, w.at, "FS1<20>", "203.0.113.2")

	// What is asked with RD clear is for the server's own names.
	var negative *NegativeError
	q := netbios.NewQuery(newID(), fs1)
	q.Flags &^= netbios.FlagRecursionDesired
	replies, err := quick.exchange(t.Context(), quick.unicast(q, w.at))
	if err != nil || !errors.As(refusal(replies[0]), &negative) {
		t.Errorf("RD clear: %+v, %v", replies, err)
	}

	w.wantClaim(t, netbios.NewRegistration(0, mail, 300000, one), 0, false)
	wantQuery(t, w.at, "MAIL<20>", "192.0.2.11")
	w.stop()
	if got := w.Counters.Get(Registered); got != 9 {
		t.Errorf("%d claims were counted, want 9", got)
	}
	report := w.usage.Report(time.Now(), usage.View{})
	if report.Queries != 7 || report.Registrations != 8 || report.Refused != 2 {
		t.Errorf("usage: %+v", report.Count)
	}
}

// TestFilteredLater: an address that was registered before its class was is in no answer.
func TestFilteredLater(t *testing.T) {
	w := newWINS(t, WINS{})
	w.wantClaim(t, netbios.NewMultihomed(0, netbios.MustParseName("FS1"), 0, addr("10.9.0.7", netbios.HNode), addr("203.0.113.7", netbios.HNode)), 0, false)
	w.wantClaim(t, netbios.NewRegistration(0, netbios.MustParseName("FS2"), 0, addr("10.9.0.7", netbios.HNode)), 0, false)
	wantQuery(t, w.at, "FS1", "203.0.113.7")
	wantQuery(t, w.at, "FS2", "")
}

// TestUnsolicited: a conflict demand has no effect and is remembered; so is an answer to a question that
// nobody put, when it is about a role's name.
func TestUnsolicited(t *testing.T) {
	w := newWINS(t, WINS{})
	fs1 := netbios.MustParseName("FS1<20>")
	w.wantClaim(t, netbios.NewRegistration(0, fs1, 0, addr("203.0.113.1", netbios.HNode)), 0, false)
	p := packet{from: stranger}
	for _, m := range []netbios.Message{
		netbios.NewConflictDemand(7, fs1, netbios.HNode), netbios.NewConflictDemand(8, mail, netbios.HNode),
		netbios.NewPositiveQuery(9, mail, 60, addr("203.0.113.66", netbios.HNode)),
		netbios.NewPositiveQuery(10, fs1, 60, addr("203.0.113.66", netbios.HNode)),
	} {
		p.data = encode(t, m)
		if reply, more, outcome := w.handle(w.Snapshot(), p, nil); outcome != Response || more != nil || len(reply) > 0 {
			t.Errorf("%s: %x, %s", m.Form(), reply, outcome)
		}
	}
	for begin := time.Now(); len(w.db.Held()) < 3 && time.Since(begin) < 5*time.Second; {
		time.Sleep(time.Millisecond)
	}
	var got []string
	for _, h := range w.db.Held() {
		got = append(got, h.What.String()+" "+h.Name.String()+" "+h.Role)
	}
	slices.Sort(got)
	if want := []string{"conflict-demand FS1<20> ", "conflict-demand MAIL<20> mailbox", "response MAIL<20> mailbox"}; !slices.Equal(got, want) {
		t.Errorf("held: %q, want %q", got, want)
	}
	wantQuery(t, w.at, "FS1<20>", "203.0.113.1")
	wantQuery(t, w.at, "MAIL<20>", "192.0.2.11")
}

func TestFront(t *testing.T) {
	behind := newWINS(t, WINS{})
	var open atomic.Bool
	open.Store(true)
	w := newWINS(t, WINS{Front: true}, relay(t, behind.at, &open))
	one := addr("203.0.113.1", netbios.HNode)
	fs := func(n string) netbios.Name { return netbios.MustParseName("FS" + n) }

	w.wantClaim(t, netbios.NewRegistration(0, fs("1"), 300000, one), 0, false)
	wantQuery(t, behind.at, "FS1", "203.0.113.1")
	wantQuery(t, w.at, "FS1", "203.0.113.1")
	// The server behind knows another owner: its word goes.
	behind.holders.set(wins.IPv4{203, 0, 113, 9}, true)
	behind.wantClaim(t, netbios.NewRegistration(0, fs("2"), 300000, addr("203.0.113.9", netbios.HNode)), 0, false)
	w.wantClaim(t, netbios.NewRegistration(0, fs("2"), 300000, one), netbios.RcodeActive, false)
	// A role's name is not for it to decide.
	w.wantClaim(t, netbios.NewRegistration(0, mail, 300000, one), 0, false)
	if _, ok := behind.db.Snapshot().Find(mail); ok {
		t.Error("the registration of a role's name was passed on")
	}

	// An operator's record goes before it.
	static := wins.Record{Name: fs("2"), Static: true, Node: netbios.HNode}
	static.SetMembers([]wins.Member{{Addr: wins.IPv4{203, 0, 113, 8}}})
	wantQuery(t, w.at, "FS2", "203.0.113.9")
	if errs, err := w.db.Put(t.Context(), []wins.Record{static}); err != nil || errs[0] != nil {
		t.Fatal(errs, err)
	}
	wantQuery(t, w.at, "FS2", "203.0.113.8")

	open.Store(false)
	wantQuery(t, w.at, "FS1", "203.0.113.1")
	// It is known to be dead now, and nobody waits for it.
	begin := time.Now()
	w.wantClaim(t, netbios.NewRegistration(0, fs("3"), 300000, one), 0, false)
	wantQuery(t, w.at, "FS3", "203.0.113.1")
	if took := time.Since(begin); took > forwardTries*forwardTimeout {
		t.Errorf("a server that is known to be dead was waited for: %s", took)
	}
	if got := w.db.Load().Outbox; got != 1 {
		t.Errorf("%d wait to be told, want 1", got)
	}
	open.Store(true)
	for begin := time.Now(); queryText(t, behind.at, "FS3") != "203.0.113.1"; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("what was kept never arrived")
		}
	}
	for begin := time.Now(); w.db.Load().Outbox != 0 && time.Since(begin) < 5*time.Second; {
		time.Sleep(time.Millisecond)
	}
	if got := w.db.Load().Outbox; got != 0 {
		t.Errorf("%d wait to be told after all were", got)
	}
}

// TestShare: with a database of its own, a server tells the others what it has accepted; and what the
// policy hands on is theirs to decide.
func TestShare(t *testing.T) {
	behind := newWINS(t, WINS{})
	w := newWINS(t, WINS{Share: true}, behind.at)
	one := addr("203.0.113.1", netbios.HNode)
	w.wantClaim(t, netbios.NewRegistration(0, netbios.MustParseName("FS1"), 300000, one), 0, false)
	for begin := time.Now(); queryText(t, behind.at, "FS1") != "203.0.113.1"; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the other server never learns")
		}
	}
	behind.holders.set(wins.IPv4{203, 0, 113, 9}, true)
	behind.wantClaim(t, netbios.NewRegistration(0, netbios.MustParseName("THEIRS1"), 300000, addr("203.0.113.9", netbios.HNode)), 0, false)
	w.wantClaim(t, netbios.NewRegistration(0, netbios.MustParseName("THEIRS1"), 300000, one), netbios.RcodeActive, false)
	wantQuery(t, w.at, "THEIRS1", "203.0.113.9")
}
