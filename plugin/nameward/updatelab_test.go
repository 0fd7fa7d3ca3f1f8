package nameward

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/zone"
)

// updateWorld is the world of the tests of updates. ex1 holds mailbox, web1 and web2 serve www, and nobody ever
// claimed new.
//
//	corp.example.          takes updates; mail and www are roles' names, ex1 is a host, ns1 a name server
//	2.0.192.in-addr.arpa.  takes updates; 11 is ex1's
//	9.10.in-addr.arpa.     takes updates; management addresses
//	static.example.        takes none
const updateWorld = `
classes: {management: [10.9.0.0/16], public: [192.0.2.0/24]}
clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.11, "2001:db8::11"], management: [10.9.0.11], host: ex1.corp.example.}
      ex2: {public: [192.0.2.12], management: [10.9.0.12]}
    roles:
      - {name: mailbox, dns: [mail.corp.example.], source: {operator: {initial: ex1}}}
      - {name: new, dns: [new.corp.example.]}
      - {name: www, dns: [www.corp.example.], mode: all}
zones:
  - {name: corp.example., ns: {ns1.corp.example.: [192.0.2.53]}, updates: own}
  - {name: 2.0.192.in-addr.arpa., ns: {ns1.corp.example.: []}, updates: own}
  - {name: 9.10.in-addr.arpa., ns: {ns1.corp.example.: []}, updates: own}
  - {name: static.example., ns: {ns1.corp.example.: []}}
updates: {explain: [192.0.2.0/24, "fe80::/10"]}
policy: policy.yaml
`

// updatePolicy has a rule for every way in which one can speak of an update.
const updatePolicy = `version: 1
rules:
  - {id: frozen, names: [frozen.corp.example.], channels: [update], action: refuse}
  - {id: trash, names: [.trash.corp.example.], channels: [update], action: quarantine}
  - {id: elsewhere, names: [.elsewhere.corp.example.], channels: [update], action: forward}
  - {id: no-txt, names: [.typed.corp.example.], channels: [update], types: [TXT], action: refuse}
  - {id: no-ssh, names: [.typed.corp.example.], channels: [update], types: [SSHFP], action: quarantine}
  - {id: printers, names: [.print.corp.example.], channels: [update], from: [192.0.2.100/32, "fe80::/10"], classes: [public], action: publish}
  - {id: cam-filtered, names: [.cam.corp.example.], channels: [update], classes: ["@filtered"], action: strip}
  - {id: cameras, names: [.cam.corp.example.], channels: [update], from: [192.0.2.0/24], types: [A], action: publish}
  - {id: keyed, names: [.keyed.corp.example.], channels: [update], principals: [good.], action: publish}
  - {id: not-keyed, names: [.keyed.corp.example.], channels: [update], action: refuse}
`

// updateLab is a guard that takes updates, without a DNS server.
type updateLab struct {
	t testing.TB
	*Guard
	dir string
}

func newUpdateLab(t testing.TB) *updateLab {
	t.Helper()
	dir, err := os.MkdirTemp("", "nameward")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &updateLab{t: t, dir: dir}
	l.write("policy.yaml", updatePolicy)
	l.write("nameward.yaml", updateWorld+fmt.Sprintf("control: {socket: %q}\nstore: {bolt: %q}\n", filepath.Join(dir, "c.sock"), filepath.Join(dir, "n.db")))
	l.Guard = startGuard(t, filepath.Join(dir, "nameward.yaml"))
	claim(t, l.reg, "www", "ex1", "ex2")
	inStep(t, l)
	return l
}

func (l *updateLab) write(name, content string) {
	l.t.Helper()
	write(l.t, filepath.Join(l.dir, name), content)
}

// updateWriter is the connection of a client.
type updateWriter struct {
	test.ResponseWriter
	from   string // an address, with a zone or without
	status error
	reply  *dns.Msg
}

func (w *updateWriter) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(w.from), 40000))
}
func (w *updateWriter) TsigStatus() error { return w.status }

func (w *updateWriter) WriteMsg(m *dns.Msg) error {
	w.reply = m
	return nil
}

// client is who sends updates in a test. The zero one is a stranger who signs nothing.
type client struct {
	from   string // default 203.0.113.9
	key    string // "" for none
	status error  // of the signature
}

func (l *updateLab) send(c client, m *dns.Msg) *dns.Msg {
	l.t.Helper()
	if c.from == "" {
		c.from = "203.0.113.9"
	}
	if c.key != "" {
		m.SetTsig(c.key, dns.HmacSHA256, 300, time.Now().Unix()-1000)
	}
	w := &updateWriter{from: c.from, status: c.status}
	if _, err := l.updating().serve(context.Background(), w, l.overWire(m)); err != nil {
		l.t.Fatal(err)
	}
	return w.reply
}

// overWire packs and unpacks a message, for the library leaves traces in records of class NONE and ANY alike.
func (l *updateLab) overWire(m *dns.Msg) *dns.Msg {
	l.t.Helper()
	b, err := m.Pack()
	out := new(dns.Msg)
	if err == nil {
		err = out.Unpack(b)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// parsed is an update in the words of the tables: records with "+" are added, "-" deletes a record, a set or a
// name, "yes" and "no" are prerequisites. Names are relative to the zone.
func parsed(t testing.TB, zone, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetUpdate(zone)
	for part := range strings.SplitSeq(text, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		switch rr := recordOf(t, zone, words[1:]); words[0] {
		case "+":
			m.Insert([]dns.RR{rr})
		case "-":
			deletion(m, rr, len(words))
		case "yes":
			if len(words) > 3 {
				m.Used([]dns.RR{rr})
				continue
			}
			m.RRsetUsed([]dns.RR{rr})
		case "no":
			m.RRsetNotUsed([]dns.RR{rr})
		}
	}
	return m
}

func deletion(m *dns.Msg, rr dns.RR, words int) {
	switch words {
	case 2:
		m.RemoveName([]dns.RR{rr})
	case 3:
		m.RemoveRRset([]dns.RR{rr})
	default:
		m.Remove([]dns.RR{rr})
	}
}

// recordOf reads NAME, NAME TYPE, NAME TYPE DATA or NAME TTL TYPE DATA.
func recordOf(t testing.TB, zone string, words []string) dns.RR {
	t.Helper()
	owner := words[0] + "." + zone
	if strings.HasSuffix(words[0], ".") {
		owner = words[0]
	}
	switch len(words) {
	case 1:
		return &dns.ANY{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeANY}}
	case 2:
		return &dns.ANY{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.StringToType[words[1]]}}
	}
	rr, err := dns.NewRR("$ORIGIN " + zone + "\n" + owner + " " + strings.Join(words[1:], " "))
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// registered lists what updates put into a zone, in the order of the zone, names relative to it.
func (l *updateLab) registered(name string) string {
	var out []string
	for n := range l.Zones().View(name).All() {
		for _, s := range n.Sets {
			out = append(out, recordsOf(s, name)...)
		}
	}
	return strings.Join(out, "; ")
}

func recordsOf(s zone.Set, name string) (out []string) {
	for _, r := range s.Records {
		h := r.RR.Header()
		owner := strings.TrimSuffix(strings.TrimSuffix(h.Name, name), ".")
		out = append(out, fmt.Sprintf("%s %d %s %s", owner, h.Ttl, dns.Type(h.Rrtype), strings.TrimPrefix(r.RR.String(), h.String())))
	}
	slices.Sort(out)
	return out
}

// heldBack lists what is in the book, sorted.
func (l *updateLab) heldBack() string {
	var out []string
	for _, h := range l.updating().book.List() {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", h.Fate, h.What(), h.Name, h.Data))+": "+h.Reason)
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// explained is the extended error of a reply in words, "" for none.
func explained(m *dns.Msg) string {
	if m.IsEdns0() == nil {
		return ""
	}
	for _, o := range m.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			return fmt.Sprintf("%d %s", e.InfoCode, e.ExtraText)
		}
	}
	return ""
}

// install makes changes without asking the policy.
func (l *updateLab) install(name, text string) {
	l.t.Helper()
	m := l.overWire(parsed(l.t, name, text))
	if len(m.Ns) == 0 {
		return
	}
	zone.Check(name, nil, m.Ns)
	if res, err := l.Zones().Do(l.t.Context(), zone.Update{Zone: name, Changes: m.Ns, By: &zone.By{Principal: "before."}}); err != nil || res.Rcode != 0 {
		l.t.Fatal(res, err)
	}
}
