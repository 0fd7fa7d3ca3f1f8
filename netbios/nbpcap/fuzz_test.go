package nbpcap

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzReader checks that no file makes the reader panic, run on after an error, or hand out a packet
// that cannot be written and read again.
func FuzzReader(f *testing.F) {
	for _, path := range captures(f) {
		b := readFile(f, path)
		f.Add(b)
		f.Add(toPcapNG(f, b))
	}
	f.Add(zip(f, readFile(f, "../testdata/nmbd-node-status.pcap")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		last := 0
		for {
			p, err := r.Next()
			if err != nil {
				if _, again := r.Next(); again != err {
					t.Fatalf("after %v comes %v", err, again)
				}
				if _, ok := err.(*FrameError); !ok && err != io.EOF {
					t.Fatalf("error without a number: %v", err)
				}
				return
			}
			if p.Number <= last {
				t.Fatalf("packet %d after packet %d", p.Number, last)
			}
			last = p.Number
			checkWritten(t, p)
		}
	})
}

func checkWritten(t *testing.T, p Packet) {
	t.Helper()
	if p.Err != nil || !p.Src.Addr().Is4() || !p.Dst.Addr().Is4() {
		return
	}
	got, err := readAll(write(t, p))
	if err != nil || len(got) != 1 {
		t.Fatalf("written and read again: %d packets, %v", len(got), err)
	}
	if diff := cmp.Diff(p.Message, got[0].Message, byValue); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}
