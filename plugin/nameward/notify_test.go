package nameward

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push"
)

// fakeSecondary hears NOTIFYs on loopback, and refuses to answer queries.
type fakeSecondary struct {
	addr   netip.AddrPort
	heard  chan *dns.Msg
	silent atomic.Bool
}

func newFake(t *testing.T) *fakeSecondary {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSecondary{addr: netip.MustParseAddrPort(conn.LocalAddr().String()), heard: make(chan *dns.Msg, 4096)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, dns.DefaultMsgSize); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			f.take(t, conn, from, buf[:n])
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return f
}

func (f *fakeSecondary) take(t *testing.T, conn net.PacketConn, from net.Addr, wire []byte) {
	m, rcode := new(dns.Msg), dns.RcodeRefused
	if err := m.Unpack(wire); err != nil {
		t.Error(err)
		return
	}
	if m.Opcode == dns.OpcodeNotify {
		f.heard <- m
		rcode = dns.RcodeSuccess
	}
	if f.silent.Load() {
		return
	}
	if reply, err := new(dns.Msg).SetRcode(m, rcode).Pack(); err == nil {
		conn.WriteTo(reply, from)
	}
}

// next is the next NOTIFY as "zone serial".
func (f *fakeSecondary) next(t *testing.T) string {
	t.Helper()
	select {
	case m := <-f.heard:
		return fmt.Sprint(m.Question[0].Name, " ", m.Answer[0].(*dns.SOA).Serial)
	case <-time.After(30 * time.Second):
		t.Fatalf("%s is not told", f.addr)
		return ""
	}
}

// notifying is a configuration file whose zone corp.example. has something in notify.
func notifying(t *testing.T, secondaries string) string {
	t.Helper()
	path := writeConfig(t, "")
	write(t, path, strings.Replace(readText(t, path), "{name: corp.example.,", "{name: corp.example., notify: ["+secondaries+"],", 1))
	return path
}

// TestNotifyOfGuard: a secondary is told of every change; a dead one does not delay the end.
func TestNotifyOfGuard(t *testing.T) {
	f := newFake(t)
	g := startGuard(t, notifying(t, fmt.Sprintf("{address: %q, name: dr}", f.addr)))
	for _, node := range []string{"", "ex2", "ex1"} {
		if node != "" {
			claim(t, g.reg, "mailbox", node)
		}
		if got, want := f.next(t), fmt.Sprint("corp.example. ", serialOf(t, g, "corp.example.")); got != want {
			t.Errorf("told of %s, want %s", got, want)
		}
	}
	var row push.Delivery
	eventually(t, "the ledger says that it cannot be verified", func() bool {
		row, _ = g.push.Ledger.Row("dr", "mailbox")
		return strings.Contains(row.Why, "refuses to be asked about corp.example.")
	})
	if row.Acked.IsZero() {
		t.Errorf("it is not acknowledged: %+v", row)
	}
	f.silent.Store(true)
	claim(t, g.reg, "mailbox", "ex2")
	f.next(t)
	begin := time.Now()
	closeGuard(t, g)
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("the end takes %s", d)
	}
}

// TestNotifyKeys: NOTIFY is signed with the key of the file; a file without one is a mistake of the configuration.
func TestNotifyKeys(t *testing.T) {
	f, file := newFake(t), filepath.Join(t.TempDir(), "notify.key")
	path := notifying(t, fmt.Sprintf("{address: %q, key: %q}", f.addr, file))
	key := func(name string) { write(t, file, "hmac-sha256:"+name+":c2VjcmV0") }
	signedBy := func() string {
		m := <-f.heard
		if s := m.IsTsig(); s != nil {
			return s.Hdr.Name
		}
		return "nobody"
	}
	wrong := func(err error) {
		t.Helper()
		if err == nil || !strings.HasPrefix(err.Error(), path+":") || !strings.Contains(err.Error(), file) {
			t.Errorf("a key that is none: %v", err)
		}
	}
	_, err := Load(path)
	wrong(err)
	key("first.")
	g := startGuard(t, path)
	if got := signedBy(); got != "first." {
		t.Errorf("signed by %s", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wrong(g.Reload())
	claim(t, g.reg, "mailbox", "ex2")
	for want := fmt.Sprint("corp.example. ", serialOf(t, g, "corp.example.")); ; {
		m := <-f.heard
		if fmt.Sprint("corp.example. ", m.Answer[0].(*dns.SOA).Serial) == want {
			if s := m.IsTsig(); s == nil || s.Hdr.Name != "first." {
				t.Errorf("after a bad reload: %v", s)
			}
			break
		}
	}
	key("second.")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	// Its responses are not signed, so that it is told again and again.
	for deadline := time.After(30 * time.Second); signedBy() != "second."; {
		select {
		case <-deadline:
			t.Fatal("the new key is not used")
		default:
		}
	}
}
