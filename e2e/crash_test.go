//go:build linux

package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestKillDuringSwitches ends the process as a power cut of the program would, in the middle of
// switches, and looks at what the next one knows.
func TestKillDuringSwitches(t *testing.T) {
	t.Parallel()
	const rounds = 25
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.nameward(t, circle())
	acked, serial, inFlight := uint64(1), uint32(0), 0
	var down []time.Duration
	for round := range rounds {
		a := client.asker(t, guardAddr)
		a.patience = 50 * time.Millisecond // a question that dies with the process is no matter here
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			time.Sleep(time.Duration(rand.IntN(40_000)) * time.Microsecond)
			n.kill()
		}()
		for {
			epoch, err := n.move("service", holderOf(acked+1))
			if err != nil {
				break
			}
			if acked++; epoch != acked {
				t.Fatalf("round %d: epoch %d after %d", round, epoch, acked-1)
			}
			if got, err := a.exchange("corp.example.", dns.TypeSOA); err == nil {
				serial = later(t, serial, serialIn(t, got))
			}
		}
		<-killed
		begin := time.Now()
		n.up(t)
		down = append(down, time.Since(begin))
		r := n.role(t, "service")
		switch r.Epoch {
		case acked:
		case acked + 1:
			inFlight++
		default:
			t.Fatalf("round %d: epoch %d after the restart, acknowledged was %d", round, r.Epoch, acked)
		}
		acked = r.Epoch
		same(t, "holder after the restart", fmt.Sprint(r.Holder, r.State), fmt.Sprint([]string{holderOf(acked)}, "fresh"))
		a = client.asker(t, guardAddr)
		same(t, "answers after the restart", a.both("service.corp.example.", "SERVICE<20>"), addressOf(acked)+" | "+addressOf(acked))
		serial = later(t, serial, a.serial(t, "corp.example."))
	}
	t.Logf("%d rounds, epoch %d; %d times the switch in flight was durable; start to answering: %s", rounds, acked, inFlight, quantiles(down))
	if acked < rounds {
		t.Errorf("only %d switches in %d rounds: nothing was interrupted", acked, rounds)
	}
}

// later fails the test if a serial went backwards: RFC 1982, Section 3.2.
func later(t *testing.T, before, now uint32) uint32 {
	t.Helper()
	if before != 0 && int32(now-before) < 0 {
		t.Errorf("the serial went from %d to %d", before, now)
	}
	return now
}
