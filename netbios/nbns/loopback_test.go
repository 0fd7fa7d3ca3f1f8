package nbns

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// serve answers every request on a loopback socket until the test ends.
func serve(t *testing.T, answer func(netbios.Message) netbios.Message) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, netbios.MaxDatagram)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			q, err := netbios.ParseRequest(buf[:n])
			if err != nil {
				t.Error(err)
				continue
			}
			b, _ := answer(q).Append(nil)
			conn.WriteTo(b, from)
		}
	}()
	return addrPort(conn.LocalAddr())
}

func TestZeroClientOnLoopback(t *testing.T) {
	var c Client
	at := serve(t, func(q netbios.Message) netbios.Message {
		switch {
		case q.Form() == netbios.FormNodeStatusRequest:
			return netbios.NewNodeStatusResponse(q.ID, star, netbios.NodeStatus{Names: []netbios.NodeName{{Name: mail}}})
		case q.Questions[0].Name == mail:
			return netbios.NewPositiveQuery(q.ID, mail, 300, addr1)
		}
		return netbios.NewNegativeQuery(q.ID, netbios.RcodeName, q.Questions[0].Name)
	})
	// The server may be written as an IPv4 address in IPv6.
	mapped := netip.AddrPortFrom(netip.AddrFrom16(at.Addr().As16()), at.Port())
	for _, server := range []netip.AddrPort{at, mapped} {
		r, err := c.Query(t.Context(), server, mail)
		if err != nil || r.From != at || len(r.Addrs) != 1 || r.Addrs[0] != addr1 || r.RTT <= 0 {
			t.Errorf("query at %v: %+v, %v", server, r, err)
		}
	}
	var negative *NegativeError
	if _, err := c.Query(t.Context(), at, star); !errors.As(err, &negative) || negative.Rcode != netbios.RcodeName {
		t.Errorf("query for an unknown name: %v", err)
	}
	s, err := c.NodeStatus(t.Context(), at, star)
	if err != nil || len(s.Status.Names) != 1 || s.Status.Names[0].Name != mail {
		t.Errorf("node status: %+v, %v", s, err)
	}
	if _, err := c.QueryBroadcast(t.Context(), at, mail); err != nil {
		t.Errorf("broadcast: %v", err)
	}
}

func TestSharedConnOnLoopback(t *testing.T) {
	at := serve(t, func(q netbios.Message) netbios.Message { return netbios.NewPositiveQuery(q.ID, mail, 300, addr1) })
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &Client{Conn: conn}
	for range 3 {
		if _, err := c.Query(t.Context(), at, mail); err != nil {
			t.Error(err)
		}
	}
	conn.Close()
	begin := time.Now()
	if _, err := c.Query(t.Context(), at, mail); !errors.Is(err, net.ErrClosed) || time.Since(begin) > time.Second {
		t.Errorf("closed connection: %v after %v", err, time.Since(begin))
	}
}
