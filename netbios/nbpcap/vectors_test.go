package nbpcap

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.hex of package netbios from the captures")

// captures returns the capture files of package netbios.
func captures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("../testdata/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	return paths
}

// TestVectors keeps the vectors that package netbios reads equal to the captures that they come from,
// for that package does without gopacket even in its tests.
func TestVectors(t *testing.T) {
	for _, path := range captures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			packets, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := vectors(packets)
			hexPath := strings.TrimSuffix(path, ".pcap") + ".hex"
			if *update {
				if err := os.WriteFile(hexPath, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(hexPath)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want {
				t.Errorf("%s does not have the packets of %s: run this test with -update", hexPath, path)
			}
		})
	}
}

// vectors returns one line for each packet: its number and its payload.
func vectors(packets []Packet) string {
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d %x\n", p.Number, p.Payload)
	}
	return b.String()
}
