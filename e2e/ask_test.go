//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
)

// Asker asks one guard over DNS and NetBIOS, from sockets in a host.
type Asker struct {
	dns *dns.Conn
	nb  *nbns.Client
	to  netip.Addr
	// patience is how long an answer over DNS is waited for.
	patience time.Duration
}

func (h *Host) asker(t *testing.T, server string) *Asker {
	t.Helper()
	conn, err := h.dial("udp", net.JoinHostPort(server, "53"))
	if err != nil {
		t.Fatal(err)
	}
	h.lab.t.Cleanup(func() { conn.Close() })
	return &Asker{
		dns: &dns.Conn{Conn: conn, UDPSize: dns.DefaultMsgSize}, to: netip.MustParseAddr(server), patience: 2 * time.Second,
		nb: &nbns.Client{Conn: h.packetConn(t), UnicastTries: 1, UnicastTimeout: 2 * time.Second},
	}
}

// exchange sends one query once; there is no second try that would hide a lost one.
func (a *Asker) exchange(name string, qtype uint16) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(name, qtype)
	if err := a.dns.SetDeadline(time.Now().Add(a.patience)); err != nil {
		return nil, err
	}
	if err := a.dns.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		r, err := a.dns.ReadMsg()
		if err != nil || r.Id == m.Id { // else it is late, for a question given up before
			return r, err
		}
	}
}

// lookup is the answer in words: the addresses in order, NODATA, the rcode, or the error.
func (a *Asker) lookup(name string, qtype uint16) string {
	r, err := a.exchange(name, qtype)
	switch {
	case err != nil:
		return "no answer: " + err.Error()
	case r.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[r.Rcode]
	}
	var out []string
	for _, rr := range r.Answer {
		if rr.Header().Rrtype == qtype {
			out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	if len(out) == 0 {
		return "NODATA"
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (a *Asker) a(name string) string { return a.lookup(name, dns.TypeA) }

// serial is the SOA serial of a zone.
func (a *Asker) serial(t *testing.T, zone string) uint32 {
	t.Helper()
	r, err := a.exchange(zone, dns.TypeSOA)
	if err != nil {
		t.Fatalf("SOA of %s: %v", zone, err)
	}
	return serialIn(t, r)
}

func serialIn(t *testing.T, r *dns.Msg) uint32 {
	t.Helper()
	for _, rr := range r.Answer {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa.Serial
		}
	}
	t.Fatalf("no SOA in\n%s", r)
	return 0
}

// netbios is the answer to a unicast name query in words: the addresses in order, "negative", or
// "silence".
func (a *Asker) netbios(name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	r, err := a.nb.Query(ctx, netip.AddrPortFrom(a.to, netbios.Port), netbios.MustParseName(name))
	var negative *nbns.NegativeError
	switch {
	case errors.As(err, &negative):
		return "negative"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case err != nil:
		return err.Error()
	}
	var out []string
	for _, addr := range r.Addrs {
		out = append(out, addr.Addr.String())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// both is what DNS and NetBIOS say, in that order.
func (a *Asker) both(dnsName, nbName string) string {
	return a.a(dnsName) + " | " + a.netbios(nbName)
}

// digged is what dig printed.
type digged struct {
	text       string
	status     string
	flags      []string
	answer     []string // one record each, single spaces between the fields
	authority  []string
	additional []string
	size       int  // octets received
	tcp        bool // the answer came over TCP
	truncated  bool // an answer before it was truncated
}

var (
	digStatus = regexp.MustCompile(`status: ([A-Z0-9]+)`)
	digFlags  = regexp.MustCompile(`(?m)^;; flags: ([a-z ]*);`)
	digSize   = regexp.MustCompile(`MSG SIZE +rcvd: (\d+)`)
)

// dig asks the server with the real dig. Arguments are dig's.
func (h *Host) dig(t *testing.T, server string, args ...string) digged {
	t.Helper()
	text := h.run(t, append([]string{"dig", "@" + server, "+time=2", "+tries=1", "+nocookie"}, args...)...)
	d := digged{text: text, truncated: strings.Contains(text, "Truncated, retrying in TCP"), tcp: strings.Contains(text, "(TCP)")}
	if m := digStatus.FindStringSubmatch(text); m != nil {
		d.status = m[1]
	}
	if m := digFlags.FindStringSubmatch(text); m != nil {
		d.flags = strings.Fields(m[1])
	}
	if m := digSize.FindStringSubmatch(text); m != nil {
		d.size, _ = strconv.Atoi(m[1])
	}
	var section *[]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, ";; ANSWER SECTION"):
			section = &d.answer
		case strings.HasPrefix(line, ";; AUTHORITY SECTION"):
			section = &d.authority
		case strings.HasPrefix(line, ";; ADDITIONAL SECTION"):
			section = &d.additional
		case line == "" || strings.HasPrefix(line, ";"):
			section = nil
		case section != nil:
			*section = append(*section, strings.Join(strings.Fields(line), " "))
		}
	}
	return d
}

// brief is status and answer in one line.
func (d digged) brief() string { return d.status + ": " + strings.Join(d.answer, "; ") }

// axfr is a zone as a transfer gives it: its records in order, the closing SOA left out.
func (h *Host) axfr(t *testing.T, server, zone string) []string {
	t.Helper()
	text := h.run(t, "dig", "@"+server, "+time=2", "+tries=1", "+noall", "+answer", "+onesoa", "AXFR", zone)
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.HasPrefix(line, ";") {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}

// named starts BIND in the host with the given options and zones and waits until it answers for a zone.
func (h *Host) named(t *testing.T, addr, zones, waitFor string) *Process {
	t.Helper()
	dir := h.lab.path("named-" + h.name)
	conf := h.lab.write("named-"+h.name+"/named.conf", fmt.Sprintf(`
options {
	directory %q; pid-file "named.pid"; session-keyfile "session.key";
	listen-on port 53 { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; notify no; serial-query-rate 100;
};
controls { };
%s
`, dir, addr, zones))
	p := h.startIn(t, dir, "named", "-g", "-n", "1", "-c", conf)
	a := h.asker(t, addr)
	soon(t, "named answers for "+waitFor, 20*time.Second, "NOERROR", func() string {
		r, err := a.exchange(waitFor, dns.TypeSOA)
		if err != nil {
			if !p.running() {
				t.Fatalf("named ended\n%s", p.output())
			}
			return err.Error()
		}
		return dns.RcodeToString[r.Rcode]
	})
	return p
}
