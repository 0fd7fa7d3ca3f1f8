package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// loadVerb as the first argument makes this program the load client, which runs in a namespace.
const loadVerb = "nbns-load"

// loadResult is what the load client prints, as JSON.
type loadResult struct {
	Replies int     // right ones, each request once
	Lost    int     // requests never answered
	Wrong   int     // answered otherwise
	Resent  int     // packets beyond the first of a request
	Wacked  int     // WACKs
	Seconds float64 // from the first packet to the last answer
	Rate    float64 // right answers a second, while there were new requests to send: without the wait for the last ones
	P50     float64 // ms from the first packet of a request to its answer
	P99     float64
	Max     float64
	Odd     string // the first wrong answer, in hexadecimal
}

// outstanding is how many requests are on their way at any time, unless it is told.
const outstanding = 32

// Times of the load client.
const (
	// lossTimeout is how long an answer may take before its request counts as lost, or is sent again.
	lossTimeout = 500 * time.Millisecond
	// wackTime is how long a WACK may keep a request waiting.
	wackTime = 30 * time.Second
)

// loadOptions are the flags of the load client.
type loadOptions struct {
	server      string
	op          operation
	first       int
	names       int
	addr        string
	spread      bool
	outstanding int
	load        time.Duration
	timeout     time.Duration
	tries       int
}

// newLoad has the defaults: queries for names at random.
func newLoad(server string, names int) loadOptions {
	return loadOptions{
		server: server, op: opQuery, names: names, addr: addresses[0], outstanding: outstanding, timeout: lossTimeout, tries: 1,
	}
}

// within runs the load client in a namespace, or here if that is "", beside the servers' core.
func (o loadOptions) within(ctx context.Context, ns string) (r loadResult, err error) {
	err = runSelf(ctx, ns, &r, loadVerb, "-server", o.server, "-op", string(o.op), "-first", fmt.Sprint(o.first),
		"-names", fmt.Sprint(o.names), "-addr", o.addr, fmt.Sprintf("-spread=%t", o.spread),
		"-outstanding", fmt.Sprint(o.outstanding), "-for", o.load.String(), "-timeout", o.timeout.String(), "-tries", fmt.Sprint(o.tries))
	return r, err
}

// runSelf runs this program in a namespace and reads the JSON that it prints.
func runSelf(ctx context.Context, ns string, result any, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	line := append([]string{self}, args...)
	if ns != "" {
		line = append([]string{"ip"}, within(ns, line...)...)
	}
	var out, errs strings.Builder
	cmd := command(ctx, line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := onCore(loadCore(), cmd.Start); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	return json.Unmarshal([]byte(out.String()), result)
}

func loadMain(args []string) int {
	var o loadOptions
	var op string
	d := newLoad("", 0)
	flags := flag.NewFlagSet(loadVerb, flag.ExitOnError)
	flags.StringVar(&o.server, "server", "", "`ADDRESS:PORT`")
	flags.StringVar(&op, "op", string(d.op), "`operation`: query, register, refresh, release")
	flags.IntVar(&o.first, "first", d.first, "`number` of the first name")
	flags.IntVar(&o.names, "names", d.names, "how many names there are")
	flags.StringVar(&o.addr, "addr", d.addr, "`ADDRESS` of the names")
	flags.BoolVar(&o.spread, "spread", d.spread, "three names for each address, from -addr on")
	flags.IntVar(&o.outstanding, "outstanding", d.outstanding, "requests on their way at any time")
	flags.DurationVar(&o.load, "for", d.load, "how long to pick names at random; 0: each once")
	flags.DurationVar(&o.timeout, "timeout", d.timeout, "wait for an answer")
	flags.IntVar(&o.tries, "tries", d.tries, "packets sent for a request")
	flags.Parse(args)
	o.op = operation(op)
	result, err := o.run()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load client:", err)
		return 2
	}
	return 0
}

func (o loadOptions) run() (loadResult, error) {
	server, err := netip.ParseAddrPort(o.server)
	if err != nil {
		return loadResult{}, err
	}
	addr, err := netip.ParseAddr(o.addr)
	if err != nil {
		return loadResult{}, err
	}
	c := &loadClient{tries: o.tries, timeout: o.timeout}
	if c.requests, err = packRequests(o.op, o.first, o.names, addr, o.spread); err != nil {
		return loadResult{}, err
	}
	if err := c.open(server, o.outstanding); err != nil {
		return loadResult{}, err
	}
	defer c.udp.Close()
	c.began = time.Now()
	end := c.began.Add(o.load)
	c.next = func() (int, bool) { return rand.IntN(o.names), time.Now().Before(end) }
	if o.load == 0 {
		i := -1
		c.next = func() (int, bool) { i++; return i, i < o.names }
	}
	if err := c.run(o.outstanding); err != nil {
		return loadResult{}, err
	}
	if len(c.times) > 0 { // JSON has no NaN
		if o.names <= o.outstanding && o.load == 0 { // all were sent at once
			c.result.Rate = float64(c.result.Replies) / c.result.Seconds
		}
		c.result.P50, c.result.P99, c.result.Max = c.times.quantile(0.5), c.times.p99(), c.times.max()
	}
	return c.result, nil
}

// loadClient keeps a server busy with requests, one for each answer. It never sleeps: waking it for an
// answer would be done on the server's time, and cost more than the answer.
type loadClient struct {
	*requests
	tries   int
	timeout time.Duration
	next    func() (request int, more bool)

	udp  *net.UDPConn
	conn *ipv4.PacketConn // for batches
	fd   uintptr          // the same socket

	began   time.Time
	pending [1 << 16]pending // by id
	waits   waits
	waiting int // how many are pending
	ended   bool
	id      uint16
	in      [1500]byte
	tx      []ipv4.Message
	times   samples // ms
	result  loadResult
}

// pending is a request on its way. Times are since the client began.
type pending struct {
	request int           // counted from 1; 0: none has this id
	tries   int           // packets sent
	first   time.Duration // when the first one was
	until   time.Duration // when it will be sent again, or given up
}

func (c *loadClient) open(server netip.AddrPort, outstanding int) (err error) {
	if c.udp, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server)); err != nil {
		return err
	}
	raw, err := c.udp.SyscallConn()
	if err != nil {
		return err
	}
	// The number stays good until the socket is closed.
	if err := raw.Control(func(fd uintptr) { c.fd = fd }); err != nil {
		return err
	}
	// Room for the answers to a burst. Past the system's limit that takes a right, without which bursts
	// may be lost here.
	const room = 32 << 20
	if unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
		c.udp.SetReadBuffer(room)
	}
	c.conn = ipv4.NewPacketConn(c.udp)
	c.tx = make([]ipv4.Message, outstanding)
	for i := range c.tx {
		c.tx[i].Buffers = [][]byte{make([]byte, 0, c.size)}
	}
	return nil
}

func (c *loadClient) run(outstanding int) error {
	free := outstanding
	for {
		if err := c.send(free); err != nil {
			return err
		}
		if c.ended && c.waiting == 0 {
			return nil
		}
		// Whatever has come by now is taken before anything counts as lost, also if we did not run for a while.
		now := time.Since(c.began)
		var err error
		if free, err = c.take(); err != nil {
			return err
		}
		if free == takeAtOnce {
			continue
		}
		lost, err := c.expire(now)
		if err != nil {
			return err
		}
		free += lost
	}
}

// takeAtOnce is how many replies are taken before there are new requests.
const takeAtOnce = 32

// take checks replies that are there and tells how many requests they have ended.
func (c *loadClient) take() (ended int, err error) {
	for ended < takeAtOnce {
		n, _, errno := unix.RawSyscall6(
			unix.SYS_RECVFROM, c.fd, uintptr(unsafe.Pointer(&c.in)), uintptr(len(c.in)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EAGAIN, errno == unix.EINTR:
			return ended, nil
		case errno != 0:
			return ended, errno
		}
		if c.heard(c.in[:n]) {
			ended++
		}
	}
	return ended, nil
}

// heard takes one reply and reports whether it ends a request.
func (c *loadClient) heard(reply []byte) bool {
	if len(reply) < 2 {
		return false
	}
	id := binary.BigEndian.Uint16(reply)
	p := &c.pending[id]
	if p.request == 0 {
		return false
	}
	now := time.Since(c.began)
	switch {
	case c.isRight(reply, p.request-1):
		c.result.Replies++
		c.times.addTime(now - p.first)
	case isWack(reply):
		c.result.Wacked++
		p.until, p.tries = now+wackTime, c.tries
		c.waits.push(wait{id, p.until})
		return false
	default:
		if c.result.Wrong++; c.result.Odd == "" {
			c.result.Odd = hex.EncodeToString(reply)
		}
	}
	c.result.Seconds = now.Seconds()
	p.request = 0
	c.waiting--
	return true
}

// send sends up to n new requests.
func (c *loadClient) send(n int) error {
	k, now := 0, time.Since(c.began)
	for ; k < n && !c.ended; k++ {
		request, more := c.next()
		if !more {
			c.ended = true
			c.result.Rate = float64(c.result.Replies) / now.Seconds()
			break
		}
		for c.id++; c.pending[c.id].request != 0; c.id++ {
		}
		c.pending[c.id] = pending{request + 1, 1, now, now + c.timeout}
		c.waits.push(wait{c.id, now + c.timeout})
		c.waiting++
		c.fill(&c.tx[k], c.id)
	}
	return c.flush(k)
}

// fill writes the packet of the request with an id.
func (c *loadClient) fill(m *ipv4.Message, id uint16) {
	packet := append(m.Buffers[0][:0], c.packet(c.pending[id].request-1)...)
	binary.BigEndian.PutUint16(packet, id)
	m.Buffers[0] = packet
}

// flush sends the first k packets.
func (c *loadClient) flush(k int) error {
	for sent := 0; sent < k; {
		m, err := c.conn.WriteBatch(c.tx[sent:k], 0)
		if err != nil {
			return err
		}
		sent += m
	}
	return nil
}

// expire sends again what has waited for too long, and tells how many requests it has given up.
func (c *loadClient) expire(now time.Duration) (lost int, err error) {
	for {
		w, ok := c.waits.due(now, func(w wait) bool { p := &c.pending[w.id]; return p.request != 0 && p.until == w.until })
		if !ok {
			return lost, nil
		}
		p := &c.pending[w.id]
		if p.tries >= c.tries {
			p.request = 0
			c.waiting--
			c.result.Lost++
			lost++
			continue
		}
		p.tries++
		p.until = now + c.timeout
		c.waits.push(wait{w.id, p.until})
		c.result.Resent++
		c.fill(&c.tx[0], w.id)
		if err := c.flush(1); err != nil {
			return lost, err
		}
	}
}
