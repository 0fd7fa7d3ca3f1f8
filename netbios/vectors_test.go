package netbios

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vectors returns the packets of testdata/NAME.hex, which package nbpcap writes from NAME.pcap: for each
// the number in the capture and the octets.
func vectors(t testing.TB, path string) (numbers []string, packets [][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		number, digits, _ := strings.Cut(lines.Text(), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: packet %s: %v", path, number, err)
		}
		numbers, packets = append(numbers, number), append(packets, b)
	}
	return numbers, packets
}

// captured tells how many packets of which form each capture has: nmbd is Samba's nmbd as a WINS
// server, s4 the name server of Samba's AD domain controller.
var captured = map[string]map[string]int{
	"nmbd-group-and-internet-group":        {"negative-query": 1, "negative-registration": 1, "positive-query": 3, "positive-registration": 8, "positive-release": 1, "query": 4, "registration": 10, "release": 1},
	"nmbd-impacket":                        {"negative-query": 1, "node-status-request": 2, "node-status-response": 2, "positive-query": 1, "positive-registration": 1, "query": 2, "registration": 1},
	"nmbd-multihomed-owner-lists-both":     {"multihomed": 1, "positive-query": 2, "positive-registration": 2, "query": 2, "registration": 1, "wack": 1},
	"nmbd-multihomed-owner-lists-old-only": {"multihomed": 1, "positive-query": 2, "positive-registration": 2, "query": 2, "registration": 1, "wack": 1},
	"nmbd-node-forged-conflict":            {"conflict-demand": 1, "negative-registration": 2, "negative-release": 1, "positive-query": 4, "query": 4, "registration": 3, "release": 1},
	"nmbd-node-status":                     {"node-status-request": 1, "node-status-response": 1},
	"nmbd-register-query-refresh-release":  {"negative-query": 2, "negative-release": 1, "positive-query": 1, "positive-registration": 2, "positive-release": 1, "query": 3, "refresh": 1, "registration": 1, "release": 2},
	"nmbd-tools":                           {"negative-query": 1, "node-status-request": 8, "node-status-response": 8, "positive-query": 4, "query": 4},
	"nmbd-wack-owner-denies":               {"negative-query": 1, "positive-query": 1, "positive-registration": 2, "query": 2, "registration": 2, "wack": 1},
	"nmbd-wack-owner-keeps":                {"negative-registration": 1, "positive-query": 2, "positive-registration": 1, "query": 2, "registration": 2, "wack": 1},
	"nmbd-wack-owner-silent":               {"positive-query": 1, "positive-registration": 2, "query": 5, "registration": 2, "wack": 1},
	"nmbd-wins-client-node-start-stop":     {"multihomed": 3, "negative-query": 1, "positive-query": 4, "positive-registration": 5, "positive-release": 5, "query": 4, "registration": 22, "release": 5},
	"s4-group-and-internet-group":          {"negative-query": 1, "negative-registration": 4, "positive-query": 3, "positive-registration": 5, "positive-release": 1, "query": 4, "registration": 9, "release": 1},
	"s4-multihomed-owner-lists-both":       {"multihomed": 1, "positive-query": 2, "positive-registration": 2, "query": 2, "registration": 1, "wack": 1},
	"s4-multihomed-owner-lists-old-only":   {"multihomed": 1, "negative-registration": 1, "positive-query": 2, "positive-registration": 1, "query": 2, "registration": 1, "wack": 1},
	"s4-node-status":                       {"node-status-request": 1, "node-status-response": 1},
	"s4-register-query-refresh-release":    {"negative-query": 2, "positive-query": 1, "positive-registration": 2, "positive-release": 2, "query": 3, "refresh": 1, "registration": 1, "release": 2},
	"s4-tools":                             {"negative-query": 2, "node-status-request": 10, "node-status-response": 9, "positive-query": 4, "positive-registration": 1, "query": 6, "registration": 1},
	"s4-wack-owner-denies":                 {"negative-query": 1, "positive-query": 1, "positive-registration": 2, "query": 2, "registration": 2, "wack": 1},
	"s4-wack-owner-keeps":                  {"negative-registration": 1, "positive-query": 2, "positive-registration": 1, "query": 2, "registration": 2, "wack": 1},
	"s4-wack-owner-silent":                 {"positive-query": 1, "positive-registration": 2, "query": 4, "registration": 2, "wack": 1},
	"s4-wins-client-node-start-stop":       {"multihomed": 3, "negative-query": 1, "positive-query": 2, "positive-registration": 5, "positive-release": 5, "query": 7, "registration": 22, "release": 5},
}

// uncompressed are the packets whose additional record spells the name out again, as impacket sends
// them; they come out shorter.
var uncompressed = map[string]string{"nmbd-impacket": "9", "s4-tools": "32"}

func TestCaptures(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(paths) != len(captured) {
		t.Fatalf("%d files of vectors (%v), want %d", len(paths), err, len(captured))
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".hex")
		t.Run(name, func(t *testing.T) {
			got := map[string]int{}
			numbers, packets := vectors(t, path)
			for i, b := range packets {
				m, err := Parse(b)
				if err != nil {
					t.Fatalf("packet %s: %v", numbers[i], err)
				}
				got[m.Form().String()]++
				checkAgain(t, numbers[i], m, b, uncompressed[name] == numbers[i])
			}
			if diff := cmp.Diff(captured[name], got); diff != "" {
				t.Errorf("forms (-want +got):\n%s", diff)
			}
		})
	}
}

// checkAgain checks that m, which was parsed from b, gives the same octets, or octets that mean the
// same, and that requests pass the stricter readers of a server.
func checkAgain(t *testing.T, number string, m Message, b []byte, otherOctets bool) {
	t.Helper()
	out, err := m.Append(nil)
	if err != nil {
		t.Fatalf("packet %s: %v", number, err)
	}
	if bytes.Equal(out, b) == otherOctets {
		t.Errorf("packet %s:\n got %x\nfrom %x", number, out, b)
	}
	again, err := Parse(out)
	if diff := cmp.Diff(m, again, equal); err != nil || diff != "" {
		t.Errorf("packet %s: %v (-want +got):\n%s", number, err, diff)
	}
	if m.IsResponse() {
		return
	}
	if _, err := ParseRequest(b); err != nil {
		t.Errorf("packet %s: ParseRequest: %v", number, err)
	}
	if _, q, err := ParseQuestion(b); err != nil || q != m.Questions[0] {
		t.Errorf("packet %s: ParseQuestion: %+v, %v", number, q, err)
	}
}
