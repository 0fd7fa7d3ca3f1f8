package nbns

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/registry/store/journal"
)

// tally is a sink that counts.
type tally struct{ left chan struct{} }

func (k tally) Answer(*wins.Request, wins.Answer) { <-k.left }
func (tally) Flush()                              {}

// BenchmarkClaim is a refresh from packet to answer, with 256 outstanding, without socket and disk.
func BenchmarkClaim(b *testing.B) {
	for _, records := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			s := newServer(newRegistry(b))
			set := wins.Settings{Timers: wins.DefaultTimers, Limits: wins.DefaultLimits}
			set.Limits.PerAddress = records
			db, err := wins.Open(&journal.Memory{}, set, everybody{s}, nil, zerolog.Nop())
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				db.Run(ctx)
			}()
			defer func() {
				cancel()
				<-done
			}()
			packets := make([][]byte, records)
			own := netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr("203.0.113.1")}
			for i := range packets {
				name, _ := netbios.NewName(fmt.Sprintf("R%d", i), 0x20, "")
				packets[i] = encode(b, netbios.NewRefresh(uint16(i), name, 300000, own))
			}
			sink := tally{make(chan struct{}, 256)}
			run := func(n int) {
				for i := range n {
					h, c, err := netbios.ParseClaim(packets[i*7919%records])
					if err != nil {
						b.Fatal(err)
					}
					sink.left <- struct{}{}
					r := &claimed{Request: wins.Request{
						Op: opOf(h.Opcode), ID: h.ID, Name: c.Name, TTL: c.TTL, Addrs: c.Addrs, To: sink, Source: netip.AddrPortFrom(own.Addr, 137),
					}}
					if a := db.Submit(&r.Request); a.Outcome != wins.Waiting {
						b.Fatal(a.Outcome)
					}
				}
				for range 256 {
					sink.left <- struct{}{}
				}
				for range 256 {
					<-sink.left
				}
			}
			run(records)
			b.ReportAllocs()
			b.ResetTimer()
			run(b.N)
		})
	}
}
