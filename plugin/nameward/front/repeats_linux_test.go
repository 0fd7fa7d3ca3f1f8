package front

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// TestUpdateComesTwice: the same octets are carried out once and answered each time, from whatever socket if
// they are signed; other octets are another update.
func TestUpdateComesTwice(t *testing.T) {
	w, addr := startOne(t)
	send := func(from net.Conn, raw []byte) []byte {
		t.Helper()
		if _, err := from.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := from.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4096)
		n, err := from.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		return answer[:n]
	}
	dial := func() net.Conn {
		c, err := net.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	one, two := dial(), dial()
	raw, err := update().Pack()
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(raw)
	other[1]++ // its id
	first := send(one, raw)
	if got := send(one, raw); !bytes.Equal(got, first) {
		t.Errorf("answered %x, and then %x", first, got)
	}
	counted := func(repeated uint64, served uint64) {
		t.Helper()
		eventually(t, "it is counted", func() bool { return w.Count("udp", Served) >= served })
		if n := w.Count("udp", Repeated); n != repeated {
			t.Errorf("%d repeated, want %d", n, repeated)
		}
	}
	eventually(t, "one is repeated", func() bool { return w.Count("udp", Repeated) == 1 })
	send(two, raw)
	send(one, other)
	counted(1, 3) // an unsigned update from another socket is another one
}
