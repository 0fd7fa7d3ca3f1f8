package arp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push/pushtest"
)

var mac = net.HardwareAddr{2, 0, 0, 0, 0, 1}

func TestARPFrames(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.10")
	out := frames(mac, addr, false)
	if len(out) != 2 {
		t.Fatalf("%d frames", len(out))
	}
	for i, op := range []uint16{layers.ARPRequest, layers.ARPReply} {
		p := gopacket.NewPacket(out[i], layers.LayerTypeEthernet, gopacket.Default)
		eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		arp, _ := p.Layer(layers.LayerTypeARP).(*layers.ARP)
		if eth == nil || arp == nil {
			t.Fatal(p)
		}
		if eth.DstMAC.String() != "ff:ff:ff:ff:ff:ff" || eth.SrcMAC.String() != mac.String() || arp.Operation != op ||
			net.HardwareAddr(arp.SourceHwAddress).String() != mac.String() ||
			net.IP(arp.SourceProtAddress).String() != addr.String() || net.IP(arp.DstProtAddress).String() != addr.String() {
			t.Errorf("frame %d: %s", i, p)
		}
		// RFC 5227, Section 1.1: the target hardware address of a request is zero.
		if want := map[uint16]string{layers.ARPRequest: "00:00:00:00:00:00", layers.ARPReply: mac.String()}[op]; net.HardwareAddr(arp.DstHwAddress).String() != want {
			t.Errorf("frame %d has the target %s", i, net.HardwareAddr(arp.DstHwAddress))
		}
	}
}

func TestAdvertisement(t *testing.T) {
	addr := netip.MustParseAddr("2001:db8::10")
	for router, flags := range map[bool]uint8{false: 0x20, true: 0xa0} {
		out := frames(mac, addr, router)
		p := gopacket.NewPacket(out[0], layers.LayerTypeEthernet, gopacket.Default)
		eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		ip, _ := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		na, _ := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
		if len(out) != 1 || eth == nil || ip == nil || na == nil {
			t.Fatal(p)
		}
		if eth.DstMAC.String() != "33:33:00:00:00:01" || ip.HopLimit != 255 || ip.SrcIP.String() != addr.String() || ip.DstIP.String() != "ff02::1" ||
			na.Flags != flags || na.TargetAddress.String() != addr.String() || len(na.Options) != 1 ||
			na.Options[0].Type != layers.ICMPv6OptTargetAddress || net.HardwareAddr(na.Options[0].Data).String() != mac.String() {
			t.Errorf("router %t: %s", router, p)
		}
		if sum := checksum(out[0][14:]); sum != 0 {
			t.Errorf("checksum is off by %04x", sum)
		}
	}
}

// checksum is 0 for an IPv6 packet whose ICMPv6 checksum is right, RFC 8200, Section 8.1.
func checksum(ip []byte) uint16 {
	pseudo := append(slices.Clone(ip[8:40]), 0, 0, ip[4], ip[5], 0, 0, 0, 58)
	var sum uint32
	for b := append(pseudo, ip[40:]...); len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// wire is an interface that notes what is announced.
type wire struct {
	mu   sync.Mutex
	here []string // addresses that are configured
	bad  error    // what announce says
	sent []string
	open int
}

func (w *wire) has(addrs []netip.Addr) ([]error, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := make([]error, len(addrs))
	for i, a := range addrs {
		if !slices.Contains(w.here, a.String()) {
			errs[i] = fmt.Errorf("%s is not here", a)
		}
	}
	return errs, nil
}

func (w *wire) announce(a netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bad == nil {
		w.sent = append(w.sent, a.String())
	}
	return w.bad
}

func (w *wire) close() error { w.mu.Lock(); defer w.mu.Unlock(); w.open--; return nil }

func (w *wire) set(here ...string) { w.mu.Lock(); defer w.mu.Unlock(); w.here = here }

func (w *wire) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent
	w.sent = nil
	slices.Sort(out)
	return out
}

func driver(w *wire, node string) *Driver {
	return newDriver(&config.ARP{Interface: "eth0", Node: node}, func(string) (link, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.open++
		return w, nil
	})
}

func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := pushtest.Pair(t, 2, true)
		w := &wire{here: []string{"192.0.2.10", "2001:db8::10", "192.0.2.11"}}
		d := driver(w, "EX1")
		items := reg.Items()
		began := time.Now()
		d.Push(t.Context(), items)
		if got := pushtest.Stages(items); !slices.Equal(got, []string{"acked", "acked"}) || time.Since(began) > 0 {
			t.Errorf("%q after %s", got, time.Since(began))
		}
		want := []string{"192.0.2.10", "2001:db8::10"}
		for i := range rounds {
			if got := w.took(); !slices.Equal(got, want) {
				t.Errorf("round %d: %q", i, got)
			}
			time.Sleep(apart)
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		if got := w.took(); got != nil {
			t.Errorf("after all rounds: %q", got)
		}
		d.Push(t.Context(), items)
		w.took()
		w.set("2001:db8::10") // the other one has left meanwhile
		time.Sleep(apart)
		synctest.Wait()
		if got := w.took(); !slices.Equal(got, want[1:]) {
			t.Errorf("an address that has left: %q", got)
		}
		if err := d.Close(); err != nil || w.open != 0 {
			t.Errorf("%v, %d links are open", err, w.open)
		}
		time.Sleep(time.Hour)
		if got := w.took(); got != nil {
			t.Errorf("after Close: %q", got)
		}
	})
}

// TestPassive: a node that does not serve the role has nothing to say, one without the address fails, and so does one
// whose interface does.
func TestPassive(t *testing.T) {
	reg := pushtest.Pair(t, 1, true)
	w := &wire{here: []string{"192.0.2.10"}}
	items := reg.Items()
	role := items[0].Role
	if got := driver(w, "ex2").Content(nil, role); got != "" {
		t.Errorf("ex2 is passive and says %q", got)
	}
	driver(w, "ex2").Push(t.Context(), items)
	if got := w.took(); got != nil {
		t.Errorf("ex2 is passive and announces %q", got)
	}
	d := driver(w, "ex1")
	defer d.Close()
	items = reg.Items()
	d.Push(t.Context(), items)
	if got := pushtest.Stages(items)[0]; got != "failed: 2001:db8::10 is not here" {
		t.Errorf("got %q", got)
	}
	if got := w.took(); !slices.Equal(got, []string{"192.0.2.10"}) {
		t.Errorf("announced %q", got)
	}
	w.set("192.0.2.10", "2001:db8::10")
	w.bad = errors.New("the wire is cut")
	d.Push(t.Context(), items)
	if got := pushtest.Stages(items)[0]; got != "failed: the wire is cut" {
		t.Errorf("got %q", got)
	}
	own := pushtest.Pair(t, 1, false)
	if got := d.Content(nil, own.Items()[0].Role); got != "" {
		t.Errorf("addresses of one node only: %q", got)
	}
}

// TestContent: a role that came back is another delivery, although nothing was said here of its absence.
func TestContent(t *testing.T) {
	reg := pushtest.Pair(t, 1, true)
	d := driver(&wire{}, "ex1")
	before := d.Content(nil, reg.Items()[0].Role)
	reg.Switch("ex2")
	time.Sleep(time.Millisecond)
	reg.Switch("ex1")
	if after := d.Content(nil, reg.Items()[0].Role); before == after {
		t.Errorf("it went and came back and is still %q", after)
	}
}
