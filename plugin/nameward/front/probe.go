package front

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net"
	"time"

	"github.com/miekg/dns"
)

// token is the secret by which a front knows its own probes.
type token [16]byte

func newToken() (t token) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}

func (t token) word(i uint32) uint32 { return binary.BigEndian.Uint32(t[4*i:]) }

// probe is a message that is steered to us as an UPDATE is, and that nobody answers, for it is a
// response. The number comes back from the socket it arrives at.
func (t token) probe(number uint8) []byte {
	m := make([]byte, headerSize, headerSize+len(t)+1)
	m[2] = 0x80 | dns.OpcodeUpdate<<3
	return append(append(m, t[:]...), number)
}

// of returns the number of a probe.
func (t token) of(raw []byte) (number uint8, ok bool) {
	if len(raw) != headerSize+len(t)+1 || !bytes.Equal(raw[headerSize:headerSize+len(t)], t[:]) {
		return 0, false
	}
	return raw[len(raw)-1], true
}

const (
	// probeWait is how long a probe may take through the loopback interface of a busy machine.
	probeWait = 200 * time.Millisecond
	// spare is how many more sockets than are known of a group may have: those of an instance that ends,
	// those of another process.
	spare = 8
	// maxIndex bounds the search; multisocket takes up to 1024, which nobody needs.
	maxIndex = 254
)

// arrives sends a probe with the number and reports whether it comes to our socket.
func (l *lane) arrives(number uint8) bool {
	l.forget()
	c, err := l.send(number)
	if err != nil {
		return false
	}
	defer c.Close()
	timeout := time.NewTimer(probeWait)
	defer timeout.Stop()
	for {
		select {
		case n := <-l.probes:
			if n == number {
				return true
			}
		case <-timeout.C:
			return false
		}
	}
}

// forget drops probes that came late.
func (l *lane) forget() {
	for len(l.probes) > 0 {
		<-l.probes
	}
}

// send sends a probe; the connection must stay open until it is awaited no more.
func (l *lane) send(number uint8) (net.Conn, error) {
	c, err := net.DialTimeout(l.over.String(), l.door.self(l.over), probeWait)
	if err != nil {
		return nil, err
	}
	m := l.door.front.token.probe(number)
	if l.over == overTCP {
		m = append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
	}
	if _, err := c.Write(m); err != nil {
		_ = c.Close() // the error of writing is the one that counts
		return nil, err
	}
	return c, nil
}

// probed notes that a probe came to our socket.
func (l *lane) probed(number uint8) {
	select {
	case l.probes <- number:
	default: // nobody waits for so many
	}
}

// locate finds out where our socket stands in its group: the lowest number that comes to us, for one
// that is too high goes to anybody.
func (l *lane) locate(others uint32) (index uint32, ok bool) {
	for i := range min(others+spare, maxIndex) + 1 {
		program := takeTCP(i, others)
		if l.over == overUDP {
			// Only the probes are moved about.
			program = seek(l.door.front.token, takeUDP(l.index, others))
		}
		if attach(l.socket, program) != nil {
			return 0, false
		}
		if l.arrives(uint8(i)) {
			return i, true
		}
	}
	return 0, false
}
