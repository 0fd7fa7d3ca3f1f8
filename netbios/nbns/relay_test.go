package nbns

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// relay passes packets on to a server and its answers back, while it is open.
func relay(t *testing.T, to netip.AddrPort, open *atomic.Bool) netip.AddrPort {
	t.Helper()
	front, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	t.Cleanup(func() {
		front.Close()
		tasks.Wait()
	})
	tasks.Go(func() {
		buf := make([]byte, maxRequest)
		for {
			n, from, err := front.ReadFrom(buf)
			if err != nil {
				return
			}
			if !open.Load() {
				continue
			}
			back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
			if err != nil {
				t.Error(err)
				return
			}
			back.Write(buf[:n])
			tasks.Go(func() {
				defer back.Close()
				answer := make([]byte, maxReply)
				// A WACK, and what comes after it.
				for range 2 {
					back.SetReadDeadline(time.Now().Add(time.Second))
					n, err := back.Read(answer)
					if err != nil {
						return
					}
					front.WriteTo(answer[:n], from)
				}
			})
		}
	})
	return addrPort(front.LocalAddr())
}
