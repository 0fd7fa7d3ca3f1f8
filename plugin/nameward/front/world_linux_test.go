package front

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/multisocket"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	_ "github.com/coredns/coredns/plugin/shed"
	"github.com/coredns/coredns/plugin/transfer"
	_ "github.com/coredns/coredns/plugin/tsig"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"
)

func init() {
	caddy.Quiet, dnsserver.Quiet = true, true
	clog.Discard()
	dnsserver.Directives = []string{"bind", "multisocket", "tsig", "transfer", "echo", "plain", "shed"}
	plugin.Register("echo", setupEcho)
	plugin.Register("plain", func(c *caddy.Controller) error {
		c.Next()
		dnsserver.GetConfig(c).AllowOpcode(dns.OpcodeUpdate)
		dnsserver.GetConfig(c).AddPlugin(func(plugin.Handler) plugin.Handler { return echo{} })
		return nil
	})
}

// world is what the echo plugin works with: what stands for the guard, which outlives reloads.
type world struct {
	*Front
	mu     sync.Mutex
	latest any
	end    func()
	broken atomic.Bool // the next instance fails to start
	seen   [2][3][2]atomic.Uint64
}

var current atomic.Pointer[world]

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Front: New(zerolog.New(zerolog.NewTestWriter(t)))}
	current.Store(w)
	return w
}

func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var task sync.WaitGroup
	task.Go(func() { _ = w.Run(ctx) })
	w.end = sync.OnceFunc(func() {
		cancel()
		task.Wait()
	})
}

// setupEcho wires the front as doc.go says.
func setupEcho(c *caddy.Controller) error {
	c.Next()
	w, owner, cfg := current.Load(), c.Context(), dnsserver.GetConfig(c)
	Watch(cfg, func(s *dnsserver.Server) { w.SetServer(owner, s) })
	cfg.AllowOpcode(dns.OpcodeUpdate)
	c.OnStartup(func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.latest == nil {
			w.run()
		}
		w.latest = owner
		var addrs []string
		for _, host := range cfg.ListenHosts {
			addrs = append(addrs, net.JoinHostPort(host, cfg.Port))
		}
		if err := w.Listen(owner, addrs); err != nil {
			return err
		}
		if w.broken.Load() {
			return fmt.Errorf("broken on purpose")
		}
		return nil
	})
	c.OnRestartFailed(func() error {
		w.mu.Lock()
		w.latest = owner
		w.mu.Unlock()
		w.Only(owner)
		return nil
	})
	c.OnShutdown(func() error {
		w.mu.Lock()
		latest := w.latest
		w.mu.Unlock()
		if latest != owner {
			w.Only(latest)
		}
		return nil
	})
	cfg.AddPlugin(func(plugin.Handler) plugin.Handler { return echo{w} })
	return nil
}

// echo answers with what it sees, and signs what came signed if no other plugin does.
type echo struct{ w *world }

func (echo) Name() string { return "echo" }

func (e echo) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	req, raw := From(ctx)
	if e.w != nil {
		e.w.cell(w.RemoteAddr().Network(), kindOf(r), raw).Add(1)
	}
	if r.Question[0].Name == "panic.example." {
		panic("on purpose")
	}
	m := new(dns.Msg).SetReply(r)
	m.Answer = []dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET},
		Txt: []string{fmt.Sprintf("raw=%v status=%v", raw, w.TsigStatus())},
	}}
	if raw {
		var again dns.Msg
		if err := again.Unpack(req.Raw); err != nil || again.Id != r.Id || req.Status != w.TsigStatus() {
			m.Rcode = dns.RcodeServerFailure
		}
	}
	if t := r.IsTsig(); t != nil {
		m.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix())
		if w.TsigStatus() != nil {
			m.IsTsig().Error = dns.RcodeBadKey
		}
	}
	return 0, w.WriteMsg(m)
}

// Transfer implements transfer.Transferer: a zone of more than one message.
func (e echo) Transfer(zone string, _ uint32) (<-chan []dns.RR, error) {
	ch := make(chan []dns.RR)
	soa, _ := dns.NewRR(zone + " 60 IN SOA ns.example. host.example. 2 60 60 60 60")
	go func() {
		defer close(ch)
		ch <- []dns.RR{soa}
		for i := range zoneSize {
			rr, _ := dns.NewRR(fmt.Sprintf("host%d.%s 60 IN A 192.0.2.%d", i, zone, i%250))
			ch <- []dns.RR{rr}
		}
		ch <- []dns.RR{soa}
	}()
	return ch, nil
}

const zoneSize = 10000

var _ transfer.Transferer = echo{}

func kindOf(r *dns.Msg) string {
	switch {
	case r.Opcode == dns.OpcodeUpdate:
		return "update"
	case r.Question[0].Qtype == dns.TypeTKEY:
		return "tkey"
	}
	return "query"
}

func (w *world) cell(network, kind string, raw bool) *atomic.Uint64 {
	return &w.seen[slices.Index(Networks[:], network)][slices.Index(kinds, kind)][map[bool]int{true: 1}[raw]]
}

var kinds = []string{"update", "tkey", "query"}

// start starts CoreDNS and waits until the addresses are steered.
func (w *world) start(t testing.TB, corefile string, addrs ...string) *caddy.Instance {
	t.Helper()
	i := launch(t, corefile)
	t.Cleanup(func() {
		for _, running := range caddy.Instances() {
			running.ShutdownCallbacks()
			_ = running.Stop()
		}
		if w.end != nil {
			w.end()
		}
	})
	w.awaitSteered(t, addrs...)
	return i
}

func launch(t testing.TB, corefile string) *caddy.Instance {
	t.Helper()
	i, err := caddy.Start(input(corefile))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func input(corefile string) caddy.Input {
	return caddy.CaddyfileInput{Filepath: "Corefile", Contents: []byte(corefile), ServerTypeName: "dns"}
}

func (w *world) awaitSteered(t testing.TB, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		eventually(t, addr+" is steered", func() bool { return w.Steers(addr) })
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

func query(qtype uint16) *dns.Msg { return new(dns.Msg).SetQuestion("www.corp.example.", qtype) }

func update() *dns.Msg { return updateOf(1) }

// updateOf inserts n addresses. CoreDNS itself reads no more than 512 octets: 10 or so.
func updateOf(n int) *dns.Msg {
	m := new(dns.Msg).SetUpdate("corp.example.")
	for i := range n {
		rr, _ := dns.NewRR(fmt.Sprintf("host%d.corp.example. 60 IN A 192.0.2.%d", i, i%250))
		m.Insert([]dns.RR{rr})
	}
	return m
}

func tkey() *dns.Msg {
	m := new(dns.Msg).SetQuestion("1234.sig-ns.corp.example.", dns.TypeTKEY)
	m.Extra = []dns.RR{&dns.TKEY{
		Hdr:       dns.RR_Header{Name: "1234.sig-ns.corp.example.", Rrtype: dns.TypeTKEY, Class: dns.ClassANY},
		Algorithm: "gss-tsig.", Mode: 3, KeySize: 4, Key: "01020304",
	}}
	return m
}

func ask(t testing.TB, network, addr string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 5 * time.Second}
	reply, _, err := c.Exchange(m, addr)
	if err != nil {
		t.Fatalf("%s over %s to %s: %v", kindOf(m), network, addr, err)
	}
	return reply
}

// said is what the echo plugin answered.
func said(m *dns.Msg) string {
	if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		return dns.RcodeToString[m.Rcode]
	}
	return m.Answer[0].(*dns.TXT).Txt[0]
}
