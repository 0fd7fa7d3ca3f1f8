//go:build linux

package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// replyTo reads a message with an ID, and passes over others.
func replyTo(conn net.Conn, id uint16, patience time.Duration) (*dns.Msg, error) {
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		m := new(dns.Msg)
		if n > 2 && binary.BigEndian.Uint16(buf) == id && m.Unpack(buf[:n]) == nil {
			return m, nil
		}
	}
}

// TestUpdateReplay sends signed updates once more, octet for octet: a client whose reply was lost is told the same
// again, and somebody who listened does not bring back what was deleted since (RFC 8945, Section 5.2.3 lets five
// minutes pass).
func TestUpdateReplay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client, evil := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("evil", "192.0.2.66")
	guard.owner(t, owning)
	ask := client.asker(t, guardAddr)
	for i, from := range []*Host{client, evil} {
		name := fmt.Sprintf("again%d.dyn", i)
		m := updateOf(t, "corp.example.", "no "+name+"; + "+name+" 60 A 192.0.2.1")
		b := packed(t, m, dhcpKey)
		conn, err := client.dial("udp", guardAddr+":53")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		same(t, "the update", sendRaw(t, conn, b), "NOERROR")
		same(t, "the same from the same client", sendRaw(t, conn, b), "NOERROR")
		same(t, "the deletion", client.updating(t, "tcp", dhcpKey).send("corp.example.", "- "+name), "NOERROR")
		other, err := from.dial("udp", guardAddr+":53")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		sendRaw(t, other, b)
		same(t, "what was deleted, after a replay from "+from.name, ask.a(name+".corp.example."), "NXDOMAIN")
	}
}

// sendRaw sends octets and returns the rcode of the reply.
func sendRaw(t *testing.T, conn net.Conn, b []byte) string {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	r, err := replyTo(conn, binary.BigEndian.Uint16(b), 2*time.Second)
	if err != nil {
		return err.Error()
	}
	return dns.RcodeToString[r.Rcode]
}
