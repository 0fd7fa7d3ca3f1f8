package nbns

import (
	"context"
	"encoding/binary"
	"net"
	"testing"

	"golang.org/x/net/ipv4"

	"github.com/nameward/nameward/netbios"
)

func BenchmarkHandle(b *testing.B) {
	s := newServer(newRegistry(b))
	snap := s.Snapshot()
	for _, bb := range []struct {
		name string
		data []byte
	}{
		{"guarded", encode(b, query("MAIL<20>"))}, {"all", encode(b, query("WEB<20>"))}, {"scope", encode(b, query("MAIL<20>.HQ"))},
		{"negative", encode(b, query("OTHER<20>"))}, {"status", encode(b, status("*"))},
		{"registration", encode(b, netbios.NewRegistration(1, mail, 300, addr1))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			room := make([]byte, 0, maxReply)
			for b.Loop() {
				if reply, _, _ := s.handle(snap, packet{data: bb.data, from: listed}, room); len(reply) == 0 {
					b.Fatal("no reply")
				}
			}
		})
	}
}

// BenchmarkServe asks over loopback, 64 questions at a time. The time of a reply is that of client and
// server together.
func BenchmarkServe(b *testing.B) {
	const window = 64
	s := newServer(newRegistry(b))
	sock, err := Listen(b.Context(), loopback)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, sock) }()
	defer func() { cancel(); <-done; sock.Close() }()
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(addrPort(sock.LocalAddr())))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	conn := ipv4.NewPacketConn(client)
	out, in := make([]ipv4.Message, window), make([]ipv4.Message, window)
	for i := range window {
		out[i].Buffers = [][]byte{encode(b, query("MAIL<20>"))}
		binary.BigEndian.PutUint16(out[i].Buffers[0], uint16(i))
		in[i].Buffers = [][]byte{make([]byte, netbios.MaxDatagram)}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; {
		n := min(left, window)
		for sent := 0; sent < n; {
			k, err := conn.WriteBatch(out[sent:n], 0)
			if err != nil {
				b.Fatal(err)
			}
			sent += k
		}
		for got := 0; got < n; {
			k, err := conn.ReadBatch(in[:n-got], 0)
			if err != nil {
				b.Fatal(err)
			}
			got += k
		}
		left -= n
	}
	b.StopTimer()
}
