package registry

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestReverseAddr(t *testing.T) {
	const six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
	for _, tt := range []struct{ name, want string }{
		{"11.2.0.192.in-addr.arpa.", "192.0.2.11"},
		{"11.2.0.192.IN-ADDR.ARPA.", "192.0.2.11"},
		{six, "2001:db8::1"},
		{strings.ToUpper(six), "2001:db8::1"},
		{"11.2.0.192.in-addr.arpa", ""},
		{"2.0.192.in-addr.arpa.", ""},
		{"1.11.2.0.192.in-addr.arpa.", ""},
		{"11.0/25.2.0.192.in-addr.arpa.", ""},
		{"011.2.0.192.in-addr.arpa.", ""},
		{"256.2.0.192.in-addr.arpa.", ""},
		{".2.0.192.in-addr.arpa.", ""},
		{"11.2.0.192in-addr.arpa.", ""},
		{six[2:], ""},
		{"0." + six, ""},
		{"g" + six[1:], ""},
		{"1-" + six[2:], ""},
		{"in-addr.arpa.", ""}, {"ip6.arpa.", ""}, {"", ""}, {".", ""},
	} {
		addr, ok := ReverseAddr(tt.name)
		if ok != (tt.want != "") || ok && addr.String() != tt.want {
			t.Errorf("%q: %v, %v, want %q", tt.name, addr, ok, tt.want)
		}
	}
}

// FuzzReverseAddr: a name that stands for an address is the name that is made of it.
func FuzzReverseAddr(f *testing.F) {
	f.Add("11.2.0.192.in-addr.arpa.")
	f.Add("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.")
	f.Fuzz(func(t *testing.T, name string) {
		addr, ok := ReverseAddr(name)
		if !ok || addr.Is4In6() { // those are IPv4 to package dns
			return
		}
		if back, err := dns.ReverseAddr(addr.String()); err != nil || back != strings.ToLower(name) {
			t.Errorf("%q stands for %v, which stands for %q, %v", name, addr, back, err)
		}
	})
}
