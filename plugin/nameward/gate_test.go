package nameward

import (
	"context"
	"encoding/binary"
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

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/tsig"
)

// keyring is a TSIG provider of several keys.
type keyring struct {
	mu   sync.Mutex
	keys map[string]tsig.Key
}

func newKeyring(keys ...tsig.Key) *keyring {
	r := &keyring{keys: map[string]tsig.Key{}}
	for _, k := range keys {
		r.keys[k.Name] = k
	}
	return r
}

func (r *keyring) put(k tsig.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[k.Name] = k
}

func (r *keyring) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.keys)
}

func (r *keyring) of(t *dns.TSIG) (dns.TsigProvider, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.keys[dns.CanonicalName(t.Hdr.Name)]
	if !ok {
		return nil, dns.ErrSecret
	}
	return k.Provider(), nil
}

func (r *keyring) Generate(msg []byte, t *dns.TSIG) ([]byte, error) {
	p, err := r.of(t)
	if err != nil {
		return nil, err
	}
	return p.Generate(msg, t)
}

func (r *keyring) Verify(msg []byte, t *dns.TSIG) error {
	p, err := r.of(t)
	if err != nil {
		return err
	}
	return p.Verify(msg, t)
}

// testKey is a key whose secret is told by its name.
func testKey(t testing.TB, name string) tsig.Key {
	t.Helper()
	k, err := tsig.New("", name, "c2VjcmV0IG9mIGEgdGVzdA==")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// primary is a primary that takes updates over TCP and remembers them.
type primary struct {
	addr netip.AddrPort
	keys *keyring
	// act says what becomes of the n-th message, from 0, and what is said to it: answered, if nil.
	act func(n int, raw []byte, m *dns.Msg) reaction

	mu  sync.Mutex
	got []*dns.Msg
}

// reaction is an answer, none, and whether the connection is closed after it.
type reaction struct {
	raw    []byte
	closes bool
}

func newPrimary(t testing.TB, keys ...tsig.Key) *primary {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &primary{addr: netip.MustParseAddrPort(ln.Addr().String()), keys: newKeyring(keys...)}
	p.act = p.answered
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { p.serve(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		conns.Wait()
	})
	return p
}

func (p *primary) serve(ctx context.Context, c net.Conn) {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, raw); err != nil {
			return
		}
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		p.mu.Lock()
		n := len(p.got)
		p.got = append(p.got, m)
		p.mu.Unlock()
		r := p.act(n, raw, m)
		if r.raw != nil {
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(r.raw))), r.raw...))
		}
		if r.closes {
			return
		}
	}
}

// received lists the updates that came, each by its changes.
func (p *primary) received() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.got {
		var changes []string
		for _, rr := range m.Ns {
			changes = append(changes, strings.Join(strings.Fields(rr.String()), " "))
		}
		out = append(out, strings.Join(changes, "; "))
	}
	return out
}

func (p *primary) last() *dns.Msg {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.got) == 0 {
		return nil
	}
	return p.got[len(p.got)-1]
}

// answered is what a primary that is well says.
func (p *primary) answered(_ int, raw []byte, m *dns.Msg) reaction {
	return p.says(dns.RcodeSuccess, p.keys)(0, raw, m)
}

// says answers with an rcode, signed by another provider than the one that verifies if need be.
func (p *primary) says(rcode int, signer dns.TsigProvider) func(int, []byte, *dns.Msg) reaction {
	return func(_ int, raw []byte, m *dns.Msg) reaction {
		response := new(dns.Msg).SetRcode(m, rcode)
		t := m.IsTsig()
		if t == nil || signer == nil {
			return reaction{raw: packed(response)}
		}
		err := dns.TsigVerifyWithProvider(raw, p.keys, "", false)
		response.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix())
		if err != nil {
			response.Rcode, response.IsTsig().Error = dns.RcodeNotAuth, tsigError(err)
		}
		out, _, err := dns.TsigGenerateWithProvider(response, signer, t.MAC, false)
		if err != nil {
			panic(err)
		}
		return reaction{raw: out}
	}
}

func packed(m *dns.Msg) []byte {
	raw, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return raw
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

// gateTo opens a gate to primaries.
func gateTo(t testing.TB, cfg config.Gate, limit int, primaries ...netip.AddrPort) *gate {
	t.Helper()
	cfg.Zone, cfg.Primary = "ad.example.", primaries
	g, err := newGate(cfg, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	return g
}

// signedGate has a key of its own, which stands in a file.
func signedGate(t testing.TB, k tsig.Key, primaries ...netip.AddrPort) *gate {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, k.Name+":"+k.Secret)
	return gateTo(t, config.Gate{Key: path}, 8, primaries...)
}

// deadAddr is where nobody listens.
func deadAddr(t testing.TB) netip.AddrPort {
	return netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", freePort(t)))
}

// passed is what an exchange came to.
func passed(response *dns.Msg, err error) string {
	if err != nil {
		return err.Error()
	}
	return dns.RcodeToString[response.Rcode]
}

func TestGateExchange(t *testing.T) {
	key := testKey(t, "gate.")
	other, err := tsig.New("", "gate.", "YW5vdGhlciBzZWNyZXQ=")
	if err != nil {
		t.Fatal(err)
	}
	otherID := func(_ int, _ []byte, m *dns.Msg) reaction {
		response := new(dns.Msg).SetReply(m)
		response.Id++
		return reaction{raw: packed(response)}
	}
	query := func(_ int, raw []byte, _ *dns.Msg) reaction { return reaction{raw: raw} }
	for _, tt := range []struct {
		name   string
		signed bool
		act    func(*primary) func(int, []byte, *dns.Msg) reaction
		want   string
	}{
		{"all is well", false, nil, "NOERROR"},
		{"signed", true, nil, "NOERROR"},
		{"refused", true, func(p *primary) func(int, []byte, *dns.Msg) reaction { return p.says(dns.RcodeRefused, p.keys) }, "REFUSED"},
		{"a prerequisite", false, func(p *primary) func(int, []byte, *dns.Msg) reaction { return p.says(dns.RcodeYXDomain, nil) }, "YXDOMAIN"},
		{"the response is not signed", true, func(p *primary) func(int, []byte, *dns.Msg) reaction { return p.says(dns.RcodeSuccess, nil) }, "its response, NOERROR, is not signed"},
		{"it is signed by another secret", true, func(p *primary) func(int, []byte, *dns.Msg) reaction {
			return p.says(dns.RcodeSuccess, newKeyring(other))
		}, "its response, NOERROR, is not to be trusted: dns: bad signature"},
		{"it is of another ID", false, func(*primary) func(int, []byte, *dns.Msg) reaction { return otherID }, "it answers something else"},
		{"it is no response", false, func(*primary) func(int, []byte, *dns.Msg) reaction { return query }, "it answers something else"},
		{"it is no message", false, func(*primary) func(int, []byte, *dns.Msg) reaction {
			return func(int, []byte, *dns.Msg) reaction { return reaction{raw: []byte{1, 2, 3}} }
		}, "dns: short read"},
		{"it closes", false, func(*primary) func(int, []byte, *dns.Msg) reaction {
			return func(int, []byte, *dns.Msg) reaction { return reaction{closes: true} }
		}, "EOF"},
		{"the key is not known", true, func(p *primary) func(int, []byte, *dns.Msg) reaction {
			p.keys.clear()
			return p.answered
		}, "it does not know the key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPrimary(t, key)
			if tt.act != nil {
				p.act = tt.act(p)
			}
			g := gateTo(t, config.Gate{}, 8, p.addr)
			if tt.signed {
				g = signedGate(t, key, p.addr)
			}
			response, err := g.exchange(t.Context(), change(t, "pc1.ad.example. 60 A 192.0.2.7"))
			got := passed(response, err)
			if want := tt.want; err != nil && got != fmt.Sprintf("the primary %s: %s", p.addr, want) || err == nil && got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if n := len(p.received()); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

// TestGateConnections: one connection is used again, one that the primary closed meanwhile is not, and what
// may have been carried out is not sent again.
func TestGateConnections(t *testing.T) {
	p := newPrimary(t)
	p.act = func(n int, raw []byte, m *dns.Msg) reaction {
		r := p.answered(n, raw, m)
		switch n {
		case 1:
			r.closes = true
		case 3:
			return reaction{closes: true}
		}
		return r
	}
	g := gateTo(t, config.Gate{}, 8, p.addr)
	idle := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " connections wait"), func() bool {
			g.conns.mu.Lock()
			defer g.conns.mu.Unlock()
			return len(g.conns.idle[p.addr]) == n
		})
	}
	for i, want := range []struct {
		result string
		idle   int
	}{{"NOERROR", 1}, {"NOERROR", 0}, {"NOERROR", 1}, {"the primary " + p.addr.String() + ": EOF", 0}, {"NOERROR", 1}} {
		response, err := g.exchange(t.Context(), change(t, "pc1.ad.example. 60 A 192.0.2.7"))
		if got := passed(response, err); got != want.result {
			t.Errorf("update %d: %s, want %s", i, got, want.result)
		}
		idle(want.idle)
	}
	if n := len(p.received()); n != 5 {
		t.Errorf("%d updates came of 5", n)
	}
	g.close()
	idle(0)
	if response, err := g.exchange(t.Context(), change(t)); passed(response, err) != "NOERROR" {
		t.Errorf("what is under way when the gate closes: %v", err)
	}
	idle(0)
}

// TestGateConnectionDies: one that the primary closes in the moment in which it is taken is of no use.
func TestGateConnectionDies(t *testing.T) {
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

func TestGatePrimaries(t *testing.T) {
	dead, silent, well := deadAddr(t), newPrimary(t), newPrimary(t)
	silent.act = func(int, []byte, *dns.Msg) reaction { return reaction{} }

	g := gateTo(t, config.Gate{}, 8, dead, well.addr)
	for range 2 {
		if response, err := g.exchange(t.Context(), change(t)); passed(response, err) != "NOERROR" {
			t.Errorf("the first one is dead: %v", err)
		}
	}
	if got := g.conns.inOrder(g.Primary); got[0] != well.addr || len(got) != 2 {
		t.Errorf("tried in the order %v", got)
	}

	g = gateTo(t, config.Gate{}, 8, dead, deadAddr(t))
	_, err := g.exchange(t.Context(), change(t))
	if err == nil || !strings.HasPrefix(err.Error(), "no primary can be reached; "+dead.String()+": ") || strings.Count(err.Error(), "refused") != 2 {
		t.Errorf("all are dead: %v", err)
	}

	// What was sent to one is not sent to another.
	g = gateTo(t, config.Gate{}, 1, silent.addr, well.addr)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin, before := time.Now(), len(well.received())
	waits := make(chan error)
	go func() {
		_, err := g.exchange(ctx, change(t))
		waits <- err
	}()
	eventually(t, "it waits", func() bool { return len(silent.received()) == 1 })
	if _, err := g.exchange(t.Context(), change(t)); !errors.Is(err, errGateFull) {
		t.Errorf("one more than may wait: %v", err)
	}
	if err := <-waits; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) > 2*time.Second {
		t.Errorf("silence: %v after %s", err, time.Since(begin))
	}
	if n := len(well.received()) - before; n != 0 {
		t.Errorf("the second one got %d updates", n)
	}
}

// TestGateSilence: an update is given up in time, whatever its client has in mind.
func TestGateSilence(t *testing.T) {
	t.Parallel()
	p := newPrimary(t)
	p.act = func(int, []byte, *dns.Msg) reaction { return reaction{} }
	g, begin := gateTo(t, config.Gate{}, 8, p.addr), time.Now()
	if _, err := g.relay(t.Context(), packed(change(t))); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(begin); took < gateAnswer || took > gateAnswer+2*time.Second {
		t.Errorf("after %s", took)
	}
}

// agreeing gives a gate that agrees with primaries on keys, as fake as they are, and counts them.
func agreeing(t testing.TB, g *gate, p *primary, lifetime time.Duration) (count func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	g.agreed = &agreements{of: map[netip.AddrPort]*agreement{}, negotiate: func(context.Context, netip.AddrPort) (agreedKey, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		k := testKey(t, fmt.Sprintf("agreed-%d.", n))
		p.keys.put(k)
		return agreedKey{k.Name, k.Algorithm, time.Now().Add(lifetime), k.Provider()}, nil
	}}
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// TestGateAgrees: what was agreed on is used by all until it ends, and agreed on anew when the primary has
// forgotten it, once.
func TestGateAgrees(t *testing.T) {
	p := newPrimary(t)
	g := gateTo(t, config.Gate{}, 100, p.addr)
	count := agreeing(t, g, p, time.Hour)
	send := func(want string) {
		t.Helper()
		if got := passed(g.exchange(t.Context(), change(t))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { send("NOERROR") })
	}
	all.Wait()
	if count() != 1 || p.last().IsTsig().Hdr.Name != "agreed-1." {
		t.Errorf("%d keys, the last update is signed by %s", count(), p.last().IsTsig().Hdr.Name)
	}

	p.keys.clear()
	before := len(p.received())
	send("NOERROR")
	if n := len(p.received()) - before; count() != 2 || n != 2 {
		t.Errorf("%d keys, %d messages after the primary was started anew", count(), n)
	}

	p.act = func(n int, raw []byte, m *dns.Msg) reaction {
		p.keys.clear()
		return p.answered(n, raw, m)
	}
	before = len(p.received())
	send(fmt.Sprintf("the primary %s: it does not know the key", p.addr))
	if n := len(p.received()) - before; n != 2 {
		t.Errorf("a primary that knows no key gets an update %d times", n)
	}

	p.act = p.answered
	count = agreeing(t, g, p, renewBefore) // over in good time
	send("NOERROR")
	send("NOERROR")
	if count() != 2 {
		t.Errorf("%d keys, each for no longer than it takes", count())
	}
}

// TestGateDisagrees: a Kerberos server that is dead is asked once in a while, and the next primary is tried.
func TestGateDisagrees(t *testing.T) {
	first, second := newPrimary(t), newPrimary(t)
	g := gateTo(t, config.Gate{}, 8, first.addr, second.addr)
	count := agreeing(t, g, second, time.Hour)
	well, tries := g.agreed.negotiate, 0
	g.agreed.negotiate = func(ctx context.Context, addr netip.AddrPort) (agreedKey, error) {
		if addr == first.addr {
			tries++
			return agreedKey{}, errors.New("no KDC")
		}
		return well(ctx, addr)
	}
	for range 3 {
		if got := passed(g.exchange(t.Context(), change(t))); got != "NOERROR" {
			t.Error(got)
		}
	}
	if tries != 1 || count() != 1 || len(first.received()) != 0 {
		t.Errorf("%d tries, %d keys", tries, count())
	}
	g.Primary = g.Primary[:1]
	if got, want := passed(g.exchange(t.Context(), change(t))), fmt.Sprintf("no primary can be reached; %s: GSS-TSIG: no KDC", first.addr); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	g.agreed.of[first.addr] = &agreement{done: make(chan struct{})} // for ever under way
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := passed(g.exchange(ctx, change(t))); !strings.HasSuffix(got, "takes too long") {
		t.Error(got)
	}
}

func TestGateRelay(t *testing.T) {
	key := testKey(t, "client.")
	p := newPrimary(t, key)
	g := gateTo(t, config.Gate{}, 8, p.addr)
	raw, mac, err := dns.TsigGenerateWithProvider(change(t, "pc1.ad.example. 60 A 192.0.2.7").SetTsig("client.", dns.HmacSHA256, 300, time.Now().Unix()), key.Provider(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	response, err := g.relay(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := dns.TsigVerifyWithProvider(response, key.Provider(), mac, false); err != nil {
		t.Errorf("the client cannot verify the primary's response: %v", err)
	}
	for what, act := range map[string]func(int, []byte, *dns.Msg) reaction{
		"another ID": func(_ int, raw []byte, _ *dns.Msg) reaction {
			return reaction{raw: append([]byte{raw[0], ^raw[1], 0xa8}, raw[3:]...)}
		},
		"no response": func(_ int, raw []byte, _ *dns.Msg) reaction { return reaction{raw: raw} },
		"another opcode": func(_ int, raw []byte, _ *dns.Msg) reaction {
			return reaction{raw: append([]byte{raw[0], raw[1], 0x80}, raw[3:]...)}
		},
		"no message": func(int, []byte, *dns.Msg) reaction { return reaction{raw: []byte{raw[0], raw[1], 0xa8}} },
	} {
		p.act = act
		if _, err := g.relay(t.Context(), raw); err == nil || !strings.HasSuffix(err.Error(), "it answers something else") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
