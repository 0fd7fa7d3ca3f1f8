//go:build linux

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios"
)

// cable connects a host to another switch of the lab, with addresses and their prefix lengths.
func (h *Host) cable(dev, bridge string, addrs ...string) {
	h.lab.t.Helper()
	sw, port := h.lab.name+"switch", "p-"+h.name+"-"+dev
	if _, err := command("ip", "-n", sw, "link", "show", "dev", bridge); err != nil {
		h.lab.ip("-n", sw, "link", "add", bridge, "type", "bridge")
		h.lab.ip("-n", sw, "link", "set", bridge, "up")
	}
	h.lab.ip("-n", sw, "link", "add", port, "type", "veth", "peer", "name", dev, "netns", h.ns)
	h.lab.ip("-n", sw, "link", "set", port, "master", bridge, "up")
	for _, a := range addrs {
		h.lab.ip("-n", h.ns, "addr", "add", a, "brd", "+", "dev", dev)
	}
	h.lab.ip("-n", h.ns, "link", "set", dev, "up")
}

// sysctl sets a value of the host's network.
func (h *Host) sysctl(t *testing.T, path, value string) {
	t.Helper()
	if err := h.inside(func() error { return os.WriteFile("/proc/sys/net/"+path, []byte(value), 0o644) }); err != nil {
		t.Fatal(err)
	}
}

// twoSites is a lab with a site for each node of a pair, a management network that both nodes are in, and
// a router between them all.
type twoSites struct {
	*Lab
	guard, ex1, ex2, client *Host
}

func newTwoSites(t *testing.T) *twoSites {
	t.Helper()
	s := &twoSites{Lab: newLab(t)}
	s.guard, s.ex1, s.ex2, s.client = s.host("guard"), s.host("ex1"), s.host("ex2"), s.host("client")
	router := s.host("router")
	router.cable("e0", "hq", "192.0.2.1/24")
	router.cable("e1", "dr", "198.51.100.1/24")
	router.cable("e2", "mgmt", "10.9.0.1/24")
	router.sysctl(t, "ipv4/ip_forward", "1")
	s.guard.cable("e0", "hq", guardAddr+"/24")
	s.ex1.cable("m0", "mgmt", "10.9.0.11/24")
	s.ex1.cable("e0", "hq", "192.0.2.11/24")
	s.ex2.cable("m0", "mgmt", "10.9.0.12/24")
	s.ex2.cable("e0", "dr", "198.51.100.12/24")
	s.client.cable("e0", "dr", "198.51.100.100/24")
	for h, via := range map[*Host]string{s.guard: "192.0.2.1", s.ex1: "192.0.2.1", s.ex2: "198.51.100.1", s.client: "198.51.100.1"} {
		s.ip("-n", h.ns, "route", "add", "default", "via", via)
	}
	for _, h := range []*Host{s.guard, s.ex1, s.ex2, router} {
		h.sysctl(t, "ipv4/conf/all/rp_filter", "0")
	}
	return s
}

const pairWorld = `
classes: {management: [10.9.0.0/16]}
clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11], site: hq}
      ex2: {public: [198.51.100.12], management: [10.9.0.12], site: dr}
    roles:
      - {name: mailbox, dns: [mail.corp.example.], netbios: [MAIL], source: {operator: {initial: ex1}}}
netbios:
  name: GUARD1
  listen: [{address: "0.0.0.0:137"}]
  wins: {mode: own}
`

// answers are what a client was told, each with the time at which it came.
type answers struct {
	mu  sync.Mutex
	all []timedAnswer
}

type timedAnswer struct {
	at   time.Time
	text string
}

func (l *answers) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, timedAnswer{time.Now(), text})
}

// since is what was answered from then on, each run of like answers once: "192.0.2.11, 198.51.100.12", and
// when the last run began.
func (l *answers) since(begin time.Time) (runs string, last time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, a := range l.all {
		if !a.at.Before(begin) && (len(out) == 0 || out[len(out)-1] != a.text) {
			out, last = append(out, a.text), a.at
		}
	}
	return strings.Join(out, ", "), last
}

// TestWINSPair is the pair of nodes over a WAN: both have a management address, register it first, and
// register the name of the service, whether they are active or not.
func TestWINSPair(t *testing.T) {
	t.Parallel()
	s := newTwoSites(t)
	n := s.guard.nameward(t, pairWorld)
	s.guard.capture(t)
	tap := s.ex2.tap(t)
	const hq, dr = "192.0.2.11", "198.51.100.12"
	start := func(h *Host, name, management, public string) *Process {
		return h.nmbd(t, name, "interfaces = "+management+"/24 "+public+"/24", "wins server = "+guardAddr, "netbios aliases = MAIL")
	}
	ex1 := start(s.ex1, "EX1", "10.9.0.11", hq)
	ex2 := start(s.ex2, "EX2", "10.9.0.12", dr)
	// The role's name as the members registered it, without the rules of the time when they did. A release
	// from a management address stays there as well.
	rule := regexp.MustCompile(`: rule, .*`)
	role := func() string {
		lines := strings.Split(rule.ReplaceAllString(n.held(t, "MAIL<20>"), ""), "\n")
		return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "release ignored 10.9.") }), "\n")
	}
	claims := func(active, passive string) string {
		lines := []string{
			"MAIL<20> multihomed quarantined 10.9.0.11 from 10.9.0.11: emptied, builtin-filtered", "MAIL<20> multihomed quarantined 10.9.0.12 from 10.9.0.12: emptied, builtin-filtered",
			"MAIL<20> multihomed published " + active + " from " + active, "MAIL<20> multihomed parked " + passive + " from " + passive,
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	soon(t, "what the nodes asked for", 20*time.Second, claims(hq, dr), role)
	soon(t, "their own names", 20*time.Second, "EX1<20> multihomed active "+hq+"\nEX2<20> multihomed active "+dr, func() string { return n.listed(t, "EX*<20>") })
	soon(t, "their management addresses", 20*time.Second,
		"EX1<20> multihomed quarantined 10.9.0.11 from 10.9.0.11: emptied, builtin-filtered\nEX2<20> multihomed quarantined 10.9.0.12 from 10.9.0.12: emptied, builtin-filtered",
		func() string { return n.held(t, "EX*<20>") })
	same(t, "records of the role's name", n.listed(t, "MAIL"), "")
	first := tap.all(func(s *Seen) bool { return s.about("MAIL<20>") && s.Form() == netbios.FormMultihomed })[0]
	same(t, "the address that nmbd registers first", first.from.Addr().String(), "10.9.0.12")

	mine := regexp.MustCompile(`(?m)^MAIL<20> .*`).FindAllString(n.do(t, "registrations", "--quarantined"), -1)
	holds(t, "nameward registrations --quarantined", strings.Join(mine, "\n"), "10.9.0.11", "10.9.0.12", "emptied, role mailbox, rule builtin-filtered")

	asker, told := s.client.asker(t, guardAddr), &answers{}
	same(t, "DNS and NetBIOS", asker.both("mail.corp.example.", "MAIL<20>"), hq+" | "+hq)
	asker.nb.UnicastTimeout = 3 * time.Second
	asking := load(t, "a client at the other site", 20*time.Millisecond, func() string {
		text := asker.netbios("MAIL<20>")
		told.add(text)
		return oneOf(text, hq, dr)
	})
	begin := time.Now()
	// again restarts a node's nmbd, which releases the node's claim and makes it anew.
	again := func(p *Process, h *Host, name, management, public string) *Process {
		has := func() string { return fmt.Sprint(strings.Contains(role(), public+" from "+public)) }
		p.stop()
		soon(t, name+" has released the role's name", 5*time.Second, "false", has)
		p = start(h, name, management, public)
		soon(t, name+" registers it again", 20*time.Second, "true", has)
		time.Sleep(100 * time.Millisecond) // a few questions more
		return p
	}
	ex2 = again(ex2, s.ex2, "EX2", "10.9.0.12", dr)
	runs, _ := told.since(begin)
	same(t, "answers while the passive node registers again", runs, hq)

	var late []time.Duration
	for i := range 6 {
		to, active, passive := "ex2", dr, hq
		if i%2 == 1 {
			to, active, passive = "ex1", hq, dr
		}
		quiet := len(tap.all(func(*Seen) bool { return true }))
		begin := time.Now()
		n.do(t, "switch", "mailbox", "--to", to)
		time.Sleep(300 * time.Millisecond)
		runs, last := told.since(begin)
		same(t, "answers after a switch to "+to, strings.TrimPrefix(runs, passive+", "), active)
		late = append(late, last.Sub(begin))
		same(t, "what the nodes asked for, after a switch to "+to, role(), claims(active, passive))
		for _, seen := range tap.all(func(*Seen) bool { return true })[quiet:] {
			if seen.to == winsServer && seen.about("MAIL<20>") {
				t.Errorf("the node had to say something: %s", seen.Form())
			}
		}
		if i == 0 {
			begin := time.Now()
			ex1 = again(ex1, s.ex1, "EX1", "10.9.0.11", hq)
			runs, _ := told.since(begin)
			same(t, "answers while the node that was active registers again", runs, dr)
		}
	}
	asking.end()
	t.Logf("a switch is asked for to its first answer at the other site, a question every 20 ms: %s", quantiles(late))
	if slices.Max(late) > time.Second {
		t.Errorf("an answer was late: %s", slices.Max(late))
	}
	ex1.stop()
	ex2.kill()
	same(t, "answers while no node is there", asker.netbios("MAIL<20>"), hq)
	n.kill()
	n.up(t)
	same(t, "answers after a kill of the guard", s.client.asker(t, guardAddr).netbios("MAIL<20>"), hq)
}
