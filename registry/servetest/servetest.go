// Package servetest has the servers and ports that tests need.
package servetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/miekg/dns"
)

// Ports that are picked lie below those that systems give to outgoing connections and to whoever asks for any
// port: nobody else takes one between two looks at it.
const lowest, highest = 10000, 32000

// Listen listens at one port of loopback for both transports. They are closed when the test ends.
func Listen(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	l, conn, err := listen("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = l.Close(), conn.Close() })
	return l, conn
}

// FreePort is a port that nobody listens at, over TCP or UDP, at any address.
func FreePort(t testing.TB) int {
	t.Helper()
	l, conn, err := listen("")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = l.Close(), conn.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func listen(host string) (l net.Listener, conn net.PacketConn, err error) {
	for range 100 {
		at := fmt.Sprintf("%s:%d", host, lowest+rand.IntN(highest-lowest))
		if l, err = net.Listen("tcp", at); err != nil {
			continue
		}
		if conn, err = net.ListenPacket("udp", at); err == nil {
			return l, conn, nil
		}
		_ = l.Close()
	}
	return nil, nil, err
}

// Serve serves until the test ends. A server that has not started yet cannot be shut down, so it waits for that.
func Serve(t testing.TB, srv *dns.Server) {
	t.Helper()
	started, done := make(chan struct{}), make(chan error, 1)
	srv.NotifyStartedFunc = func() { close(started) }
	go func() { done <- srv.ActivateAndServe() }()
	select {
	case <-started:
	case err := <-done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = srv.Shutdown()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
