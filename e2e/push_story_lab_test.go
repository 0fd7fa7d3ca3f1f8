//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// Of the site dr, which is behind a router.
const (
	farBindAddr   = "198.51.100.54"
	farCacheAddr  = "198.51.100.90"
	farClientAddr = "198.51.100.100"
)

// storyWorld is a WAN pair on two subnets with all that has to know where its role is. HOOK is the program.
const storyWorld = `
classes: {management: [10.9.0.0/16]}
clusters:
  - name: apps
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11], site: hq, host: ex1.corp.example.}
      ex2: {public: [198.51.100.12], management: [10.9.0.12], site: dr, host: ex2.corp.example.}
    roles:
      - {name: app, dns: [app.corp.example., app.e2e.example.], netbios: [APP], ttl: 5m, source: {operator: {initial: ex1}}}
      - {name: shadow, dns: [shadow.corp.example., shadow.e2e.example.], netbios: [SHADOW], source: {operator: {initial: ex1}}}
zones:
  - name: corp.example.
    ns: {ns1.corp.example.: [192.0.2.53], ns2.corp.example.: [198.51.100.54]}
    notify: [{address: 198.51.100.54, key: notify.key, name: bind-dr}]
  - name: 2.0.192.in-addr.arpa.
    ns: {ns1.corp.example.: []}
    notify: [{address: 198.51.100.54, key: notify.key, name: bind-dr}]
  - name: 100.51.198.in-addr.arpa.
    ns: {ns1.corp.example.: []}
    notify: [{address: 198.51.100.54, key: notify.key, name: bind-dr}]
netbios:
  name: GUARD1
  listen: [{address: "0.0.0.0:137"}]
  wins: {mode: own}
  wrepl: {address: 192.0.2.53, partners: [{address: 192.0.2.5, name: wins-samba}]}
push:
  drill: shadow
  targets:
    - {name: wins-nmbd, wins: {server: 192.0.2.42}}
    - {name: unbound-dr, cache: {kind: unbound, control: "198.51.100.90:8953", server: "198.51.100.90:53", key: unbound-dr/unbound_control.key,
       cert: unbound-dr/unbound_control.pem, ca: unbound-dr/unbound_server.pem}}
    - {name: program, roles: [app], hook: {command: [HOOK]}}
    - name: ad-dns
      update:
        zone: e2e.example.
        primary: [192.0.2.5]
        identity: {principal: nameward@E2E.EXAMPLE, keytab: identity.keytab, kdc: [192.0.2.5], service: [dc1.e2e.example.]}
`

// Where the role is on each of its nodes.
var publicOf = map[string]string{"ex1": "192.0.2.11", "ex2": "198.51.100.12"}

// story is the lab of storyWorld: the guard, a domain controller with name server and WINS server, and nmbd at hq; a
// secondary, a cache and a client at dr.
type story struct {
	*Lab
	t                                                       *testing.T
	guard, dc, wins, router, clerk, client, second, resolve *Host
	n                                                       *Nameward
	smbConf, unboundConf                                    string
	samba, nmbd, named                                      *Process

	witnesses []*witness
	moved     []string // addresses of the role, in order
}

// witness is what one server says of the role, all the time.
type witness struct {
	name   string
	told   answers
	counts bool // it says numbers
}

func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{Lab: newLab(t), t: t}
	s.router = s.host("router")
	s.router.cable("e0", "hq", "192.0.2.1/24")
	s.router.cable("e1", "dr", "198.51.100.1/24")
	s.router.sysctl(t, "ipv4/ip_forward", "1")
	s.guard, s.dc, s.wins, s.clerk = s.site("guard", "hq", guardAddr, transferAddr), s.site("dc", "hq", dcAddr), s.site("wins", "hq", winsAddr), s.site("clerk", "hq", clientAddr)
	s.second, s.resolve, s.client = s.site("second", "dr", farBindAddr), s.site("resolve", "dr", farCacheAddr), s.site("client", "dr", farClientAddr)
	for node, site := range map[string]string{"ex1": "hq", "ex2": "dr"} {
		s.site(node, site, publicOf[node], "10.9.0."+publicOf[node][len(publicOf[node])-2:])
	}
	s.startNmbd()
	s.smbConf = s.dc.signedController(t, dcAddr, "nbt", "wrepl")
	text, err := os.ReadFile(s.smbConf)
	if err != nil {
		t.Fatal(err)
	}
	writeAtomic(t, s.smbConf, strings.Replace(string(text), "[global]\n", "[global]\nwins support = yes\ndns proxy = no\nwinsdb:local_owner = "+dcAddr+"\n", 1))
	s.dc.run(t, "samba-tool", "user", "create", "nameward", "Gu4rd.Pass", "-s", s.smbConf)
	s.dc.run(t, "samba-tool", "domain", "exportkeytab", s.path("identity.keytab"), "--principal=nameward@E2E.EXAMPLE", "-s", s.smbConf)
	s.dc.knowsPartner(t, s.smbConf, 3600)
	s.startSamba()
	dir := s.resolve.unbound(t, "dr", farCacheAddr, 53, farCacheAddr, "100.51.198.in-addr.arpa. "+guardAddr, "e2e.example. "+dcAddr)
	s.unboundConf = dir + "/unbound.conf"

	s.write("notify.key", notifyKey)
	hook := s.write("moved.sh", fmt.Sprintf("#!/bin/sh\n[ ! -e %s ] || exit 1\nexec cat >>%s\n", s.path("broken"), s.path("told")))
	if err := os.Chmod(hook, 0o755); err != nil {
		t.Fatal(err)
	}
	s.n = s.guard.namewardWith(t, strings.Replace(storyWorld, "HOOK", hook, 1), notifyCorefile)
	s.moved = []string{publicOf["ex1"]}
	s.startNamed()
	return s
}

// site adds a host to a site. An address of the management network may come last.
func (s *story) site(name, site string, addrs ...string) *Host {
	h := s.host(name)
	for i := range addrs {
		addrs[i] += "/24"
	}
	h.cable("e0", site, addrs...)
	via := map[string]string{"hq": "192.0.2.1", "dr": "198.51.100.1"}[site]
	s.ip("-n", h.ns, "route", "add", "default", "via", via)
	return h
}

func (s *story) startNmbd() { s.nmbd = startWINS(s.t, s.wins) }

func (s *story) startSamba() {
	s.t.Helper()
	s.samba = s.dc.samba(s.t, s.smbConf)
	a := s.clerk.asker(s.t, dcAddr)
	soon(s.t, "the domain controller", 60*time.Second, dcAddr, func() string { return a.a("dc1.e2e.example.") })
}

func (s *story) startNamed() {
	s.t.Helper()
	conf := notifyKey
	for _, zone := range storyZones {
		conf += fmt.Sprintf("zone %q { type secondary; file \"%[1]sdb\"; primaries { %[2]s; }; allow-notify { key notify.; }; };\n", zone, transferAddr)
	}
	s.named = s.second.named(s.t, farBindAddr, conf, "corp.example.")
}

var storyZones = []string{"corp.example.", "2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa."}

// watch has each server asked for the role until the end of the test, by clients of its site.
func (s *story) watch(t *testing.T) {
	t.Helper()
	see := func(name string, counts bool, ask func() string) {
		w := &witness{name: name, counts: counts}
		s.witnesses = append(s.witnesses, w)
		load(t, name, 30*time.Millisecond, func() string {
			text := ask()
			if _, err := strconv.ParseUint(text, 10, 64); text == publicOf["ex1"] || text == publicOf["ex2"] || counts && err == nil {
				w.told.add(text)
				return ""
			}
			if strings.Contains(text, ".") && !strings.HasPrefix(text, "no answer") {
				return text
			}
			return "" // it is down, or cannot say
		})
	}
	guard, dc, wins := s.clerk.asker(t, guardAddr), s.clerk.asker(t, dcAddr), s.clerk.asker(t, winsAddr)
	second, cache, marker, serial := s.client.asker(t, farBindAddr), s.client.asker(t, farCacheAddr), s.clerk.asker(t, dcAddr), s.client.asker(t, farBindAddr)
	samba := s.clerk.asker(t, dcAddr)
	see("nameward", false, func() string { return guard.a("app.corp.example.") })
	see("AD DNS", false, func() string { return dc.a("app.e2e.example.") })
	see("nmbd", false, func() string { return wins.netbios("APP<20>") })
	see("WINS of Samba", false, func() string { return samba.netbios("APP<20>") })
	see("BIND", false, func() string { return second.a("app.corp.example.") })
	see("unbound", false, func() string { return cache.a("app.corp.example.") })
	see("epochs of the marker", true, func() string {
		_, rest, _ := strings.Cut(markerAt(marker, "app.e2e.example."), "epoch=")
		epoch, _, _ := strings.Cut(rest, " ")
		return epoch
	})
	see("serials at BIND", true, func() string {
		if f := strings.Fields(serial.lookup("corp.example.", dns.TypeSOA)); len(f) > 2 {
			return f[2]
		}
		return ""
	})
	see("epochs of the hook", true, func() string {
		if told := s.told(); len(told) > 0 {
			epoch, _, _ := strings.Cut(told[len(told)-1], " ")
			return epoch
		}
		return ""
	})
}

// told is what the program was told, each time: "2 198.51.100.12".
func (s *story) told() []string { return toldIn(s.path("told")) }

// toldIn reads what a program was told of one role: epoch and addresses.
func toldIn(path string) (out []string) {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		var notice struct {
			Roles []struct {
				Epoch     uint64
				Addresses []string
			}
		}
		if json.Unmarshal([]byte(line), &notice) == nil && len(notice.Roles) == 1 {
			out = append(out, fmt.Sprint(notice.Roles[0].Epoch, " ", strings.Join(notice.Roles[0].Addresses, " ")))
		}
	}
	return out
}

// isOrdered reports whether no epoch, in front of each line, is less than one before it.
func isOrdered(lines []string) bool {
	return slices.IsSortedFunc(lines, func(a, b string) int { return int(leading(a)) - int(leading(b)) })
}

func leading(line string) uint64 {
	word, _, _ := strings.Cut(line, " ")
	n, _ := strconv.ParseUint(word, 10, 64)
	return n
}

// inOrder fails the test if any server, at any time, went back to what was over, or the program was told so.
func (s *story) inOrder(t *testing.T) {
	t.Helper()
	for _, w := range s.witnesses {
		runs, _ := w.told.since(time.Time{})
		said := strings.Split(runs, ", ")
		switch {
		case runs == "":
			t.Errorf("%s said nothing", w.name)
		case w.counts && !isOrdered(said):
			t.Errorf("%s went back: %s", w.name, runs)
		case !w.counts && !isSubsequence(said, s.moved):
			t.Errorf("%s went back:\n said: %s\nmoves: %s", w.name, runs, strings.Join(s.moved, ", "))
		}
	}
	if told := s.told(); !isOrdered(told) {
		t.Errorf("the program was told in the wrong order: %s", strings.Join(told, ", "))
	}
}

func isSubsequence(of, all []string) bool {
	for _, x := range of {
		i := slices.Index(all, x)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}

// move has the role go to the other node, and tells which one that is.
func (s *story) move(t *testing.T) (node string, epoch uint64) {
	t.Helper()
	node = "ex2"
	if s.moved[len(s.moved)-1] == publicOf["ex2"] {
		node = "ex1"
	}
	s.moved = append(s.moved, publicOf[node])
	epoch, err := s.n.move("app", node)
	if err != nil {
		t.Fatal(err)
	}
	return node, epoch
}

// settled waits until every target has the newest state, asks all servers, and tells how long each took, in order.
func (s *story) settled(t *testing.T, limit time.Duration) string {
	t.Helper()
	reply, err := pushctl.Client{Client: s.n.Client}.Wait(t.Context(), pushctl.WaitRequest{Change: s.n.status(t).Change, Roles: []string{"app"}}, limit)
	if err != nil || !reply.Done {
		t.Fatalf("not every target has it within %s: %v\n%s", limit, err, s.n.do(t, "push", "status"))
	}
	s.everywhere(t)
	slices.SortFunc(reply.Targets, func(a, b push.Progress) int { return int(a.Took - b.Took) })
	var took []string
	for _, p := range reply.Targets {
		took = append(took, fmt.Sprintf("%s %s", p.Target, p.Took.Round(time.Millisecond)))
	}
	return strings.Join(took, ", ")
}

// everywhere asks all servers, and fails the test unless they say where the role is, and nothing else.
func (s *story) everywhere(t *testing.T) {
	t.Helper()
	addr := s.moved[len(s.moved)-1]
	for _, server := range []struct{ name, addr, host string }{
		{"nameward", guardAddr, "app.corp.example."}, {"AD DNS", dcAddr, "app.e2e.example."}, {"BIND", farBindAddr, "app.corp.example."}, {"unbound", farCacheAddr, "app.corp.example."},
	} {
		same(t, server.name, s.client.asker(t, server.addr).a(server.host), addr)
	}
	for name, server := range map[string]string{"nameward": guardAddr, "nmbd": winsAddr, "Samba": dcAddr} {
		a := s.client.asker(t, server)
		for _, suffix := range []string{"<00>", "<03>", "<20>"} {
			same(t, "APP"+suffix+" at "+name, a.netbios("APP"+suffix), addr)
		}
	}
	epoch := s.n.role(t, "app").Epoch
	told := s.told()
	same(t, "the program", told[len(told)-1], fmt.Sprint(epoch, " ", addr))
	holds(t, "the marker", markerAt(s.clerk.asker(t, dcAddr), "app.e2e.example."), fmt.Sprintf("epoch=%d", epoch))
	for _, zone := range storyZones {
		records := strings.Join(s.client.axfr(t, farBindAddr, zone), "\n")
		holds(t, "zone "+zone+" at BIND", records, " SOA ")
		if strings.Contains(records, "10.9.") {
			t.Errorf("a management address is in zone %s at BIND:\n%s", zone, records)
		}
	}
}

// history is what became of the deliveries to a target since an epoch, the latest first: "5 verified".
func (s *story) history(t *testing.T, target string, since uint64) string {
	t.Helper()
	st, err := pushctl.Client{Client: s.n.Client}.Status(t.Context(), pushctl.Filter{Target: target, History: 500})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range st.History {
		if d.Target == target && d.Epoch >= since {
			out = append(out, fmt.Sprint(d.Epoch, " ", d.Stage))
		}
	}
	return strings.Join(out, ", ")
}

func (s *story) targets(t *testing.T) (names []string) {
	t.Helper()
	st, err := pushctl.Client{Client: s.n.Client}.Status(t.Context(), pushctl.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range st.Targets {
		names = append(names, target.Name)
	}
	return names
}
