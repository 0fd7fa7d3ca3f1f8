package nbns

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
)

// forceReceiveBuffer makes a receive buffer of 8 MiB, or returns false for want of privilege.
func forceReceiveBuffer(raw syscall.RawConn) (ok bool) {
	raw.Control(func(fd uintptr) {
		ok = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) == nil
	})
	return ok
}

// TestSourceAddress: a reply comes from the address that was asked, or clients ignore it.
func TestSourceAddress(t *testing.T) {
	s := newServer(newRegistry(t))
	at, _ := startServer(t, s, ListenConfig{Addr: netip.MustParseAddrPort("0.0.0.0:0")})
	only, _ := startServer(t, s, ListenConfig{
		Addr: netip.MustParseAddrPort("0.0.0.0:0"), Local: []netip.Addr{netip.MustParseAddr("127.0.0.2")},
	})
	c := Client{UnicastTries: 1, UnicastTimeout: 200 * time.Millisecond}
	for _, tt := range []struct {
		server string
		port   uint16
		ok     bool
	}{
		{"127.0.0.1", at.Port(), true}, {"127.0.0.2", at.Port(), true}, {"127.0.0.77", at.Port(), true},
		{"127.0.0.2", only.Port(), true}, {"127.0.0.1", only.Port(), false},
	} {
		asked := netip.AddrPortFrom(netip.MustParseAddr(tt.server), tt.port)
		r, err := c.Query(t.Context(), asked, mail)
		if (err == nil) != tt.ok || tt.ok && r.From != asked {
			t.Errorf("%v: %+v, %v", asked, r, err)
		}
	}
	if got := s.Counters.Get(Silent); got != 1 {
		t.Errorf("%d packets for others", got)
	}
	if got := c.Ignored(); got != (Ignored{}) {
		t.Errorf("replies from other addresses: %+v", got)
	}
}

func TestForwardedReplySourceAddress(t *testing.T) {
	wins, _ := upstream(t, func(m netbios.Message) netbios.Message {
		return netbios.NewPositiveQuery(m.ID, m.Questions[0].Name, 300, outside)
	})
	at, _ := startServer(t, forwarding(t, wins), ListenConfig{Addr: netip.MustParseAddrPort("0.0.0.0:0")})
	asked := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), at.Port())
	if r, err := (&Client{}).Query(t.Context(), asked, netbios.MustParseName("OTHER<20>")); err != nil || r.From != asked {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestParsePacketInfo(t *testing.T) {
	oob := sourceOOB()
	binary.NativeEndian.PutUint32(oob[cmsgData:], 3)
	setSource(oob, netip.MustParseAddr("192.0.2.1"))
	copy(oob[offAddr:], []byte{192, 0, 2, 255})
	want := packetInfo{3, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.255")}
	if got := parsePacketInfo(oob); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	none := netip.IPv4Unspecified()
	for n := range cmsgData + unix.SizeofInet4Pktinfo {
		if got := parsePacketInfo(oob[:n]); got != (packetInfo{0, none, none}) {
			t.Errorf("%d octets: %+v", n, got)
		}
	}
}

// TestBroadcasts needs a network of its own: two interfaces, of which one is to be heard. The test
// binary runs again inside a new network namespace, which goes away with it.
func TestBroadcasts(t *testing.T) {
	if os.Getenv("NAMEWARD_TEST_NETNS") == "" {
		inNamespace(t)
		return
	}
	s := newServer(newRegistry(t))
	at, _ := startServer(t, s, ListenConfig{Addr: netip.MustParseAddrPort("0.0.0.0:0"), Broadcast: []string{"nwD-a"}})
	c := Client{BroadcastTries: 1, BroadcastTimeout: 200 * time.Millisecond, UnicastTries: 1, UnicastTimeout: 200 * time.Millisecond}
	other := netbios.MustParseName("OTHER<20>")
	for _, tt := range []struct {
		to     string
		name   netbios.Name
		answer string // whose address the reply comes from
	}{
		{"192.0.2.255", mail, "192.0.2.1"},
		{"192.0.2.255", other, ""},
		{"198.51.100.255", mail, ""},
	} {
		got, err := c.QueryBroadcast(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(tt.to), at.Port()), tt.name)
		switch {
		case tt.answer == "" && err == nil:
			t.Errorf("%s to %s is answered: %+v", tt.name, tt.to, got)
		case tt.answer != "" && (err != nil || got[0].From.Addr().String() != tt.answer):
			t.Errorf("%s to %s: %+v, %v", tt.name, tt.to, got, err)
		}
	}
	for _, addr := range []string{"192.0.2.1", "198.51.100.1"} {
		asked := netip.AddrPortFrom(netip.MustParseAddr(addr), at.Port())
		if r, err := c.Query(t.Context(), asked, mail); err != nil || r.From != asked {
			t.Errorf("unicast to %s: %+v, %v", addr, r, err)
		}
	}
	// A broadcast address without the B flag is a broadcast all the same.
	conn, err := net.ListenPacket("udp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	silent := s.Counters.Get(Silent)
	conn.WriteTo(encode(t, query("OTHER<20>")), net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.255"), at.Port())))
	for deadline := time.Now().Add(5 * time.Second); s.Counters.Get(Silent) == silent; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a broadcast without B flag got an answer or none came")
		}
	}
}

// inNamespace runs this test again in a network namespace nwD-* with two dummy interfaces.
func inNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	ip, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("no ip(8)")
	}
	name := "nwD-" + filepath.Base(t.TempDir()) + "-" + time.Now().Format("150405.000000")
	if out, err := exec.Command(ip, "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(ip, "netns", "delete", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	for _, args := range []string{
		"link set lo up",
		"link add nwD-a type veth peer name nwD-a2", "link add nwD-b type veth peer name nwD-b2",
		"addr add 192.0.2.1/24 brd + dev nwD-a", "addr add 198.51.100.1/24 brd + dev nwD-b",
		"link set nwD-a up", "link set nwD-a2 up", "link set nwD-b up", "link set nwD-b2 up",
	} {
		cmd := exec.Command(ip, append([]string{"-n", name}, strings.Fields(args)...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	cmd := exec.Command(ip, "netns", "exec", name, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "NAMEWARD_TEST_NETNS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestSmallBuffer(t *testing.T) {
	sock, err := Listen(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if err := sock.udp.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if got := sock.SmallBuffer(); got < 1024 || got >= receiveBuffer {
		t.Errorf("a buffer of 4096 octets is one of %d", got)
	}
	enlarge(sock.udp, sock.raw)
	if got := sock.SmallBuffer(); got != 0 && os.Getuid() == 0 {
		t.Errorf("the buffer has %d octets, and root gets any", got)
	}
}
