//go:build linux

package e2e

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
)

// updatesFlood is how long TestUpdateFlood floods; the full measure is a minute.
var updatesFlood = flag.Duration("updates-flood", 10*time.Second, "how long TestUpdateFlood sends updates")

// packed is a message as it is sent, signed if there is a key.
func packed(t testing.TB, m *dns.Msg, key tsig.Key) []byte {
	t.Helper()
	var b []byte
	var err error
	if key.IsZero() {
		b, err = m.Pack()
	} else {
		key.Sign(m)
		b, _, err = dns.TsigGenerate(m, key.Secret, "", false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestUpdateGarbage sends forged, broken and random updates at a high rate while others ask. Nothing of it takes
// effect but what says the same as the message that was signed.
func TestUpdateGarbage(t *testing.T) {
	l := newLab(t)
	guard, client, evil := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("evil", "192.0.2.66")
	n := guard.owner(t, owning)
	watch := client.asker(t, guardAddr)
	asked := load(t, "DNS", time.Millisecond, func() string { return oneOf(watch.a("mail.corp.example."), "192.0.2.11") })
	ask := client.asker(t, guardAddr)
	same(t, "an update", client.updating(t, "udp", dhcpKey).send("corp.example.", "+ flip.dyn 60 A 192.0.2.1"), "NOERROR")
	before := strings.Join(withoutSOA(client.axfr(t, guardAddr, "corp.example.")), "\n")
	serial := ask.serial(t, "corp.example.")

	conn, err := evil.dial("udp", guardAddr+":53")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := 0
	send := func(b []byte) {
		if _, err := conn.Write(b); err == nil {
			sent++
		}
	}
	good := packed(t, updateOf(t, "corp.example.", "- flip.dyn A; + flip.dyn 60 A 192.0.2.1"), dhcpKey)
	for bit := range 8 * len(good) {
		b := slices.Clone(good)
		b[bit/8] ^= 1 << (bit % 8)
		send(b)
	}
	for end := range good {
		send(good[:end])
	}
	forged := packed(t, updateOf(t, "corp.example.", "- flip.dyn; + evil.dyn 60 A 192.0.2.66"), forgedKey)
	plain := packed(t, updateOf(t, "corp.example.", "- flip.dyn; + evil.dyn 60 A 192.0.2.66"), tsig.Key{})
	rnd := rand.New(rand.NewPCG(3, 4))
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		for _, of := range [][]byte{good, forged, plain} {
			b := slices.Clone(of)
			for range 1 + rnd.IntN(20) {
				b[rnd.IntN(len(b))] = byte(rnd.Uint32())
			}
			b[2] = dns.OpcodeUpdate<<3 | b[2]&0x87
			send(b[:1+rnd.IntN(len(b))])
			send(b)
		}
		send(forged)
		send(plain)
	}
	asked.end()
	same(t, "the zone", strings.Join(withoutSOA(client.axfr(t, guardAddr, "corp.example.")), "\n"), before)
	if now := ask.serial(t, "corp.example."); now != serial {
		t.Errorf("the serial went from %d to %d", serial, now)
	}
	t.Logf("%d messages; most memory %d MB", sent, peak(t, n)>>20)
}

func withoutSOA(records []string) []string {
	return slices.DeleteFunc(records, func(r string) bool { return strings.Contains(r, " SOA ") })
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most memory that the process had, in octets.
func peak(t *testing.T, n *Nameward) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := highWater.FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("no VmHWM")
	}
	kb, _ := strconv.Atoi(m[1])
	return kb << 10
}

// TestUpdateSizes has the largest messages that there are.
func TestUpdateSizes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	guard.owner(t, owning)
	ask := client.asker(t, guardAddr)
	for i, test := range []struct {
		network string
		most    int // octets
	}{{"tcp", dns.MaxMsgSize - 200}, {"udp", 65507 - 200}} {
		m := new(dns.Msg).SetUpdate("corp.example.")
		m.Compress = true
		count := 0
		for size := 200; size < test.most-20; count++ {
			text := fmt.Sprintf("s%d-%d.dyn.corp.example. 60 IN A 192.0.2.%d", i, count, count%250)
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			m.Ns = append(m.Ns, rr)
			size += 17 + len(fmt.Sprint("s", i, "-", count)) // a label, pointers, and the record
		}
		u := client.updating(t, test.network, dhcpKey)
		begin := time.Now()
		r, err := u.try(m)
		if err != nil || r.Rcode != 0 {
			t.Fatalf("%d records over %s: %v %v", count, test.network, r, err)
		}
		t.Logf("%d records, %d octets over %s: %s", count, m.Len(), test.network, time.Since(begin))
		for _, k := range []int{0, count / 2, count - 1} {
			same(t, "a record of it", ask.a(fmt.Sprintf("s%d-%d.dyn.corp.example.", i, k)), fmt.Sprintf("192.0.2.%d", k%250))
		}
	}
	if got := len(client.axfr(t, guardAddr, "corp.example.")); got < 4000 {
		t.Errorf("%d records in the transfer", got)
	}
}

// TestUpdateRace has 100 clients want one name at once, many times over: one gets it.
func TestUpdateRace(t *testing.T) {
	t.Parallel()
	const clients, rounds = 100, 20
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	guard.owner(t, owning)
	ask := client.asker(t, guardAddr)
	all := make([]*updating, clients)
	for i := range all {
		all[i] = client.updating(t, []string{"udp", "tcp"}[i%2], dhcpKey)
	}
	for round := range rounds {
		name := fmt.Sprintf("race%d.dyn", round)
		won, lost := atomic.Int64{}, atomic.Int64{}
		var winner atomic.Value
		var race sync.WaitGroup
		for i, u := range all {
			m := updateOf(t, "corp.example.", fmt.Sprintf("no %s; + %[1]s 60 A 198.51.100.%d", name, i))
			race.Go(func() {
				switch r, err := u.try(m); {
				case err != nil:
					t.Errorf("client %d: %v", i, err)
				case r.Rcode == dns.RcodeSuccess:
					won.Add(1)
					winner.Store(fmt.Sprintf("198.51.100.%d", i))
				case r.Rcode == dns.RcodeYXDomain:
					lost.Add(1)
				}
			})
		}
		race.Wait()
		if won.Load() != 1 || lost.Load() != clients-1 {
			t.Fatalf("%d won and %d lost", won.Load(), lost.Load())
		}
		same(t, "who won has the name", ask.a(name+".corp.example."), winner.Load().(string))
	}
}

// flooder sends signed updates, each of a name of its own, and notes which were acknowledged.
type flooder struct {
	t       *testing.T
	id      int
	conn    net.Conn
	sent    int
	acked   []int32
	rcodes  [16]int
	pending [1 << 16]atomic.Int32 // number of the update with an ID
}

func (f *flooder) name(n int32) string { return fmt.Sprintf("f%d-%d.dyn.corp.example.", f.id, n) }

// flood sends so many a second until the end.
func (f *flooder) flood(rate int, end time.Time) {
	begin := time.Now()
	for now := begin; now.Before(end); now = time.Now() {
		for due := int(now.Sub(begin).Seconds() * float64(rate)); f.sent < due; {
			f.sent++
			m := new(dns.Msg).SetUpdate("corp.example.")
			m.Id = uint16(f.sent)
			m.Ns = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: f.name(int32(f.sent)), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IP{198, 51, 100, 1}}}
			f.pending[m.Id].Store(int32(f.sent))
			b := packed(f.t, m, dhcpKey)
			_, _ = f.conn.Write(b) // what is lost is not acknowledged
		}
		time.Sleep(time.Millisecond)
	}
}

// collect reads replies until none comes any more.
func (f *flooder) collect(end time.Time) {
	buf := make([]byte, dns.DefaultMsgSize)
	for {
		if err := f.conn.SetReadDeadline(end.Add(5 * time.Second)); err != nil {
			return
		}
		n, err := f.conn.Read(buf)
		if err != nil {
			return
		}
		if n < 12 {
			continue
		}
		f.rcodes[buf[3]&15]++
		if buf[3]&15 == 0 {
			f.acked = append(f.acked, f.pending[binary.BigEndian.Uint16(buf)].Load())
		}
	}
}

// TestUpdateFlood sends 10,000 signed updates a second. Queries go on being answered, memory stays bounded, and
// what was acknowledged is there, after a restart too.
func TestUpdateFlood(t *testing.T) {
	const rate, senders = 10_000, 8
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.owner(t, owning)
	probe := client.asker(t, guardAddr)
	var took []time.Duration
	lost := 0
	queries := load(t, "DNS", time.Millisecond, func() string {
		begin := time.Now()
		got := probe.a("mail.corp.example.")
		if took = append(took, time.Since(begin)); strings.HasPrefix(got, "no answer") {
			lost++
			return ""
		}
		return oneOf(got, "192.0.2.11")
	})
	end := time.Now().Add(*updatesFlood)
	all := make([]*flooder, senders)
	var work sync.WaitGroup
	for i := range all {
		conn, err := client.dial("udp", guardAddr+":53")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		all[i] = &flooder{t: t, id: i, conn: conn}
		work.Go(func() { all[i].flood(rate/senders, end) })
		work.Go(func() { all[i].collect(end) })
	}
	work.Wait()
	queries.end()
	sent, acked := 0, 0
	var rcodes [16]int
	for _, f := range all {
		sent, acked = sent+f.sent, acked+len(f.acked)
		for rcode, count := range f.rcodes {
			rcodes[rcode] += count
		}
	}
	t.Logf("%d updates sent in %s, %d acknowledged (%d a second); rcodes %v; queries: %s, %d of %d lost; most memory %d MB",
		sent, *updatesFlood, acked, int(float64(acked)/updatesFlood.Seconds()), rcodes, quantiles(took), lost, len(took), peak(t, n)>>20)
	if acked < sent/10 {
		t.Errorf("of %d updates %d were acknowledged", sent, acked)
	}
	if lost > len(took)/100 {
		t.Errorf("%d of %d queries were lost", lost, len(took))
	}
	if most := 256<<20 + sent*2048; peak(t, n) > most {
		t.Errorf("%d octets of memory, more than %d", peak(t, n), most)
	}
	present(t, client, all)
	n.kill()
	n.up(t)
	present(t, client, all)
}

// present looks for every acknowledged name in a transfer.
func present(t *testing.T, client *Host, all []*flooder) {
	t.Helper()
	has := map[string]bool{}
	for _, r := range client.axfr(t, guardAddr, "corp.example.") {
		name, _, _ := strings.Cut(r, " ")
		has[name] = true
	}
	missing := 0
	for _, f := range all {
		for _, n := range f.acked {
			if !has[f.name(n)] {
				missing++
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d acknowledged updates are lost", missing)
	}
}
