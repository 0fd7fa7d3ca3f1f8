package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
)

// loadVerb as the first argument makes this program the load client, which runs in a namespace.
const loadVerb = "nbns-load"

// loadResult is what the load client prints, as JSON.
type loadResult struct {
	Replies int
	Lost    int
	Wrong   int
	Seconds float64
}

// outstanding is how many requests are on their way at any time.
const outstanding = 32

// loadClient keeps a server busy with requests for the names of a world, one for each answer. It never
// sleeps: waking it for an answer would be done on the server's time, and cost more than the answer.
type loadClient struct {
	udp      *net.UDPConn
	conn     *ipv4.PacketConn // for batches
	fd       uintptr          // the same socket
	packets  [][]byte         // for each name, ready but for the id
	names    []netbios.Name   // likewise
	want     netip.Addr
	next     func() (name int, more bool)
	pending  [1 << 16]int32 // by id: what is on its way, a name counted from 1
	waiting  int            // how many
	right    [][]byte       // for each name, the last reply that was found right, without its id
	id       uint16
	in       [1500]byte
	tx       []ipv4.Message
	result   loadResult
	register bool
}

func loadMain(args []string) int {
	flags := flag.NewFlagSet(loadVerb, flag.ExitOnError)
	server := flags.String("server", "", "`ADDRESS:PORT`")
	names := flags.Int("names", 1000, "how many names there are")
	register := flags.Bool("register", false, "register each name once; otherwise ask for names at random")
	load := flags.Duration("for", time.Second, "how long to ask")
	flags.Parse(args)
	result, err := runLoad(*server, *names, *register, *load)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load client:", err)
		return 2
	}
	return 0
}

func runLoad(server string, names int, register bool, load time.Duration) (loadResult, error) {
	addr, err := netip.ParseAddrPort(server)
	if err != nil {
		return loadResult{}, err
	}
	c := &loadClient{want: address(0), register: register}
	if err := c.packAll(names); err != nil {
		return loadResult{}, err
	}
	if c.udp, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(addr)); err != nil {
		return loadResult{}, err
	}
	defer c.udp.Close()
	raw, err := c.udp.SyscallConn()
	if err != nil {
		return loadResult{}, err
	}
	// The number stays good until the socket is closed.
	if err := raw.Control(func(fd uintptr) { c.fd = fd }); err != nil {
		return loadResult{}, err
	}
	c.conn = ipv4.NewPacketConn(c.udp)
	c.tx = make([]ipv4.Message, outstanding)
	for i := range outstanding {
		c.tx[i].Buffers = [][]byte{make([]byte, 0, 256)}
	}
	began := time.Now()
	end := began.Add(load)
	c.next = func() (int, bool) { return rand.IntN(names), time.Now().Before(end) }
	if register {
		i := -1
		c.next = func() (int, bool) { i++; return i, i < names }
	}
	err = c.run()
	c.result.Seconds = time.Since(began).Seconds()
	return c.result, err
}

func (c *loadClient) packAll(names int) error {
	for i := range names {
		name := netbiosName(i)
		m := netbios.NewQuery(0, name)
		if c.register {
			m = netbios.NewRegistration(0, name, registrationTTL, netbios.Address{Flags: netbios.HNode, Addr: c.want})
		}
		packet, err := m.Append(nil)
		if err != nil {
			return err
		}
		c.packets, c.names = append(c.packets, packet), append(c.names, name)
	}
	c.right = make([][]byte, names)
	return nil
}

// registrationTTL in seconds is three days, what Windows asks for.
const registrationTTL = 3 * 24 * 60 * 60

// lossTimeout is how long nothing may arrive before what is on its way counts as lost.
const lossTimeout = 500 * time.Millisecond

func (c *loadClient) run() error {
	if err := c.send(outstanding); err != nil {
		return err
	}
	heard := time.Now()
	for c.waiting > 0 {
		ended, err := c.take()
		switch {
		case err != nil:
			return err
		case ended > 0:
			heard = time.Now()
		case time.Since(heard) > lossTimeout:
			ended, heard = c.waiting, time.Now()
			c.result.Lost += ended
			c.pending, c.waiting = [1 << 16]int32{}, 0
		}
		if err := c.send(ended); err != nil {
			return err
		}
	}
	return nil
}

// take checks the replies that are there and tells how many requests they have ended.
func (c *loadClient) take() (ended int, err error) {
	for ended < outstanding {
		n, _, errno := unix.RawSyscall6(
			unix.SYS_RECVFROM, c.fd, uintptr(unsafe.Pointer(&c.in)), uintptr(len(c.in)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EAGAIN, errno == unix.EINTR:
			return ended, nil
		case errno != 0:
			return ended, errno
		}
		reply := c.in[:n]
		if n < 2 {
			continue
		}
		id := binary.BigEndian.Uint16(reply)
		name := int(c.pending[id]) - 1
		if name < 0 {
			continue
		}
		c.pending[id] = 0
		c.waiting--
		ended++
		if c.isRight(reply, name) {
			c.result.Replies++
		} else {
			c.result.Wrong++
		}
	}
	return ended, nil
}

// isRight checks a reply. One that is, but for the id, that of last time needs no second look.
func (c *loadClient) isRight(reply []byte, name int) bool {
	if bytes.Equal(reply[2:], c.right[name]) {
		return true
	}
	m, err := netbios.Parse(reply)
	if err != nil {
		return false
	}
	claim, ok := m.Claim()
	form := netbios.FormPositiveQuery
	if c.register {
		form = netbios.FormPositiveRegistration
	}
	if !ok || m.Form() != form || claim.Name != c.names[name] || len(claim.Addrs) != 1 || claim.Addrs[0].Addr != c.want {
		return false
	}
	c.right[name] = bytes.Clone(reply[2:])
	return true
}

func (c *loadClient) send(n int) error {
	k := 0
	for ; k < n; k++ {
		name, more := c.next()
		if !more {
			break
		}
		c.id++
		packet := append(c.tx[k].Buffers[0][:0], c.packets[name]...)
		packet[0], packet[1] = byte(c.id>>8), byte(c.id)
		c.tx[k].Buffers[0] = packet
		c.pending[c.id] = int32(name) + 1
		c.waiting++
	}
	for sent := 0; sent < k; {
		m, err := c.conn.WriteBatch(c.tx[sent:k], 0)
		if err != nil {
			return err
		}
		sent += m
	}
	return nil
}
