package nbns

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// startServer serves on a socket and returns its address and the function that ends it.
func startServer(t testing.TB, s *Server, cfg ListenConfig) (netip.AddrPort, func()) {
	t.Helper()
	sock, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, sock) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		sock.Close()
	}
	t.Cleanup(stop)
	return addrPort(sock.LocalAddr()), stop
}

var loopback = ListenConfig{Addr: netip.MustParseAddrPort("127.0.0.1:0")}

func TestServe(t *testing.T) {
	wins, _ := upstream(t, func(m netbios.Message) netbios.Message {
		return netbios.NewPositiveQuery(m.ID, m.Questions[0].Name, 300, outside)
	})
	s := forwarding(t, wins)
	at, stop := startServer(t, s, loopback)
	var c Client
	if r, err := c.Query(t.Context(), at, mail); err != nil || r.Addrs[0] != addr1 || r.TTL != 5*time.Second {
		t.Errorf("guarded: %+v, %v", r, err)
	}
	if r, err := c.Query(t.Context(), at, netbios.MustParseName("OTHER<20>")); err != nil || r.Addrs[0] != outside {
		t.Errorf("forwarded: %+v, %v", r, err)
	}
	if r, err := c.NodeStatus(t.Context(), at, star); err != nil || len(r.Status.Names) != 1 {
		t.Errorf("node status: %+v, %v", r, err)
	}
	var negative *NegativeError
	if _, err := c.Query(t.Context(), at, netbios.MustParseName("GONE<20>")); !errors.As(err, &negative) {
		t.Errorf("withdrawn: %v", err)
	}
	stop() // so that all is counted
	for o, want := range map[Outcome]uint64{Positive: 1, Forwarded: 1, NodeStatusShort: 1, Negative: 1} {
		if got := s.Counters.Get(o); got != want {
			t.Errorf("%v counted %d times, want %d", o, got, want)
		}
	}
}

func TestServeEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	s := newServer(newRegistry(t))
	set := *s.settings.Load()
	set.Forward = []netip.AddrPort{nobody(t)}
	s.Configure(set)
	_, stopOther := startServer(t, s, loopback)
	at, stop := startServer(t, s, loopback)
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.Write(encode(t, query("OTHER<20>")))
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		underWay := len(s.underWay)
		s.mu.Unlock()
		if underWay == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the query is not forwarded")
		}
	}
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > forwardTimeout {
		t.Errorf("ended after %v", took)
	}
	if len(s.underWay) != 0 {
		t.Errorf("%d forwarded queries are left", len(s.underWay))
	}
	stopOther()
	// The registry's goroutine is left.
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestServeEndsAlone: the end of one socket does not wait for what another one has under way.
func TestServeEndsAlone(t *testing.T) {
	s := forwarding(t, nobody(t))
	at, _ := startServer(t, s, loopback)
	_, stop := startServer(t, s, loopback)
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.Write(encode(t, query("OTHER<20>")))
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		underWay := len(s.underWay)
		s.mu.Unlock()
		if underWay == 1 || time.Now().After(deadline) {
			break
		}
	}
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > forwardTimeout/2 {
		t.Errorf("ended after %v", took)
	}
}

func TestServeClosedSocket(t *testing.T) {
	s := newServer(newRegistry(t))
	sock, err := Listen(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(t.Context(), sock) }()
	sock.Close()
	select {
	case err := <-done:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want %v", err, net.ErrClosed)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Serve goes on")
	}
}

func TestListenErrors(t *testing.T) {
	taken, _ := startServer(t, newServer(newRegistry(t)), loopback)
	for _, tt := range []struct {
		cfg  ListenConfig
		want string
	}{
		{ListenConfig{Addr: taken}, "listening for NetBIOS on " + taken.String()},
		{ListenConfig{Addr: netip.MustParseAddrPort("192.0.2.1:0")}, "listening for NetBIOS on 192.0.2.1:0"},
		{ListenConfig{Addr: loopback.Addr, Broadcast: []string{"none0"}}, `broadcasts of interface "none0"`},
	} {
		sock, err := Listen(t.Context(), tt.cfg)
		if err == nil {
			sock.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, want %q in it", tt.cfg, err, tt.want)
		}
	}
}

// TestBurst sends more at once than any batch or default buffer holds.
func TestBurst(t *testing.T) {
	const burst = 4096
	at, _ := startServer(t, newServer(newRegistry(t)), loopback)
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	raw, _ := client.SyscallConn()
	if !forceReceiveBuffer(raw) {
		t.Skip("no CAP_NET_ADMIN: the receive buffers are what the system allows")
	}
	request := encode(t, query("MAIL<20>"))
	for i := range burst {
		binary.BigEndian.PutUint16(request, uint16(i))
		if _, err := client.Write(request); err != nil {
			t.Fatal(err)
		}
	}
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	seen, buf := make([]bool, burst), make([]byte, netbios.MaxDatagram)
	for i := range burst {
		n, err := client.Read(buf)
		if err != nil {
			t.Fatalf("%d of %d are answered: %v", i, burst, err)
		}
		h, err := netbios.ParseHeader(buf[:n])
		if err != nil || int(h.ID) >= burst || seen[h.ID] {
			t.Fatalf("reply %x, %v", buf[:n], err)
		}
		seen[h.ID] = true
	}
}
