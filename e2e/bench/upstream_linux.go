package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// upstreamVerb as the first argument makes this program a DNS server that has two addresses for every
// name, and does as little as a server can, so that it is not what is measured.
const upstreamVerb = "dns-upstream"

func upstreamMain(args []string) int {
	var listen netip.AddrPort
	flags := flag.NewFlagSet(upstreamVerb, flag.ExitOnError)
	flags.TextVar(&listen, "listen", netip.AddrPort{}, "`ADDRESS:PORT`")
	flags.Parse(args)
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(listen))
	if err == nil {
		err = answerAll(conn)
	}
	fmt.Fprintln(os.Stderr, "upstream:", err)
	return 2
}

func answerAll(conn *net.UDPConn) error {
	buf := make([]byte, 512)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if reply := upstreamAnswer(buf[:n]); reply != nil {
			if _, err := conn.WriteToUDPAddrPort(reply, from); err != nil {
				return err
			}
		}
	}
}

// upstreamAnswer appends two A records to a query and makes an answer of it, RFC 1035, Section 4.1; nil if
// it is none. Its additional section is cut off.
func upstreamAnswer(query []byte) []byte {
	const header, response, recursion = 12, 0x80, 0x80
	end := header
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 1 + 4 // the root, type and class
	if end > len(query) || query[2]&response != 0 {
		return nil
	}
	reply := append([]byte(nil), query[:end]...)
	reply[2] |= response
	reply[3] = recursion
	binary.BigEndian.PutUint16(reply[6:], 2)
	binary.BigEndian.PutUint32(reply[8:], 0)
	for host := range byte(2) {
		reply = append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 203, 0, 113, 1+host) // for an hour
	}
	return reply
}
