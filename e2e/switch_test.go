//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// manyNodes is how many nodes the role moves round. An answer tells its epoch modulo this.
const manyNodes = 50

// circle is a world with a role that visits many nodes in turn: epoch e is held by node (e-1) mod 50.
func circle() string {
	var b strings.Builder
	b.WriteString("classes: {management: [10.9.0.0/16]}\nclusters:\n  - name: big\n    nodes:\n")
	for i := range manyNodes {
		fmt.Fprintf(&b, "      n%d: {public: [198.51.100.%d], management: [10.9.0.%d]}\n", i, i+1, i+1)
	}
	b.WriteString(`    roles:
      - {name: service, dns: [service.corp.example.], netbios: [SERVICE], ttl: 1s, source: {operator: {initial: n0}}}
zones:
  - {name: corp.example., ns: {ns1.corp.example.: [192.0.2.53]}}
netbios: {name: GUARD1, listen: [{address: "192.0.2.53"}]}
`)
	return b.String()
}

func holderOf(epoch uint64) string  { return fmt.Sprintf("n%d", (epoch-1)%manyNodes) }
func addressOf(epoch uint64) string { return fmt.Sprintf("198.51.100.%d", (epoch-1)%manyNodes+1) }
func within(got string, lo, hi uint64) bool {
	for e := lo; e <= hi; e++ {
		if addressOf(e) == got {
			return true
		}
	}
	return false
}

// TestSwitchUnderLoad moves a role 10,000 times while others ask for it. An answer is right when it is
// of an epoch between the last one acknowledged before the question and the last one asked for when the
// answer came.
func TestSwitchUnderLoad(t *testing.T) {
	const switches = 10_000
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.nameward(t, circle())
	var asked, acked atomic.Uint64
	asked.Store(1)
	acked.Store(1)
	judge := func(ask func() string) func() string {
		return func() string {
			lo := acked.Load()
			got := ask()
			if hi := asked.Load(); !within(got, lo, hi) {
				if strings.HasPrefix(got, "198.51.100.") {
					return "an address of another epoch than the one acknowledged"
				}
				return got
			}
			return ""
		}
	}
	for range 2 {
		a := client.asker(t, guardAddr)
		load(t, "DNS", 200*time.Microsecond, judge(func() string { return a.a("service.corp.example.") }))
		load(t, "NetBIOS", 300*time.Microsecond, judge(func() string { return a.netbios("SERVICE<20>") }))
	}
	perf := client.dnsperf(t, 4000, "service.corp.example A", "corp.example SOA")

	direct := client.asker(t, guardAddr)
	var toAck, toDNS, toBoth []time.Duration
	start, wrong := time.Now(), 0
	for epoch := uint64(2); epoch < 2+switches && wrong < 10; epoch++ {
		asked.Store(epoch)
		begin := time.Now()
		got, err := n.move("service", holderOf(epoch))
		if err != nil || got != epoch {
			t.Fatalf("switch to epoch %d: epoch %d, %v", epoch, got, err)
		}
		acknowledged := time.Now()
		acked.Store(epoch)
		for i, ask := range []func() string{
			func() string { return direct.a("service.corp.example.") }, func() string { return direct.netbios("SERVICE<20>") },
		} {
			if got := ask(); got != addressOf(epoch) {
				wrong++
				t.Errorf("epoch %d is acknowledged, protocol %d answers %s, want %s", epoch, i, got, addressOf(epoch))
			}
			if i == 0 {
				toDNS = append(toDNS, time.Since(acknowledged))
			}
		}
		toAck, toBoth = append(toAck, acknowledged.Sub(begin)), append(toBoth, time.Since(acknowledged))
	}
	t.Logf("%d switches in %s", switches, time.Since(start).Round(time.Millisecond))
	t.Logf("command to acknowledgement: %s", quantiles(toAck))
	t.Logf("acknowledgement to a right DNS answer received: %s", quantiles(toDNS))
	t.Logf("acknowledgement to right DNS and NetBIOS answers received, one after the other: %s", quantiles(toBoth))
	perf.end(t)
	same(t, "state at the end", n.brief(t, "service"), fmt.Sprintf("fresh %s epoch %d", holderOf(switches+1), switches+1))
}

// quantiles says how durations are spread.
func quantiles(d []time.Duration) string {
	slices.Sort(d)
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(time.Microsecond) }
	return fmt.Sprintf("p50 %s, p99 %s, max %s", at(.5), at(.99), at(1))
}
