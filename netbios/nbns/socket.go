package nbns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// ListenConfig says where a server listens.
type ListenConfig struct {
	// Addr is the address and port of the socket; 0.0.0.0 for all addresses. A socket that is to hear
	// broadcasts must have 0.0.0.0, since the kernel delivers them to no other.
	Addr netip.AddrPort
	// Local lists the addresses that unicast packets are answered on; empty for all.
	Local []netip.Addr
	// Broadcast names the interfaces whose broadcasts are answered.
	Broadcast []string
}

const (
	// receiveBuffer in octets holds a burst of thousands of requests, as after a power cut; the
	// kernel's default holds about 160.
	receiveBuffer = 8 << 20
	// maxRequest in octets is more than any request of RFC 1002 needs; the rest of a longer packet is
	// cut off and makes it malformed.
	maxRequest = 1 << 10
	maxReply   = 1 << 10
)

// Listen opens the socket of a server.
func Listen(ctx context.Context, cfg ListenConfig) (*Socket, error) {
	allowed, err := interfaceIndexes(cfg.Broadcast)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(ctx, "udp4", cfg.Addr.String())
	if err != nil {
		return nil, fmt.Errorf("listening for NetBIOS on %s: %w", cfg.Addr, err)
	}
	sock, err := newSocket(conn.(*net.UDPConn), cfg.Local, allowed)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("listening for NetBIOS on %s: %w", cfg.Addr, err)
	}
	return sock, nil
}

func interfaceIndexes(names []string) (map[int]bool, error) {
	indexes := make(map[int]bool, len(names))
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("broadcasts of interface %q: %w", name, err)
		}
		indexes[i.Index] = true
	}
	return indexes, nil
}
