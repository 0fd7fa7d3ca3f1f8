package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
)

// deadVerb as the first argument makes this program a host that takes over the names of a silent one.
const deadVerb = "nbns-dead"

// deadResult is what it prints, as JSON.
type deadResult struct {
	Millis []float64 // for each name, from the second registration to its positive answer
	Asked  int       // how often the silent owner was asked, of the name for which that was least
	Wacked int       // names for which there was a WACK
}

// deadFirst is the number of the first name with a dead owner.
const deadFirst = 1_700_000

// deadOwner is one host that registers names and then hears all and says nothing, and another that
// claims the same names.
type deadOwner struct {
	server          netip.AddrPort
	owner, claimant netip.Addr
	names           int

	mu     sync.Mutex
	asked  map[netbios.Name]int
	result deadResult
}

func deadMain(args []string) int {
	var d deadOwner
	flags := flag.NewFlagSet(deadVerb, flag.ExitOnError)
	flags.TextVar(&d.server, "server", netip.AddrPort{}, "`ADDRESS:PORT`")
	flags.TextVar(&d.owner, "owner", netip.Addr{}, "`ADDRESS` of the silent owner")
	flags.TextVar(&d.claimant, "claimant", netip.Addr{}, "`ADDRESS` of the other host")
	flags.IntVar(&d.names, "names", 1, "how many names, all at once")
	flags.Parse(args)
	err := d.run(context.Background())
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(d.result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dead owner:", err)
		return 2
	}
	return 0
}

func (d *deadOwner) run(ctx context.Context) error {
	silent, err := net.ListenPacket("udp4", netip.AddrPortFrom(d.owner, netbios.Port).String())
	if err != nil {
		return err
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		d.hear(silent)
	}()
	err = errors.Join(d.register(ctx), silent.Close())
	<-heard
	if err != nil {
		return err
	}
	d.result.Asked = d.asked[netbiosName(deadFirst)]
	for i := range d.names {
		d.result.Asked = min(d.result.Asked, d.asked[netbiosName(deadFirst+i)])
	}
	return nil
}

// hear counts the challenges.
func (d *deadOwner) hear(conn net.PacketConn) {
	d.asked = map[netbios.Name]int{}
	buf := make([]byte, netbios.MaxDatagram)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if _, q, err := netbios.ParseQuestion(buf[:n]); err == nil {
			d.asked[q.Name]++
		}
	}
}

func (d *deadOwner) register(ctx context.Context) error {
	for i := range d.names {
		if _, err := d.claim(ctx, d.owner, netbiosName(deadFirst+i)); err != nil {
			return fmt.Errorf("the owner: %w", err)
		}
	}
	errs := make(chan error, d.names)
	for i := range d.names {
		go func() { errs <- d.takeOver(ctx, netbiosName(deadFirst+i)) }()
	}
	var all error
	for range d.names {
		all = errors.Join(all, <-errs)
	}
	return all
}

// claim registers a name from the address that it is for; servers may insist on that.
func (d *deadOwner) claim(ctx context.Context, addr netip.Addr, name netbios.Name) (nbns.ClaimResult, error) {
	conn, err := net.ListenPacket("udp4", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		return nbns.ClaimResult{}, err
	}
	defer conn.Close()
	c := nbns.Client{Conn: conn}
	return c.Claim(ctx, d.server, netbios.NewRegistration(0, name, registrationTTL, netbios.Address{Flags: netbios.HNode, Addr: addr}))
}

func (d *deadOwner) takeOver(ctx context.Context, name netbios.Name) error {
	began := time.Now()
	r, err := d.claim(ctx, d.claimant, name)
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("the claimant, after %s: %w", took, err)
	}
	var c nbns.Client
	found, err := c.Query(ctx, d.server, name)
	if err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	if len(found.Addrs) != 1 || found.Addrs[0].Addr != d.claimant {
		return fmt.Errorf("%s was granted to %s, but is at %v", name, d.claimant, found.Addrs)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.result.Millis = append(d.result.Millis, float64(took)/float64(time.Millisecond))
	if r.Wacked {
		d.result.Wacked++
	}
	return nil
}
