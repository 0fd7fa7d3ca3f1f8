package front

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin/pkg/reuseport"
	"github.com/miekg/dns"
	"golang.org/x/net/bpf"

	"github.com/nameward/nameward/registry/servetest"
)

// BenchmarkQueries is CoreDNS's own path, without and with the front beside it.
func BenchmarkQueries(b *testing.B) {
	for _, plugin := range []string{"plain", "echo"} {
		b.Run(plugin, func(b *testing.B) {
			addr := startBench(b, plugin)
			exchange(b, "udp", addr, pack(b, query(dns.TypeA)))
		})
	}
}

// BenchmarkUpdates is a round trip over the front, with no work behind it.
func BenchmarkUpdates(b *testing.B) {
	for _, network := range Networks {
		b.Run(network, func(b *testing.B) {
			addr := startBench(b, "echo")
			exchange(b, network, addr, pack(b, update()))
		})
	}
}

// BenchmarkSaturation has dnsperf ask as fast as CoreDNS answers; one operation is a second of it.
func BenchmarkSaturation(b *testing.B) {
	dnsperf, err := exec.LookPath("dnsperf")
	if err != nil {
		b.Skip("dnsperf is not installed")
	}
	names := filepath.Join(b.TempDir(), "names")
	if err := os.WriteFile(names, []byte("www.corp.example. A\nmail.dept.corp.example. A\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, plugin := range []string{"plain", "echo"} {
		b.Run(plugin, func(b *testing.B) {
			host, port, _ := net.SplitHostPort(startBench(b, plugin))
			out, err := exec.Command(dnsperf, "-s", host, "-p", port, "-d", names, "-l", fmt.Sprint(b.N), "-c", "4", "-e").Output()
			if err != nil {
				b.Fatal(err)
			}
			for line := range strings.Lines(string(out)) {
				var qps float64
				if n, _ := fmt.Sscanf(strings.TrimSpace(line), "Queries per second: %f", &qps); n == 1 {
					b.ReportMetric(qps, "queries/s")
				}
			}
		})
	}
}

func startBench(b *testing.B, plugin string) string {
	w, port := newWorld(b), servetest.FreePort(b)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	var steered []string
	if plugin == "echo" {
		steered = []string{addr}
	}
	w.start(b, fmt.Sprintf(".:%d {\nbind 127.0.0.1\n%s\n}", port, plugin), steered...)
	return addr
}

func exchange(b *testing.B, network, addr string, raw []byte) {
	if network == "tcp" {
		raw = frame(raw)
	}
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial(network, addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		in := &dns.Conn{Conn: c, UDPSize: 4096}
		buf := make([]byte, 4096)
		for pb.Next() {
			if _, err := c.Write(raw); err != nil {
				b.Error(err)
				return
			}
			if _, err := in.Read(buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkPrograms is what a query costs the kernel on its way into a socket that is full: the
// difference to no program is the price that every query of CoreDNS pays.
func BenchmarkPrograms(b *testing.B) {
	raw := pack(b, new(dns.Msg).SetQuestion("www.dept.corp.example.", dns.TypeA).SetEdns0(1232, false))
	for _, tt := range []struct {
		name    string
		program []bpf.Instruction
	}{{"none", nil}, {"leave", leave(1, 1)}, {"take", takeUDP(1, 1)}, {"take, of four", takeUDP(1, 4)}} {
		b.Run(tt.name, func(b *testing.B) {
			p, err := reuseport.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			if tt.program != nil {
				if err := attach(p.(*net.UDPConn), tt.program); err != nil {
					b.Fatal(err)
				}
			}
			c, err := net.Dial("udp", p.LocalAddr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			for b.Loop() {
				if _, err := c.Write(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
