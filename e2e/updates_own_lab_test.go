//go:build linux

package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
)

// Keys of clients; only the first two are known to nameward. Forged has the name of the first.
var (
	dhcpKey   = mustKey("dhcp.", "ZGhjcCBzZXJ2ZXIncyBzZWNyZXQgZm9yIGRucw==")
	nodeKey   = mustKey("node.", "YSBub2RlJ3Mgc2VjcmV0IGZvciBkbnMgdXBkYXRl")
	forgedKey = mustKey("dhcp.", "bm90IHRoZSBzZWNyZXQgb2YgdGhlIGRoY3Agc2Vy")
	otherKey  = mustKey("other.", "ZGhjcCBzZXJ2ZXIncyBzZWNyZXQgZm9yIGRucw==")
)

func mustKey(name, secret string) tsig.Key {
	k, err := tsig.New("", name, secret)
	if err != nil {
		panic(err)
	}
	return k
}

const lanAddr = "192.0.2.101" // of a client that need not sign

// owning is pair with zones that take updates.
var owning = strings.ReplaceAll(pair, "\n    ns:", "\n    updates: own\n    ns:") + "updates: {explain: [192.0.2.0/24]}\npolicy: policy.yaml\n"

// owningPolicy has the DHCP server register what it likes below dyn, and one address of the network below lan. The
// first rule is for those behind it, which would publish any address.
const owningPolicy = `version: 1
rules:
  - {id: never, channels: [update], classes: ["@filtered"], action: strip, alert: true}
  - {id: lan, names: [.lan.corp.example.], channels: [update], from: [192.0.2.101/32], action: publish}
  - {id: dhcp, names: [.dyn.corp.example., .2.0.192.in-addr.arpa.], channels: [update], principals: [dhcp.], action: publish}
  - {id: not-dhcp, names: [.dyn.corp.example.], channels: [update], principals: ["*"], action: refuse}
`

// owningCorefile knows the clients' keys.
var owningCorefile = fmt.Sprintf(".:53 {\n bind 192.0.2.53\n errors\n prometheus 127.0.0.1:9153\n tsig {\n secret %s %s\n secret %s %s\n }\n NAMEWARD\n transfer {\n to *\n }\n}\n",
	dhcpKey.Name, dhcpKey.Secret, nodeKey.Name, nodeKey.Secret)

// owner starts nameward on a host with zones that take updates.
func (h *Host) owner(t *testing.T, world string) *Nameward {
	t.Helper()
	h.lab.write("policy.yaml", owningPolicy)
	return h.namewardWith(t, world, owningCorefile)
}

// updating is a client of nameward that sends updates from a host.
type updating struct {
	t    *testing.T
	host *Host
	net  string
	key  tsig.Key
	skew time.Duration // of its clock
	conn net.Conn
}

func (h *Host) updating(t *testing.T, network string, key tsig.Key) *updating {
	t.Helper()
	u := &updating{t: t, host: h, net: network, key: key}
	u.dial()
	return u
}

// dial connects anew, for a connection does not outlive the server.
func (u *updating) dial() {
	u.t.Helper()
	if err := u.redial(); err != nil {
		u.t.Fatal(err)
	}
}

func (u *updating) redial() error {
	conn, err := u.host.dial(u.net, guardAddr+":53")
	if err != nil {
		return err
	}
	u.host.lab.t.Cleanup(func() { conn.Close() })
	u.conn = conn
	return nil
}

// try sends an update once. A reply whose signature is not right comes with the error.
func (u *updating) try(m *dns.Msg) (*dns.Msg, error) { return u.within(5*time.Second, m) }

// quick is try for a server that may be gone.
func (u *updating) quick(m *dns.Msg) (*dns.Msg, error) { return u.within(300*time.Millisecond, m) }

func (u *updating) within(patience time.Duration, m *dns.Msg) (*dns.Msg, error) {
	// One for each message, for the library signs the next with the signature before it, as in a transfer.
	conn := &dns.Conn{Conn: u.conn, UDPSize: dns.DefaultMsgSize}
	if !u.key.IsZero() {
		conn.TsigSecret = u.key.Secrets()
		m.SetTsig(u.key.Name, u.key.Algorithm, tsig.Fudge, time.Now().Add(u.skew).Unix())
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		r, err := conn.ReadMsg()
		if r == nil || r.Id == m.Id {
			return r, err
		}
	}
}

// send sends an update in words, see updateOf, and returns the rcode, with what else the reply says in brackets.
func (u *updating) send(zone, text string) string {
	u.t.Helper()
	m := updateOf(u.t, zone, text)
	m.SetEdns0(1232, false)
	r, err := u.try(m)
	if r == nil {
		return "no answer: " + err.Error()
	}
	word := dns.RcodeToString[r.Rcode]
	if s := r.IsTsig(); s != nil && s.Error != 0 {
		word += " " + dns.RcodeToString[int(s.Error)]
	}
	if err != nil {
		word += " (" + err.Error() + ")"
	}
	if e := r.IsEdns0(); e != nil {
		for _, o := range e.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				word += fmt.Sprintf(" [%d %s]", ede.InfoCode, ede.ExtraText)
			}
		}
	}
	return word
}

// updateOf is an update in words: "+ RECORD" adds, "- NAME [TYPE [DATA]]" deletes, "no NAME" and "yes NAME" are
// prerequisites. Parts are separated by semicolons, names relative to the zone.
func updateOf(t *testing.T, zone, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetUpdate(zone)
	for part := range strings.SplitSeq(text, ";") {
		words := strings.Fields(part)
		switch {
		case len(words) == 0:
		case words[0] == "+" || len(words) > 3:
			rr, err := dns.NewRR("$ORIGIN " + zone + "\n" + strings.Join(words[1:], " "))
			if err != nil {
				t.Fatal(err)
			}
			if words[0] == "+" {
				m.Insert([]dns.RR{rr})
			} else {
				m.Remove([]dns.RR{rr})
			}
		default:
			broad(m, zone, words)
		}
	}
	return m
}

// broad adds what is about a whole name or set.
func broad(m *dns.Msg, zone string, words []string) {
	rr := &dns.ANY{Hdr: dns.RR_Header{Name: words[1] + "." + zone, Rrtype: dns.TypeANY}}
	if len(words) == 3 {
		rr.Hdr.Rrtype = dns.StringToType[words[2]]
	}
	do := map[string]func([]dns.RR){"-": m.RemoveName, "- set": m.RemoveRRset, "yes": m.NameUsed, "no": m.NameNotUsed, "yes set": m.RRsetUsed, "no set": m.RRsetNotUsed}
	kind := words[0]
	if len(words) == 3 {
		kind += " set"
	}
	do[kind]([]dns.RR{rr})
}

// nsupdateOwned runs the real nsupdate with a script for the zone corp.example. The zero key signs nothing.
func (h *Host) nsupdateOwned(t *testing.T, key tsig.Key, script string, flags ...string) result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	writeAtomic(t, path, "server "+guardAddr+"\nzone corp.example\n"+script+"send\n")
	args := append([]string{"nsupdate", "-t", "5"}, flags...)
	if !key.IsZero() {
		args = append(args, "-y", strings.TrimSuffix(key.Algorithm, ".")+":"+key.Name+":"+key.Secret)
	}
	return h.try(t, nil, append(args, path)...)
}

// median is the value in the middle, and worst the last.
func median(took []time.Duration) (middle, worst time.Duration) {
	took = slices.Sorted(slices.Values(took))
	return took[len(took)/2], took[len(took)-1]
}
