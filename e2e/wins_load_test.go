//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// Caller has many requests under way on one socket.
type Caller struct {
	*Speaker
	mu      sync.Mutex
	next    uint16
	waiting map[uint16]chan netbios.Message
	wacks   atomic.Uint64
}

// caller opens a socket at an address of the host; it is closed with the lab's test.
func (h *Host) caller(t *testing.T, addr string) *Caller {
	t.Helper()
	c := &Caller{Speaker: h.speaker(t, addr, 0), waiting: map[uint16]chan netbios.Message{}}
	_ = c.conn.SetReadBuffer(4 << 20)
	go c.read()
	return c
}

func (c *Caller) read() {
	buf := make([]byte, 1500)
	for {
		n, err := c.conn.Read(buf)
		if err != nil {
			if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
				continue
			}
			return
		}
		m, err := netbios.Parse(buf[:n])
		if err != nil || !m.IsResponse() {
			continue
		}
		if m.Form() == netbios.FormWack {
			c.wacks.Add(1)
			continue
		}
		c.mu.Lock()
		w := c.waiting[m.ID]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		if w != nil {
			w <- m
		}
	}
}

// call sends a request once and waits for its last answer until stop is closed.
func (c *Caller) call(m netbios.Message, stop <-chan struct{}) (reply netbios.Message, ok bool) {
	answer := make(chan netbios.Message, 1)
	c.mu.Lock()
	for c.next++; c.waiting[c.next] != nil; {
		c.next++
	}
	m.ID = c.next
	c.waiting[m.ID] = answer
	c.mu.Unlock()
	if packet, err := m.Append(nil); err == nil {
		_, _ = c.conn.WriteToUDPAddrPort(packet, winsServer) // nobody may be there now: then there is no answer
	}
	select {
	case reply := <-answer:
		return reply, true
	case <-stop:
		c.mu.Lock()
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		return netbios.Message{}, false
	}
}

func after(d time.Duration) <-chan struct{} {
	stop := make(chan struct{})
	time.AfterFunc(d, func() { close(stop) })
	return stop
}

func (c *Caller) registration(name string) netbios.Message {
	return netbios.NewRegistration(0, netbios.MustParseName(name), 3600, netbios.Address{Flags: netbios.HNode, Addr: c.addr})
}

// crowd is a host with many addresses and a socket at each.
func (l *Lab) crowd(t *testing.T, name string, addresses int) []*Caller {
	t.Helper()
	addrs := make([]string, addresses)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{192, 0, 2, byte(128 + i)}).String()
	}
	h, out := l.host(name, addrs...), make([]*Caller, addresses)
	for i, a := range addrs {
		out[i] = h.caller(t, a)
	}
	return out
}

// TestWINSBurst is the morning: everybody registers at once, none is left without an answer.
func TestWINSBurst(t *testing.T) {
	t.Parallel()
	const addresses, each = 64, 64
	l := newLab(t)
	guard := l.host("guard", guardAddr)
	n := guard.nameward(t, winsWorld("{mode: own}"))
	crowd := l.crowd(t, "crowd", addresses)
	var mu sync.Mutex
	var took []time.Duration
	said, start := map[string]int{}, make(chan struct{})
	var done sync.WaitGroup
	for i, c := range crowd {
		for k := range each {
			done.Go(func() {
				m := c.registration(fmt.Sprintf("C%02d-%02d<00>", i, k))
				<-start
				begin := time.Now()
				reply, ok := c.call(m, after(10*time.Second))
				late, text := time.Since(begin), "silence"
				if ok {
					text = reply.Form().String()
				}
				mu.Lock()
				defer mu.Unlock()
				said[text]++
				if ok {
					took = append(took, late)
				}
			})
		}
	}
	begin := time.Now()
	close(start)
	done.Wait()
	t.Logf("%d registrations at once, sent once: all answered after %s; %s", addresses*each, time.Since(begin).Round(time.Millisecond), quantiles(took))
	same(t, "answers", fmt.Sprint(said), fmt.Sprintf("map[positive-registration:%d]", addresses*each))
	st := n.status(t).WINS
	same(t, "records", fmt.Sprint(st.Records["active"]), fmt.Sprint(addresses*each))
}

// TestWINSFlood has one address register without end while another one goes on as usual.
func TestWINSFlood(t *testing.T) {
	t.Parallel()
	const rate = 30_000 // a second; more of it may be lost before the server sees it, and others' packets with it
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.nameward(t, winsWorld("{mode: own, limits: {per_address: 100000}}"))
	flooder := l.crowd(t, "flooder", 1)[0]
	var sent atomic.Uint64
	stop := make(chan struct{})
	var flood sync.WaitGroup
	begin := time.Now()
	flood.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if sent.Load() > uint64(time.Since(begin)*rate/time.Second) {
				time.Sleep(time.Millisecond)
				continue
			}
			m := flooder.registration(fmt.Sprintf("F%05d<00>", i%80_000))
			if packet, err := m.Append(nil); err == nil {
				_, _ = flooder.conn.WriteToUDPAddrPort(packet, winsServer)
				sent.Add(1)
			}
		}
	})
	time.Sleep(200 * time.Millisecond) // the flood is there
	c, a := client.caller(t, clientAddr), client.asker(t, guardAddr)
	a.nb.UnicastTimeout = time.Second
	var registering, asking []time.Duration
	lost := 0
	for i := 0; time.Since(begin) < 4*time.Second; i++ {
		name := fmt.Sprintf("USUAL%03d<00>", i)
		sentAt := time.Now()
		reply, ok := c.call(c.registration(name), after(time.Second))
		if !ok || reply.Form() != netbios.FormPositiveRegistration {
			lost++
			continue
		}
		registering = append(registering, time.Since(sentAt))
		sentAt = time.Now()
		same(t, "a query meanwhile", a.netbios(name), clientAddr)
		asking = append(asking, time.Since(sentAt))
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	flood.Wait()
	t.Logf("%d registrations a second from one address; another one registers: %s; asks: %s; %d of %d without an answer within a second",
		sent.Load()*uint64(time.Second)/uint64(time.Since(begin)), quantiles(registering), quantiles(asking), lost, lost+len(registering))
	if lost > 0 {
		t.Errorf("%d of %d registrations of somebody else had no answer within a second", lost, lost+len(registering))
	}
	holds(t, "the flood was one", fmt.Sprint(n.status(t).WINS.Records["active"] > 5000), "true")
}
