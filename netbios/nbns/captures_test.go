package nbns

import (
	"bufio"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nameward/nameward/netbios"
)

// captures returns every packet of the captures in ../testdata, by file and number.
func captures(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../testdata/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	packets := map[string][]byte{}
	for _, path := range paths {
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
			packets[filepath.Base(path)+" "+number] = b
		}
	}
	return packets
}

// TestCaptures replays what real clients and servers sent: no response is ever answered, every request
// of a client is understood.
func TestCaptures(t *testing.T) {
	s := newServer(newRegistry(t))
	for name, b := range captures(t) {
		h, err := netbios.ParseHeader(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, broadcast := range []bool{false, true} {
			reply, more, outcome := s.handle(s.Snapshot(), packet{data: b, from: listed, broadcast: broadcast}, nil)
			switch {
			case more != nil:
				t.Errorf("%s is forwarded", name)
			case h.IsResponse() && (len(reply) > 0 || outcome != Response):
				t.Errorf("%s: a response is answered with %x, %v", name, reply, outcome)
			case h.IsResponse():
			case outcome >= Response && outcome != Silent:
				t.Errorf("%s: outcome %v", name, outcome)
			case len(reply) > netbios.MaxDatagram:
				t.Errorf("%s: reply of %d octets", name, len(reply))
			}
		}
	}
}
