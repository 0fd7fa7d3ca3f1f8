package arp

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestOpenLink(t *testing.T) {
	for name, want := range map[string]string{"lo": "has no Ethernet address", "no-such-card": "no such network interface"} {
		if _, err := openLink(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConfigured asks the kernel: lo has what it has everywhere.
func TestConfigured(t *testing.T) {
	table, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		t.Skip(err)
	}
	have, err := configured(table, 1)
	if _, ok := have[netip.MustParseAddr("127.0.0.1")]; err != nil || !ok {
		t.Errorf("lo has %v, %v", have, err)
	}
	if have, err := configured(table, 1<<30); err != nil || len(have) != 0 {
		t.Errorf("an interface that is not there has %v, %v", have, err)
	}
}

func FuzzConfigured(f *testing.F) {
	if table, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC); err == nil {
		f.Add(table)
	}
	f.Fuzz(func(t *testing.T, table []byte) { _, _ = configured(table, 1) })
}
