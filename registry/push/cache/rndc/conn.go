package rndc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/nameward/nameward/registry/push/said"
	"github.com/nameward/nameward/registry/tsig"
)

// Conn is a connection over which any number of commands may go.
type Conn struct {
	conn   net.Conn
	signer signer
	serial uint32
	nonce  string
	stop   func() bool
}

const (
	// maxReply bounds a reply in octets; that of a command that tells nothing has some 300.
	maxReply = 64 << 10
	// validity is how long a message is good, as rndc has it.
	validity = time.Minute
)

// Dial connects to a control channel. What is done over the connection ends with ctx.
func Dial(ctx context.Context, addr netip.AddrPort, key tsig.Key) (*Conn, error) {
	s, err := newSigner(key)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, signer: s, serial: rand.Uint32()}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	if _, err := c.Do("null"); err != nil {
		c.Close()
		if errors.Is(err, io.EOF) {
			// named says nothing to those whose signature it cannot verify.
			err = fmt.Errorf("%w: another key, algorithm or clock, or an address that controls does not allow?", err)
		}
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Conn) Close() {
	c.stop()
	_ = c.conn.Close()
}

// Do carries a command out and returns what named says of it, mostly nothing. After an error that is no [*Refused]
// the connection is of no use any more.
func (c *Conn) Do(command string) (text string, err error) {
	c.serial++
	serial, now := strconv.FormatUint(uint64(c.serial), 10), time.Now()
	ctrl := []field{{"_ser", serial}, {"_tim", unix(now)}, {"_exp", unix(now.Add(validity))}}
	if c.nonce != "" {
		ctrl = append(ctrl, field{"_nonce", c.nonce})
	}
	if _, err := c.conn.Write(c.signer.pack(ctrl, []field{{"type", command}})); err != nil {
		return "", err
	}
	reply, err := c.read()
	if err != nil {
		return "", err
	}
	switch {
	case reply["_ctrl._rpl"] != "1" || reply["_ctrl._ser"] != serial:
		return "", errors.New("the reply is to another message")
	case c.nonce == "":
		c.nonce = reply["_ctrl._nonce"]
	case reply["_ctrl._nonce"] != c.nonce:
		return "", errors.New("the reply is of another connection")
	}
	if result := reply["_data.result"]; result != "0" {
		return "", &Refused{command, said.Line([]byte(reply["_data.err"])), said.Line([]byte(result))}
	}
	return reply["_data.text"], nil
}

// Refused is named's no to a command.
type Refused struct{ Command, Why, Result string }

func (r *Refused) Error() string {
	why := r.Why
	if why == "" {
		why = "result " + r.Result
	}
	return fmt.Sprintf("%s: named says: %s", r.Command, why)
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// read reads one message. Nothing is allocated for a length that is only said.
func (c *Conn) read() (table, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxReply {
		return nil, fmt.Errorf("a reply of %d octets is too long", n)
	}
	b, err := io.ReadAll(io.LimitReader(c.conn, int64(n)))
	if err == nil && len(b) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return c.signer.unpack(b)
}
