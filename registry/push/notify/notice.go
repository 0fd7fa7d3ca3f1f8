package notify

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
	"github.com/nameward/nameward/registry/zone"
)

// notice is a NOTIFY for the newest serial of a zone.
type notice struct {
	msg     *dns.Msg
	serial  uint32
	born    time.Time // when the serial was
	sent    time.Time // last
	due     time.Time // when to send it, or send it again
	wait    time.Duration
	behind  time.Duration // how long after it was sent to send it once more if the secondary does not have the serial
	waiting bool          // for the response to what was sent last
	failed  bool          // at least once since the zone's last acknowledgement
	acked   bool
	flights []flight // of this and of older serials, the last ones
}

// flight is one packet. A response to it counts however late it comes.
type flight struct {
	id     uint16
	serial uint32
	key    tsig.Key // zero: it is not signed
	mac    string
}

// maxFlights bounds what is remembered of a zone's packets: with a new serial every spacing, what a response that
// takes a second is to is known still.
const maxFlights = 20

// Waits for a response until a NOTIFY is sent again. RFC 1996, Section 3.6, leaves them to us: a packet that was
// lost in a failover must not cost much, a target that comes back soon must not stay behind for long, and one
// that is dead for days is asked gently.
const (
	firstWait = 250 * time.Millisecond
	soonWait  = 5 * time.Second // the longest while the serial is young
	lastWait  = 30 * time.Second
	young     = 10 * time.Minute
)

// spacing is the least time between NOTIFYs of new serials of a zone: a burst of changes is told as one.
const spacing = 50 * time.Millisecond

// firstBehind is the time that a secondary has for its transfer. After that it is told again, for the transfer may have
// failed, and many a secondary waits for minutes until it tries again by itself.
const firstBehind = time.Second

// newNotice makes the notice for a view of a zone. last is that of the serial before, nil if there was none.
func newNotice(v *zone.View, last *notice) *notice {
	now := time.Now()
	m := new(dns.Msg).SetNotify(v.Zone.Name)
	m.Answer = []dns.RR{v.SOA()} // RFC 1996, Section 3.7
	n := &notice{msg: m, serial: v.Serial, born: now, wait: firstWait, behind: firstBehind}
	if last != nil {
		n.sent, n.due, n.failed, n.flights = last.sent, last.sent.Add(spacing), last.failed, last.flights
	}
	return n
}

// goesOut notes that the notice is sent now, and when it will be again. The jitter keeps guards that
// started together from asking together.
func (n *notice) goesOut(now time.Time) {
	longest := lastWait
	if now.Sub(n.born) < young {
		longest = soonWait
	}
	n.wait = min(n.wait, longest)
	n.sent, n.due, n.waiting = now, now.Add(n.wait-rand.N(n.wait/4)), true
	n.wait *= 2
}

// pack writes the notice, signed if there is a key. The id stays: a late response to what was sent before is one to
// this serial too.
func (n *notice) pack(key tsig.Key) (wire []byte, err error) {
	f := flight{id: n.msg.Id, serial: n.serial, key: key}
	if key.IsZero() {
		wire, err = n.msg.Pack()
	} else {
		m := n.msg.Copy()
		key.Sign(m)
		wire, f.mac, err = dns.TsigGenerateWithProvider(m, key.Provider(), "", false)
	}
	if err == nil {
		n.flights = append(n.flights[max(0, len(n.flights)-maxFlights+1):len(n.flights):len(n.flights)], f)
	}
	return wire, err
}

// response is what a secondary sent, or the error of receiving.
type response struct {
	msg  *dns.Msg
	wire []byte
	err  error
}

// flightOf finds the packet that a response is to. The error says that it may be to one, but is not signed as it
// must be.
func (n *notice) flightOf(zone string, r response) (f flight, ok bool, err error) {
	m := r.msg
	if !m.Response || m.Opcode != dns.OpcodeNotify || len(m.Question) > 0 && !strings.EqualFold(m.Question[0].Name, zone) {
		return flight{}, false, nil
	}
	for _, one := range slices.Backward(n.flights) {
		if one.id != m.Id {
			continue
		}
		if f, ok, err = one, true, one.verify(r); err == nil {
			break
		}
	}
	return f, ok, err
}

// verify checks the signature of a response: RFC 8945, Section 5.4.
func (f flight) verify(r response) error {
	if f.key.IsZero() {
		return nil
	}
	if r.msg.IsTsig() == nil {
		return fmt.Errorf("%s is not signed", wordOf(r.msg))
	}
	err := dns.TsigVerifyWithProvider(bytes.Clone(r.wire), f.key.Provider(), f.mac, false)
	if err != nil {
		return fmt.Errorf("the signature of %s does not prove right: %w", wordOf(r.msg), err)
	}
	return nil
}

// wordOf names a response by its rcode and that of its signature, RFC 8945, Section 3.
func wordOf(m *dns.Msg) string {
	word := "the response " + dns.RcodeToString[m.Rcode]
	if s := m.IsTsig(); s != nil && s.Error != 0 {
		word += " (" + dns.RcodeToString[int(s.Error)] + ")"
	}
	return word
}

var errSilent = errors.New("no response")
