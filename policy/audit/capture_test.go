package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbpcap"
	"github.com/nameward/nameward/policy"
)

const (
	capServer = "192.0.2.53:53"
	capClient = "192.0.2.21:40000"
)

var capTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// nbPacket is a packet of the NetBIOS name service.
func nbPacket(src, dst string, m netbios.Message) nbpcap.Packet {
	return nbpcap.Packet{Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst), Message: m, Time: capTime}
}

// dnsPacket is a message over UDP, or TCP, between server and client: by the QR bit.
func dnsPacket(t testing.TB, tcp bool, m *dns.Msg) nbpcap.Packet {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	src, dst := netip.MustParseAddrPort(capClient), netip.MustParseAddrPort(capServer)
	if m.Response {
		src, dst = dst, src
	}
	return nbpcap.Packet{Protocol: nbpcap.DNS, TCP: tcp, Src: src, Dst: dst, Payload: b, Time: capTime}
}

func rrOf(t testing.TB, texts ...string) []dns.RR {
	t.Helper()
	rrs := make([]dns.RR, len(texts))
	for i, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		rrs[i] = rr
	}
	return rrs
}

func captureOf(t testing.TB, packets ...nbpcap.Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := nbpcap.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// captureLines writes what comes as a line each.
func captureLines(t testing.TB, all iter.Seq2[*Record, error]) (lines []string) {
	t.Helper()
	for r, err := range all {
		var p *Problem
		switch {
		case errors.As(err, &p):
			lines = append(lines, fmt.Sprintf("fatal=%v %v", p.Fatal, p))
		case err != nil:
			t.Fatalf("not a *Problem: %v", err)
		default:
			lines = append(lines, captureLine(r))
		}
	}
	return lines
}

func captureLine(r *Record) string {
	line := fmt.Sprintf("%d %s %s %s %v from %s", r.Place.Packet, r.Channel, r.Name(), r.TypeName(), r.Addrs, r.Source)
	if r.Group {
		line += " group"
	}
	if r.Zone != "" {
		line += " in " + r.Zone
	}
	if r.Principal != "" {
		line += " by " + r.Principal
	}
	if r.Detail != "" {
		line += " (" + r.Detail + ")"
	}
	return line
}

func TestCaptureOfNameService(t *testing.T) {
	name := netbios.MustParseName("mail<20>")
	one := netbios.Address{Addr: netip.MustParseAddr("192.0.2.11")}
	two := netbios.Address{Addr: netip.MustParseAddr("10.9.0.11")}
	group := netbios.Address{Flags: netbios.Group, Addr: one.Addr}
	refresh9 := netbios.NewRefresh(1, name, 0, one)
	refresh9.Opcode = netbios.OpRefreshAlt
	noRecord := netbios.NewRegistration(1, name, 0, one)
	noRecord.Additional = nil
	const node, wins, all, subnet = "192.0.2.11:137", "192.0.2.42:137", "255.255.255.255:137", "192.0.2.255:137"
	tests := []struct {
		name     string
		src, dst string
		m        netbios.Message
		want     string
	}{
		{"registration", node, wins, netbios.NewRegistration(1, name, 0, one), "1 wins MAIL<20> NB [192.0.2.11] from 192.0.2.11 (registration)"},
		{"two addresses", node, wins, netbios.NewRegistration(1, name, 0, two, one), "1 wins MAIL<20> NB [10.9.0.11 192.0.2.11] from 192.0.2.11 (registration)"},
		{"multihomed", node, wins, netbios.NewMultihomed(1, name, 0, two), "1 wins MAIL<20> NB [10.9.0.11] from 192.0.2.11 (multihomed)"},
		{"overwrite", node, wins, netbios.NewOverwrite(1, name, 0, one), "1 wins MAIL<20> NB [192.0.2.11] from 192.0.2.11 (overwrite)"},
		{"refresh", node, wins, netbios.NewRefresh(1, name, 0, one), "1 wins MAIL<20> NB [192.0.2.11] from 192.0.2.11 (refresh)"},
		{"refresh with opcode 9", node, wins, refresh9, "1 wins MAIL<20> NB [192.0.2.11] from 192.0.2.11 (refresh)"},
		{"group", node, wins, netbios.NewRegistration(1, name, 0, group), "1 wins MAIL<20> NB [192.0.2.11] from 192.0.2.11 group (registration)"},
		{"broadcast", node, subnet, netbios.NewRegistration(1, name, 0, one).Broadcast(), "1 nbns-broadcast MAIL<20> NB [192.0.2.11] from 192.0.2.11 (registration)"},
		{"to everybody without B", node, all, netbios.NewRegistration(1, name, 0, one), "1 nbns-broadcast MAIL<20> NB [192.0.2.11] from 192.0.2.11 (registration)"},
		{"to .255 without B", node, subnet, netbios.NewRegistration(1, name, 0, one), "1 wins MAIL<20> NB [192.0.2.11] from 192.0.2.11 (registration)"},
		{"B to a host", node, wins, netbios.NewRegistration(1, name, 0, one).Broadcast(), "1 nbns-broadcast MAIL<20> NB [192.0.2.11] from 192.0.2.11 (registration)"},
		{"answer", wins, node, netbios.NewPositiveQuery(1, name, 300, two), "1 answer MAIL<20> NB [10.9.0.11] from 192.0.2.42 (positive-query)"},
		{"answer for a group", wins, node, netbios.NewPositiveQuery(1, name, 300, netbios.Address{Flags: netbios.Group, Addr: limitedBroadcast}), ""},
		{"negative answer", wins, node, netbios.NewNegativeQuery(1, netbios.RcodeName, name), ""},
		{"registration response", wins, node, netbios.NewPositiveRegistration(1, name, 300, one), ""},
		{"release", node, wins, netbios.NewRelease(1, name, one), ""},
		{"query", node, wins, netbios.NewQuery(1, name), ""},
		{"registration without a record", node, wins, noRecord, "fatal=false f packet 1: the registration has no NB record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := captureLines(t, readCapture("f", bytes.NewReader(captureOf(t, nbPacket(tt.src, tt.dst, tt.m)))))
			if got := strings.Join(lines, "\n"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func answerOf(t testing.TB, answer, authority, additional []string) *dns.Msg {
	t.Helper()
	m := &dns.Msg{Answer: rrOf(t, answer...), Ns: rrOf(t, authority...), Extra: rrOf(t, additional...)}
	m.Id, m.Response, m.Compress = 1, true, true
	m.Question = []dns.Question{{Name: "mail.corp.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}
	return m
}

func TestCaptureOfAnswers(t *testing.T) {
	mangle := func(m *dns.Msg, f func(*dns.Msg)) *dns.Msg { f(m); return m }
	a := []string{"mail.corp.example. 5 A 192.0.2.11"}
	tests := []struct {
		name string
		m    *dns.Msg
		want []string
	}{
		{"A", answerOf(t, a, nil, nil), []string{"1 answer mail.corp.example. A [192.0.2.11] from 192.0.2.53"}},
		{"case", answerOf(t, []string{"MAIL.Corp.Example. 5 A 192.0.2.11"}, nil, nil), []string{"1 answer mail.corp.example. A [192.0.2.11] from 192.0.2.53"}},
		{"RRsets", answerOf(t, []string{"www.example. 5 CNAME b.example.", "b.example. A 192.0.2.2", "c.example. A 192.0.2.3", "B.example. A 10.9.0.2", "b.example. AAAA 2001:db8::2"}, nil, nil), []string{
			"1 answer b.example. A [192.0.2.2 10.9.0.2] from 192.0.2.53",
			"1 answer b.example. AAAA [2001:db8::2] from 192.0.2.53",
			"1 answer c.example. A [192.0.2.3] from 192.0.2.53"}},
		{"all sections", answerOf(t, a, []string{"b.example. A 192.0.2.2", "example. NS b.example."}, []string{"mail.corp.example. A 192.0.2.12"}), []string{
			"1 answer mail.corp.example. A [192.0.2.11] from 192.0.2.53",
			"1 answer b.example. A [192.0.2.2] from 192.0.2.53",
			"1 answer mail.corp.example. A [192.0.2.12] from 192.0.2.53"}},
		{"PTR", answerOf(t, []string{"11.0.9.10.in-addr.arpa. PTR mail.corp.example.", "11.0.9.10.in-addr.arpa. PTR b.example.", "x.in-addr.arpa. PTR c.example."}, nil, nil),
			[]string{"1 answer 11.0.9.10.in-addr.arpa. PTR [10.9.0.11] from 192.0.2.53"}},
		{"HTTPS", answerOf(t, []string{"w.example. HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1,10.9.0.1 ipv6hint=2001:db8::1", "v.example. HTTPS 1 . alpn=h2", "u.example. SVCB 1 . ipv4hint=10.9.0.3"}, nil, nil), []string{
			"1 answer u.example. SVCB [10.9.0.3] from 192.0.2.53",
			"1 answer w.example. HTTPS [192.0.2.1 10.9.0.1 2001:db8::1] from 192.0.2.53"}},
		{"other types", answerOf(t, []string{"example. MX 5 mail.example.", "example. TXT \"10.9.0.1\""}, nil, nil), nil},
		{"other class", answerOf(t, []string{"example. CH A 10.9.0.1"}, nil, nil), nil},
		{"NXDOMAIN", mangle(answerOf(t, a, nil, nil), func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }), nil},
		{"query", mangle(answerOf(t, a, nil, nil), func(m *dns.Msg) { m.Response = false }), nil},
		{"NOTIFY", mangle(answerOf(t, a, nil, nil), func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), nil},
	}
	for _, tt := range tests {
		for _, tcp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TCP %v", tt.name, tcp), func(t *testing.T) {
				got := captureLines(t, readCapture("f", bytes.NewReader(captureOf(t, dnsPacket(t, tcp, tt.m)))))
				if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
					t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
				}
			})
		}
	}
}

func TestCaptureOfUpdates(t *testing.T) {
	update := func(f func(*dns.Msg)) *dns.Msg {
		m := new(dns.Msg).SetUpdate("Corp.Example.")
		f(m)
		return m
	}
	tests := []struct {
		name string
		m    *dns.Msg
		want []string
	}{
		{"added", update(func(m *dns.Msg) {
			m.Insert(rrOf(t, "EX1.corp.example. A 192.0.2.11", "ex1.corp.example. A 10.9.0.11", "ex1.corp.example. AAAA 2001:db8::1", "ex1.corp.example. TXT x"))
		}), []string{
			"1 update ex1.corp.example. A [192.0.2.11 10.9.0.11] from 192.0.2.21 in corp.example.",
			"1 update ex1.corp.example. AAAA [2001:db8::1] from 192.0.2.21 in corp.example."}},
		{"deleted", update(func(m *dns.Msg) {
			m.RemoveRRset(rrOf(t, "ex1.corp.example. A 192.0.2.11"))
			m.Remove(rrOf(t, "ex1.corp.example. A 192.0.2.12"))
			m.RemoveName(rrOf(t, "ex2.corp.example. A 192.0.2.12"))
		}), nil},
		{"prerequisites", update(func(m *dns.Msg) {
			m.Used(rrOf(t, "ex1.corp.example. A 192.0.2.11"))
			m.NameNotUsed(rrOf(t, "ex2.corp.example. A 192.0.2.11"))
			m.Insert(rrOf(t, "ex3.corp.example. A 10.9.0.3"))
		}), []string{"1 update ex3.corp.example. A [10.9.0.3] from 192.0.2.21 in corp.example."}},
		{"signed", update(func(m *dns.Msg) {
			m.Insert(rrOf(t, "ex3.corp.example. A 10.9.0.3"))
			m.SetTsig("Key.Example.", dns.HmacSHA256, 300, 1)
		}), []string{"1 update ex3.corp.example. A [10.9.0.3] from 192.0.2.21 in corp.example. by key.example. (signed by key.example. (not verified))"}},
		{"response", update(func(m *dns.Msg) { m.Insert(rrOf(t, "ex3.corp.example. A 10.9.0.3")); m.Response = true }), nil},
		{"no zone", update(func(m *dns.Msg) { m.Question = nil }), []string{"fatal=false f packet 1: the update is for 0 zones, it must be for one"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := captureLines(t, readCapture("f", bytes.NewReader(captureOf(t, dnsPacket(t, true, tt.m)))))
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestCaptureOfTransfers(t *testing.T) {
	soa := func(serial int) string {
		return fmt.Sprintf("corp.example. SOA ns.example. h.example. %d 1 1 1 1", serial)
	}
	// message is one message of a transfer; qtype 0 leaves the question out.
	message := func(id uint16, qtype uint16, rrs ...string) nbpcap.Packet {
		m := answerOf(t, rrs, nil, nil)
		m.Id, m.Question = id, nil
		if qtype != 0 {
			m.Question = []dns.Question{{Name: "Corp.Example.", Qtype: qtype, Qclass: dns.ClassINET}}
		}
		return dnsPacket(t, true, m)
	}
	const a, b, c, from = "a.corp.example. A 10.9.0.1", "b.corp.example. A 10.9.0.2", "c.corp.example. A 10.9.0.3", " from 192.0.2.53 in corp.example."
	tests := []struct {
		name    string
		packets []nbpcap.Packet
		want    []string
	}{
		{"AXFR", []nbpcap.Packet{message(1, dns.TypeAXFR, soa(1), a, b, soa(1))},
			[]string{"1 transfer a.corp.example. A [10.9.0.1]" + from, "1 transfer b.corp.example. A [10.9.0.2]" + from}},
		{"question in the first message only", []nbpcap.Packet{message(1, dns.TypeAXFR, soa(1), a), message(1, 0, b), message(1, 0, soa(1)), message(1, 0, c)},
			[]string{"1 transfer a.corp.example. A [10.9.0.1]" + from, "2 transfer b.corp.example. A [10.9.0.2]" + from, "4 answer c.corp.example. A [10.9.0.3] from 192.0.2.53"}},
		{"question in each message", []nbpcap.Packet{message(1, dns.TypeIXFR, soa(2), soa(1), a), message(1, dns.TypeIXFR, b, soa(2), c, soa(2))},
			[]string{"2 transfer c.corp.example. A [10.9.0.3]" + from}},
		{"IXFR", []nbpcap.Packet{message(1, dns.TypeIXFR, soa(3), soa(1), a, soa(2), b, soa(2), b, soa(3), c, soa(3))},
			[]string{"1 transfer b.corp.example. A [10.9.0.2]" + from, "1 transfer c.corp.example. A [10.9.0.3]" + from}},
		{"IXFR with the whole zone", []nbpcap.Packet{message(1, dns.TypeIXFR, soa(3), a, b, soa(3))},
			[]string{"1 transfer a.corp.example. A [10.9.0.1]" + from, "1 transfer b.corp.example. A [10.9.0.2]" + from}},
		{"IXFR of nothing new", []nbpcap.Packet{message(1, dns.TypeIXFR, soa(3))}, nil},
		{"answer beside it", []nbpcap.Packet{message(1, dns.TypeAXFR, soa(1), a), message(1, dns.TypeA, b), message(2, 0, c)},
			[]string{"1 transfer a.corp.example. A [10.9.0.1]" + from, "2 answer b.corp.example. A [10.9.0.2] from 192.0.2.53", "3 answer c.corp.example. A [10.9.0.3] from 192.0.2.53"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := captureLines(t, readCapture("f", bytes.NewReader(captureOf(t, tt.packets...))))
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
	c2 := newCapture("f", func(*Record, error) bool { return true })
	for i := range 10 * maxTransfers {
		p := message(uint16(i), dns.TypeAXFR, soa(1))
		c2.packet = p
		if c2.dns(); len(c2.transfers) > maxTransfers {
			t.Fatalf("%d transfers are kept", len(c2.transfers))
		}
	}
}

func TestCaptureProblems(t *testing.T) {
	good := nbPacket("192.0.2.11:137", "192.0.2.42:137", netbios.NewRegistration(1, netbios.MustParseName("MAIL<20>"), 0, netbios.Address{Addr: netip.MustParseAddr("10.9.0.1")}))
	short := good
	short.Payload = []byte{1, 2, 3}
	answer := dnsPacket(t, false, answerOf(t, []string{"a.example. A 10.9.0.1"}, nil, nil))
	noHeader, cut := answer, answer
	noHeader.Payload, cut.Payload = answer.Payload[:11], answer.Payload[:len(answer.Payload)-1]
	file := captureOf(t, good, short, noHeader, cut, good)
	const line = "wins MAIL<20> NB [10.9.0.1] from 192.0.2.11 (registration)"
	want := []string{
		"1 " + line,
		"fatal=false f packet 2: packet ends too early",
		"fatal=false f packet 3: the DNS message is shorter than its header",
		"fatal=false f packet 4: parsing the DNS message: ",
		"5 " + line,
	}
	got := captureLines(t, readCapture("f", bytes.NewReader(file)))
	if !prefixedBy(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want[4] = "fatal=true f packet 5: capture file is cut off: unexpected EOF"
	if got := captureLines(t, readCapture("f", bytes.NewReader(file[:len(file)-1]))); !prefixedBy(got, want) {
		t.Errorf("cut off: got %q, want %q", got, want)
	}
	if got := captureLines(t, readCapture("f", strings.NewReader("no capture"))); !prefixedBy(got, []string{"fatal=true f: header of the capture file: unexpected EOF"}) {
		t.Errorf("no capture: %q", got)
	}
	for range readCapture("f", bytes.NewReader(file)) {
		break // must not be called again
	}
}

func prefixedBy(got, want []string) bool {
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
			return false
		}
	}
	return len(got) == len(want)
}

func TestCaptureTimes(t *testing.T) {
	file := captureOf(t, dnsPacket(t, false, answerOf(t, []string{"a.example. A 10.9.0.1"}, nil, nil)))
	for r, err := range readCapture("f", bytes.NewReader(file)) {
		if err != nil || !r.Time.Equal(capTime) || !r.Since.Equal(capTime) || r.Place.File != "f" {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// TestCaptureCut cuts a file at every octet: what comes is what the whole file begins with, and then a
// fatal problem unless the cut falls between two packets.
func TestCaptureCut(t *testing.T) {
	b, err := os.ReadFile("../../netbios/testdata/nmbd-node-status.pcap")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, captureOf(t, nbPacket("192.0.2.11:137", "192.0.2.42:137", netbios.NewRegistration(1, netbios.MustParseName("MAIL<20>"), 0)))[24:]...)
	whole := captureLines(t, readCapture("f", bytes.NewReader(b)))
	clean := 0
	for n := range b {
		got := captureLines(t, readCapture("f", bytes.NewReader(b[:n])))
		last := len(got) - 1
		if last < 0 || !strings.HasPrefix(got[last], "fatal=true f") {
			clean++
		} else {
			got = got[:last]
		}
		if len(got) > len(whole) || strings.Join(got, "\n") != strings.Join(whole[:len(got)], "\n") {
			t.Fatalf("cut to %d octets: %q", n, got)
		}
	}
	if clean != 3 {
		t.Errorf("%d clean cuts, want 3: behind the header and behind two frames", clean)
	}
}

// TestCaptureSamples reads the captures of real servers without a problem, and finds their names.
func TestCaptureSamples(t *testing.T) {
	paths, err := filepath.Glob("../../netbios/testdata/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	seen := map[policy.Channel]int{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range readCapture(path, f) {
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			seen[r.Channel]++
			if !r.NetBIOS.IsValid() || r.NetBIOS != r.NetBIOS.Fold() || r.Type != policy.TypeNB || !r.Source.IsValid() || r.Time.IsZero() || r.Place.Packet == 0 {
				t.Errorf("%s: %+v", path, r)
			}
		}
		f.Close()
	}
	for _, c := range []policy.Channel{policy.WINS, policy.Broadcast, policy.Answer} {
		if seen[c] == 0 {
			t.Errorf("nothing of channel %s in %v", c, seen)
		}
	}
}

// FuzzCapture checks that every file ends, with problems and records that are whole.
func FuzzCapture(f *testing.F) {
	update := new(dns.Msg).SetUpdate("corp.example.")
	update.Insert(rrOf(f, "ex1.corp.example. A 192.0.2.11"))
	f.Add(captureOf(f, dnsPacket(f, true, update), dnsPacket(f, false, answerOf(f, []string{"a.example. A 10.9.0.1"}, nil, nil))))
	f.Add(captureOf(f, nbPacket("192.0.2.11:137", "192.0.2.42:137", netbios.NewRegistration(1, netbios.MustParseName("MAIL<20>"), 0))))
	f.Fuzz(func(t *testing.T, b []byte) {
		fatal := false
		for r, err := range readCapture("f", bytes.NewReader(b)) {
			var p *Problem
			switch {
			case fatal:
				t.Fatal("something comes behind a fatal problem")
			case err != nil && !errors.As(err, &p):
				t.Fatalf("not a *Problem: %v", err)
			case err != nil:
				fatal = p.Fatal
			case (r.DNS != "") == r.NetBIOS.IsValid() || r.Channel == 0 || r.Place.Packet == 0:
				t.Fatalf("%+v", r)
			}
		}
	})
}

// BenchmarkCapture reads registrations and answers; what it reports is for one packet.
func BenchmarkCapture(b *testing.B) {
	registration := nbPacket("192.0.2.11:137", "192.0.2.42:137", netbios.NewRegistration(1, netbios.MustParseName("MAIL<20>"), 0, netbios.Address{Addr: netip.MustParseAddr("10.9.0.1")}))
	for name, p := range map[string]nbpcap.Packet{"registration": registration, "answer": dnsPacket(b, false, answerOf(b, []string{"a.example. A 10.9.0.1"}, nil, nil))} {
		b.Run(name, func(b *testing.B) {
			const packets = 20000
			one := captureOf(b, p)
			file := append(bytes.Clone(one[:24]), bytes.Repeat(one[24:], packets)...)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; {
				for _, err := range readCapture("f", io.LimitReader(bytes.NewReader(file), int64(24+min(packets, b.N-n)*len(one[24:])))) {
					if n++; err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
