package primary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/primary/primarytest"
	"github.com/nameward/nameward/registry/tsig"
)

// eventually waits for what goroutines do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not so in time: " + what)
		}
	}
}

// change is an update of ad.example. that adds records.
func change(t testing.TB, records ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetUpdate("ad.example.")
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Ns = append(m.Ns, rr)
	}
	return m
}

// serversAt opens primaries.
func serversAt(t testing.TB, cfg Config, limit int, primaries ...netip.AddrPort) *Servers {
	t.Helper()
	cfg.Addrs, cfg.AtOnce = primaries, limit
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// signedServers have a key of its own, which stands in a file.
func signedServers(t testing.TB, k tsig.Key, primaries ...netip.AddrPort) *Servers {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(k.Name+":"+k.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return serversAt(t, Config{Key: path}, 8, primaries...)
}

// deadAddr is where nobody listens.
func deadAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

func exchanged(ctx context.Context, s *Servers, m *dns.Msg) string {
	response, _, err := s.Exchange(ctx, m)
	return passed(response, err)
}

// passed is what an exchange came to.
func passed(response *dns.Msg, err error) string {
	if err != nil {
		return err.Error()
	}
	return dns.RcodeToString[response.Rcode]
}

func TestExchange(t *testing.T) {
	key := primarytest.Key(t, "gate.")
	other, err := tsig.New("", "gate.", "YW5vdGhlciBzZWNyZXQ=")
	if err != nil {
		t.Fatal(err)
	}
	otherID := func(_ int, _ []byte, m *dns.Msg) primarytest.Reaction {
		response := new(dns.Msg).SetReply(m)
		response.Id++
		return primarytest.Reaction{Raw: primarytest.Packed(response)}
	}
	query := func(_ int, raw []byte, _ *dns.Msg) primarytest.Reaction { return primarytest.Reaction{Raw: raw} }
	for _, tt := range []struct {
		name   string
		signed bool
		act    func(*primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction
		want   string
	}{
		{"all is well", false, nil, "NOERROR"},
		{"signed", true, nil, "NOERROR"},
		{"refused", true, func(p *primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction {
			return p.Says(dns.RcodeRefused, p.Keys)
		}, "REFUSED"},
		{"a prerequisite", false, func(p *primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction {
			return p.Says(dns.RcodeYXDomain, nil)
		}, "YXDOMAIN"},
		{"the response is not signed", true, func(p *primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction {
			return p.Says(dns.RcodeSuccess, nil)
		}, "its response, NOERROR, is not signed"},
		{"it is signed by another secret", true, func(p *primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction {
			return p.Says(dns.RcodeSuccess, primarytest.NewKeyring(other))
		}, "its response, NOERROR, is not to be trusted: dns: bad signature"},
		{"it is of another ID", false, func(*primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction { return otherID }, "it answers something else"},
		{"it is no response", false, func(*primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction { return query }, "it answers something else"},
		{"it is no message", false, func(*primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction {
			return func(int, []byte, *dns.Msg) primarytest.Reaction { return primarytest.Reaction{Raw: []byte{1, 2, 3}} }
		}, "dns: short read"},
		{"it closes", false, func(*primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction {
			return func(int, []byte, *dns.Msg) primarytest.Reaction { return primarytest.Reaction{Closes: true} }
		}, "EOF"},
		{"the key is not known", true, func(p *primarytest.Primary) func(int, []byte, *dns.Msg) primarytest.Reaction {
			p.Keys.Clear()
			return p.Answered
		}, "it does not know the key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := primarytest.New(t, key)
			if tt.act != nil {
				p.Act = tt.act(p)
			}
			s := serversAt(t, Config{}, 8, p.Addr)
			if tt.signed {
				s = signedServers(t, key, p.Addr)
			}
			response, _, err := s.Exchange(t.Context(), change(t, "pc1.ad.example. 60 A 192.0.2.7"))
			got := passed(response, err)
			if want := tt.want; err != nil && got != fmt.Sprintf("the primary %s: %s", p.Addr, want) || err == nil && got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if n := len(p.Received()); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

// TestConnections: one connection is used again, one that the primary closed meanwhile is not, and what
// may have been carried out is not sent again.
func TestConnections(t *testing.T) {
	p := primarytest.New(t)
	p.Act = func(n int, raw []byte, m *dns.Msg) primarytest.Reaction {
		r := p.Answered(n, raw, m)
		switch n {
		case 1:
			r.Closes = true
		case 3:
			return primarytest.Reaction{Closes: true}
		}
		return r
	}
	s := serversAt(t, Config{}, 8, p.Addr)
	idle := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " connections wait"), func() bool {
			s.conns.mu.Lock()
			defer s.conns.mu.Unlock()
			return len(s.conns.idle[p.Addr]) == n
		})
	}
	for i, want := range []struct {
		result string
		idle   int
	}{{"NOERROR", 1}, {"NOERROR", 0}, {"NOERROR", 1}, {"the primary " + p.Addr.String() + ": EOF", 0}, {"NOERROR", 1}} {
		response, _, err := s.Exchange(t.Context(), change(t, "pc1.ad.example. 60 A 192.0.2.7"))
		if got := passed(response, err); got != want.result {
			t.Errorf("update %d: %s, want %s", i, got, want.result)
		}
		idle(want.idle)
	}
	if n := len(p.Received()); n != 5 {
		t.Errorf("%d updates came of 5", n)
	}
	s.Close()
	idle(0)
	if response, _, err := s.Exchange(t.Context(), change(t)); passed(response, err) != "NOERROR" {
		t.Errorf("what is under way when the gate closes: %v", err)
	}
	idle(0)
}

// TestConnectionDies: one that the primary closes in the moment in which it is taken is of no use.
func TestConnectionDies(t *testing.T) {
	p, addr := newPool(), deadAddr(t)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	dying := &idleConn{ours, make(chan bool, 1)}
	dying.alive <- false
	if !p.add(addr, dying) {
		t.Fatal("the pool is full")
	}
	if c := p.take(addr); c != nil {
		t.Error("it was taken")
	}
	if _, err := ours.Write([]byte{1}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("it is open: %v", err)
	}
}

func TestPrimaries(t *testing.T) {
	dead, silent, well := deadAddr(t), primarytest.New(t), primarytest.New(t)
	silent.Act = func(int, []byte, *dns.Msg) primarytest.Reaction { return primarytest.Reaction{} }

	s := serversAt(t, Config{}, 8, dead, well.Addr)
	for range 2 {
		if response, _, err := s.Exchange(t.Context(), change(t)); passed(response, err) != "NOERROR" {
			t.Errorf("the first one is dead: %v", err)
		}
	}
	if got := s.conns.inOrder(s.addrs); got[0] != well.Addr || len(got) != 2 {
		t.Errorf("tried in the order %v", got)
	}

	s = serversAt(t, Config{}, 8, dead, deadAddr(t))
	_, _, err := s.Exchange(t.Context(), change(t))
	if err == nil || !strings.HasPrefix(err.Error(), "no primary can be reached; "+dead.String()+": ") || strings.Count(err.Error(), "refused") != 2 {
		t.Errorf("all are dead: %v", err)
	}

	// What was sent to one is not sent to another.
	s = serversAt(t, Config{}, 1, silent.Addr, well.Addr)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin, before := time.Now(), len(well.Received())
	waits := make(chan error)
	go func() {
		_, _, err := s.Exchange(ctx, change(t))
		waits <- err
	}()
	eventually(t, "it waits", func() bool { return len(silent.Received()) == 1 })
	if _, _, err := s.Exchange(t.Context(), change(t)); !errors.Is(err, ErrFull) {
		t.Errorf("one more than may wait: %v", err)
	}
	if err := <-waits; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) > 2*time.Second {
		t.Errorf("silence: %v after %s", err, time.Since(begin))
	}
	if n := len(well.Received()) - before; n != 0 {
		t.Errorf("the second one got %d updates", n)
	}
}

// TestSilence: an update is given up in time, whatever its client has in mind.
func TestSilence(t *testing.T) {
	t.Parallel()
	p := primarytest.New(t)
	p.Act = func(int, []byte, *dns.Msg) primarytest.Reaction { return primarytest.Reaction{} }
	s, begin := serversAt(t, Config{}, 8, p.Addr), time.Now()
	if _, err := s.Relay(t.Context(), primarytest.Packed(change(t))); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(begin); took < answerTimeout || took > answerTimeout+2*time.Second {
		t.Errorf("after %s", took)
	}
}

// agreeing gives a gate that agrees with primaries on keys, as fake as they are, and counts them.
func agreeing(t testing.TB, s *Servers, p *primarytest.Primary, lifetime time.Duration) (count func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	s.agreed = &agreements{of: map[netip.AddrPort]*agreement{}, negotiate: func(context.Context, netip.AddrPort) (agreedKey, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		k := primarytest.Key(t, fmt.Sprintf("agreed-%d.", n))
		p.Keys.Put(k)
		return agreedKey{k.Name, k.Algorithm, time.Now().Add(lifetime), k.Provider()}, nil
	}}
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// TestAgrees: what was agreed on is used by all until it ends, and agreed on anew when the primary has
// forgotten it, once.
func TestAgrees(t *testing.T) {
	p := primarytest.New(t)
	s := serversAt(t, Config{}, 100, p.Addr)
	count := agreeing(t, s, p, time.Hour)
	send := func(want string) {
		t.Helper()
		if got := exchanged(t.Context(), s, change(t)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { send("NOERROR") })
	}
	all.Wait()
	if count() != 1 || p.Last().IsTsig().Hdr.Name != "agreed-1." {
		t.Errorf("%d keys, the last update is signed by %s", count(), p.Last().IsTsig().Hdr.Name)
	}

	p.Keys.Clear()
	before := len(p.Received())
	send("NOERROR")
	if n := len(p.Received()) - before; count() != 2 || n != 2 {
		t.Errorf("%d keys, %d messages after the primary was started anew", count(), n)
	}

	p.Act = func(n int, raw []byte, m *dns.Msg) primarytest.Reaction {
		p.Keys.Clear()
		return p.Answered(n, raw, m)
	}
	before = len(p.Received())
	send(fmt.Sprintf("the primary %s: it does not know the key", p.Addr))
	if n := len(p.Received()) - before; n != 2 {
		t.Errorf("a primary that knows no key gets an update %d times", n)
	}

	p.Act = p.Answered
	count = agreeing(t, s, p, renewBefore) // over in good time
	send("NOERROR")
	send("NOERROR")
	if count() != 2 {
		t.Errorf("%d keys, each for no longer than it takes", count())
	}
}

// TestDisagrees: a Kerberos server that is dead is asked once in a while, and the next primary is tried.
func TestDisagrees(t *testing.T) {
	first, second := primarytest.New(t), primarytest.New(t)
	s := serversAt(t, Config{}, 8, first.Addr, second.Addr)
	count := agreeing(t, s, second, time.Hour)
	well, tries := s.agreed.negotiate, 0
	s.agreed.negotiate = func(ctx context.Context, addr netip.AddrPort) (agreedKey, error) {
		if addr == first.Addr {
			tries++
			return agreedKey{}, errors.New("no KDC")
		}
		return well(ctx, addr)
	}
	for range 3 {
		if got := exchanged(t.Context(), s, change(t)); got != "NOERROR" {
			t.Error(got)
		}
	}
	if tries != 1 || count() != 1 || len(first.Received()) != 0 {
		t.Errorf("%d tries, %d keys", tries, count())
	}
	s.addrs = s.addrs[:1]
	if got, want := exchanged(t.Context(), s, change(t)), fmt.Sprintf("no primary can be reached; %s: GSS-TSIG: no KDC", first.Addr); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	s.agreed.of[first.Addr] = &agreement{done: make(chan struct{})} // for ever under way
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := exchanged(ctx, s, change(t)); !strings.HasSuffix(got, "takes too long") {
		t.Error(got)
	}
}

func TestRelay(t *testing.T) {
	key := primarytest.Key(t, "client.")
	p := primarytest.New(t, key)
	s := serversAt(t, Config{}, 8, p.Addr)
	raw, mac, err := dns.TsigGenerateWithProvider(change(t, "pc1.ad.example. 60 A 192.0.2.7").SetTsig("client.", dns.HmacSHA256, 300, time.Now().Unix()), key.Provider(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.Relay(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := dns.TsigVerifyWithProvider(response, key.Provider(), mac, false); err != nil {
		t.Errorf("the client cannot verify the primary's response: %v", err)
	}
	for what, act := range map[string]func(int, []byte, *dns.Msg) primarytest.Reaction{
		"another ID": func(_ int, raw []byte, _ *dns.Msg) primarytest.Reaction {
			return primarytest.Reaction{Raw: append([]byte{raw[0], ^raw[1], 0xa8}, raw[3:]...)}
		},
		"no response": func(_ int, raw []byte, _ *dns.Msg) primarytest.Reaction { return primarytest.Reaction{Raw: raw} },
		"another opcode": func(_ int, raw []byte, _ *dns.Msg) primarytest.Reaction {
			return primarytest.Reaction{Raw: append([]byte{raw[0], raw[1], 0x80}, raw[3:]...)}
		},
		"no message": func(int, []byte, *dns.Msg) primarytest.Reaction {
			return primarytest.Reaction{Raw: []byte{raw[0], raw[1], 0xa8}}
		},
	} {
		p.Act = act
		if _, err := s.Relay(t.Context(), raw); err == nil || !strings.HasSuffix(err.Error(), "it answers something else") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
