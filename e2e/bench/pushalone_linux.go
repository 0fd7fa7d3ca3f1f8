package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nameward/nameward/netbios"
)

// alone measures what the peers do by themselves, all at once, for most of it is waiting.
func (l *pushLab) alone(ctx context.Context) error {
	var running sync.WaitGroup
	var errs [3]error
	for i, measure := range []func(context.Context) error{l.notifyAlone, l.winsAlone, l.wreplAlone} {
		running.Go(func() { errs[i] = measure(ctx) })
	}
	running.Wait()
	for _, name := range []string{targetUnbound, targetDnsmasq} {
		l.says(name, fmt.Sprintf("until the TTL is over: %d s", pushTTL))
	}
	return errors.Join(errs[:]...)
}

// says is what a target's peer does by itself.
func (l *pushLab) says(name, own string) {
	for _, t := range l.targets {
		if t.name == name {
			t.own = own
		}
	}
}

func (l *pushLab) has(name string) bool {
	for _, t := range l.targets {
		if t.name == name {
			return true
		}
	}
	return false
}

// defaultOptions are BIND's defaults, but for where it listens and keeps its files.
func defaultOptions(dir string, at netip.AddrPort) string {
	return fmt.Sprintf("options { directory %q; pid-file \"named.pid\"; session-keyfile \"session.key\"; listen-on port %d { %s; }; listen-on-v6 { none; };\n"+
		" recursion no; dnssec-validation no; };\ncontrols { };\n", dir, at.Port(), at.Addr())
}

// notifyDelay is BIND's default of what it waits for between two NOTIFY of a zone.
const notifyDelay = 5 * time.Second

// notifyAlone has a BIND follow another one, as they come: with an update after some rest, and another one behind it.
func (l *pushLab) notifyAlone(ctx context.Context) error {
	if !l.has(targetNotify) {
		return nil
	}
	primary, second, err := l.startPair(ctx)
	if err != nil {
		return err
	}
	var rested, behind samples
	for i := range l.pushAlone {
		time.Sleep(notifyDelay + 500*time.Millisecond)
		for k, to := range []*samples{&rested, &behind} {
			took, err := followed(primary, second, 1+2*i+k)
			if err != nil {
				return err
			}
			to.addTime(took)
		}
	}
	l.table.keep("BIND by itself: an update to its secondary's answer, after a rest", "ms", rested)
	l.table.keep("BIND by itself: an update to its secondary's answer, right behind another one", "ms", behind)
	l.says(targetNotify, fmt.Sprintf("BIND's own: %s ms after a rest, %s s behind another change", figure(rested.median()), figure(behind.median()/1000)))
	return nil
}

// startPair runs a primary and a secondary on the loopback, with BIND's defaults.
func (l *pushLab) startPair(ctx context.Context) (primary, second netip.AddrPort, err error) {
	var at [2]netip.AddrPort
	for i := range at {
		if at[i], err = freePort(); err != nil {
			return primary, second, err
		}
	}
	primary, second = at[0], at[1]
	told := strings.Replace(primaryZone(zone), "notify no", fmt.Sprintf("notify explicit; also-notify { %s port %d; }", second.Addr(), second.Port()), 1)
	for i, zones := range []string{told, secondaryZone(primary)} {
		dir, err := l.subdir(fmt.Sprintf("alone-%d", i))
		if err != nil {
			return primary, second, err
		}
		conf := filepath.Join(dir, "named.conf")
		text := emptyZone + strings.TrimSuffix(dnsName(0), "."+zone) + " IN A " + addresses[0] + "\n"
		if err := write(map[string]string{conf: defaultOptions(dir, at[i]) + zones, filepath.Join(dir, "zone"): text}); err != nil {
			return primary, second, err
		}
		p, err := launch(ctx, anyCore, filepath.Join(dir, "out"), "named", "-f", "-n", "1", "-c", conf)
		if err != nil {
			return primary, second, err
		}
		l.processes = append(l.processes, p)
		if err := untilServed(p, at[i]); err != nil {
			return primary, second, err
		}
	}
	return primary, second, nil
}

// followed takes the time from an update at a primary to its secondary's first answer with the new record.
func followed(primary, second netip.AddrPort, name int) (time.Duration, error) {
	a, err := newUpdateAsker(second)
	if err != nil {
		return 0, err
	}
	defer a.close()
	c, err := dialUpdates(primary, false)
	if err != nil {
		return 0, err
	}
	defer c.close()
	began := time.Now()
	if err := c.exchange(change{name: name}); err != nil {
		return 0, err
	}
	return polled(a, name, updateAddr, began)
}

// pollAlone is how often a peer is asked that nobody tells.
const pollAlone = 5 * time.Millisecond

// polled asks for a name until it is answered with an address.
func polled(a *asker, name int, want netip.Addr, began time.Time) (time.Duration, error) {
	for {
		addr, err := a.ask(name)
		now := time.Now()
		switch {
		case err == nil && addr == want:
			return now.Sub(began), nil
		case now.Sub(began) > startLimit:
			return 0, fmt.Errorf("a peer does not have a record after %s: %v", startLimit, err)
		}
		time.Sleep(pollAlone)
	}
}

// wantedTTL is what hosts ask a WINS server for, in seconds: three days.
const wantedTTL = 259_200

// winsAlone asks nmbd for how long it keeps a host's name: so long it answers with a dead one.
func (l *pushLab) winsAlone(context.Context) error {
	if !l.has(targetNmbd) {
		return nil
	}
	var granted time.Duration
	err := inside(l.ns.client, func() (err error) {
		granted, err = grantedTTL(serverAddr(peerNmbd)+":137", clientAddr(peerNmbd))
		return err
	})
	l.says(targetNmbd, fmt.Sprintf("until the TTL that it grants is over: %s", granted))
	return err
}

// grantedTTL registers a name for a host that asks for wantedTTL.
func grantedTTL(server, addr string) (time.Duration, error) {
	conn, err := net.Dial("udp4", server)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	m := netbios.NewRegistration(1, netbiosName(1), wantedTTL, netbios.Address{Flags: netbios.HNode, Addr: netip.MustParseAddr(addr)})
	packet, err := m.Append(nil)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(conn.SetDeadline(time.Now().Add(longest)), second(conn.Write(packet))); err != nil {
		return 0, err
	}
	buf := make([]byte, netbios.MaxDatagram)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return 0, err
		}
		reply, err := netbios.Parse(buf[:n])
		if err != nil {
			return 0, err
		}
		if reply.Form() == netbios.FormPositiveRegistration {
			return time.Duration(reply.Answers[0].TTL) * time.Second, nil
		}
	}
}

func second(_ int, err error) error { return err }

// aloneApart is between two registrations, which fall into different parts of the partner's own rhythm.
const aloneApart = 4 * time.Second

// wreplAlone registers names at Samba, which looks by itself, every 15 s, whether there is something to tell us.
func (l *pushLab) wreplAlone(ctx context.Context) error {
	if !l.has(targetWrepl) {
		return nil
	}
	var times samples
	var mu sync.Mutex
	var running sync.WaitGroup
	errs := make([]error, l.pushAlone)
	for i := range errs {
		name := 100 + i
		o := loadOptions{server: serverAddr(peerWrepl) + ":137", op: opRegister, first: name, names: 1, addr: secondAddr(peerWrepl), outstanding: 1, timeout: longest, tries: 1}
		if r, err := o.within(ctx, l.ns.client); err != nil || r.Replies != 1 {
			errs[i] = fmt.Errorf("no name is registered at the partner: %+v, %w", r, err)
			break
		}
		began := time.Now()
		running.Go(func() {
			took, err := l.replicated(name, began)
			mu.Lock()
			defer mu.Unlock()
			errs[i] = err
			times.addTime(took)
		})
		time.Sleep(aloneApart)
	}
	running.Wait()
	l.table.keep("Samba AD by itself: a registration to our answer, by replication", "ms", times)
	l.says(targetWrepl, fmt.Sprintf("Samba's own, towards us: p50 %s, max %s s", figure(times.median()/1000), figure(times.max()/1000)))
	return errors.Join(errs...)
}

// replicated takes the time until nameward answers with what was registered at its partner.
func (l *pushLab) replicated(name int, began time.Time) (took time.Duration, err error) {
	var a *asker
	err = inside(l.ns.client, func() (err error) {
		a, err = newNBNSAsker(beside(137))
		return err
	})
	if err != nil {
		return 0, err
	}
	defer a.close()
	return polled(a, name, netip.MustParseAddr(secondAddr(peerWrepl)), began)
}

// inside calls do in a namespace: sockets that it opens stay there.
func inside(ns string, do func() error) (err error) {
	runtime.LockOSThread()
	here, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := os.Open(filepath.Join("/run/netns", ns))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering %s: %w", ns, err)
	}
	defer func() {
		// The thread is not ended instead, with all that it started and that is to end with it.
		if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("leaving %s: %w", ns, back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return do()
}
