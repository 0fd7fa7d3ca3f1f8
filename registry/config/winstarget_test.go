package config

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

func TestWINSTarget(t *testing.T) {
	const file = "clusters: [{name: c, nodes: {a: {public: [192.0.2.1]}}}]\npush: {targets: [{name: w, wins: %s}]}\n"
	server := netip.MustParseAddrPort("192.0.2.42:137")
	for _, tt := range []struct {
		text string
		want WINSTarget
	}{
		{"{server: 192.0.2.42}", WINSTarget{server, netbios.HNode, 6 * 24 * time.Hour, false}},
		{"{server: 192.0.2.42, node_type: p, addresses: all, ttl: 1h}", WINSTarget{server, netbios.PNode, time.Hour, true}},
		{"{server: \"192.0.2.42:1137\", node_type: m, addresses: first}", WINSTarget{netip.AddrPortFrom(server.Addr(), 1137), netbios.MNode, 6 * 24 * time.Hour, false}},
	} {
		c, err := Parse("nameward.yaml", fmt.Appendf(nil, file, tt.text))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Push.Targets[0]; *got.WINS != tt.want || got.Kind() != "wins" {
			t.Errorf("%s: %+v of kind %s, want %+v", tt.text, *got.WINS, got.Kind(), tt.want)
		}
	}
}
