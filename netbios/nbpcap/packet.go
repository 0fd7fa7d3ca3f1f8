package nbpcap

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
)

// Protocol tells which name service a packet is of.
type Protocol uint8

// The protocols.
const (
	NameService Protocol = iota // of NetBIOS: UDP port 137 on either side
	DNS                         // UDP or TCP port 53 on either side
)

// dnsPort is the port of DNS, RFC 1035, Section 4.2.
const dnsPort = 53

// Packet is one message of a name service in a capture.
type Packet struct {
	// Number is that of the frame, from 1, counting all frames, as other tools show it. A message of
	// several frames has number and time of the one that completed it. A live capture counts what
	// passed its filter.
	Number   int
	Time     time.Time
	Protocol Protocol
	TCP      bool // came over TCP; only with DNS
	Src, Dst netip.AddrPort
	// Payload is the message as captured, without the length that DNS has on TCP. It is valid until
	// the next packet is read.
	Payload []byte
	Message netbios.Message // of NameService; shares no memory with Payload
	// Err is set, and Message has the header at most, if the payload is malformed, if octets of a TCP
	// stream are missing, or if the link type of this frame is not supported (then addresses and
	// payload are missing too). It is a *FrameError.
	Err error
}

// FrameError is an error with the number of the frame that it belongs to.
type FrameError struct {
	Number int // from 1
	Err    error
}

// Error returns the number and the cause.
func (e *FrameError) Error() string { return fmt.Sprintf("packet %d: %v", e.Number, e.Err) }

// Unwrap returns the cause.
func (e *FrameError) Unwrap() error { return e.Err }

// Option changes what is read.
type Option func(*decoder)

// WithDNS adds DNS.
func WithDNS() Option { return func(d *decoder) { d.dns = true } }
