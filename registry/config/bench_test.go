package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// manyRoles is a configuration with n roles of one DNS name and one NetBIOS name each.
func manyRoles(n int) []byte {
	var b strings.Builder
	b.WriteString("clusters:\n  - name: c\n    nodes:\n" +
		"      ex1: {public: [192.0.2.11], management: [10.9.0.11]}\n" +
		"      ex2: {public: [198.51.100.12], management: [10.9.0.12]}\n    roles:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - {name: r%06d, dns: [r%06[1]d.corp.example.], netbios: [R%06[1]d]}\n", i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := manyRoles(n)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var c *Config
			var err error
			for b.Loop() {
				if c, err = Parse("nameward.yaml", data); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/(1<<20), "MB-kept")
			runtime.KeepAlive(c)
			runtime.KeepAlive(data)
		})
	}
}
