package nameward

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin/test"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/primary/primarytest"
	"github.com/nameward/nameward/registry/servetest"
	"github.com/nameward/nameward/registry/tsig"
	"github.com/nameward/nameward/registry/updates"
)

// gated is CoreDNS on loopback with gates. ad.example. passes what it cannot prove, other.example. and
// ours.example. do not. ad.example. has no key of its own, ours.example. has.
type gated struct {
	addr             string
	guard            *Guard
	ad, other, ours  *primarytest.Primary
	client, stranger tsig.Key // known to the server, and not
}

const gatePolicy = `
version: 1
rules:
  - {id: no-names-of-others, names: [forbidden.ad.example., forbidden.other.example.], channels: [update], action: refuse, reason: not theirs}
  - {id: away, names: [away.other.example., away.ad.example.], channels: [update], action: quarantine, reason: not now}
  - {id: onward, names: [onward.other.example.], channels: [update], action: forward, reason: theirs}
  - {id: keys, names: [key.ad.example.], channels: [update], principals: [stranger.], action: publish, reason: its own}
  - {id: keys-only, names: [key.ad.example.], channels: [update], action: refuse, reason: of others}
  - {id: no-unsigned, names: [signed.ad.example.], channels: [update], principals: ["@unsigned"], action: refuse, reason: it has to sign}
  - {id: everybody, names: [vip.other.example.], channels: [update], action: publish, reason: a rule that says too much}
  - {id: second-cards, names: [printer.other.example.], channels: [update], classes: ["@filtered"], action: strip, reason: never}
  - {id: printers, names: [printer.other.example.], channels: [update], from: [127.0.0.0/8], action: publish, reason: they cannot sign}
`

func runGated(t *testing.T) *gated {
	t.Helper()
	s := &gated{client: primarytest.Key(t, "client."), stranger: primarytest.Key(t, "stranger.")}
	own := primarytest.Key(t, "own.")
	s.ad, s.other, s.ours = primarytest.New(t, s.stranger), primarytest.New(t), primarytest.New(t, own)
	port := servetest.FreePort(t)
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	path := writeConfig(t, fmt.Sprintf(`
classes: {management: [10.9.0.0/16]}
policy: policy.yaml
updates:
  gates:
    - {zone: ad.example., primary: [%q], signed: pass, mname: gate.ad.example.}
    - {zone: other.example., primary: [%q]}
    - {zone: ours.example., primary: [%q], key: own.key, mname: gate.ours.example.}
  explain: [127.0.0.0/8]
`, s.ad.Addr, s.other.Addr, s.ours.Addr))
	write(t, filepath.Join(filepath.Dir(path), "policy.yaml"), gatePolicy)
	write(t, filepath.Join(filepath.Dir(path), "own.key"), "own.:"+own.Secret)
	start(t, fmt.Sprintf(`.:%d {
    bind 127.0.0.1
    tsig known.example. {
        secret client. %s
        require none
    }
    nameward %s
}
`, port, s.client.Secret, path))
	s.guard = guards.first()
	eventually(t, "updates are seen as they came", func() bool { return s.guard.updates.front.Steers(s.addr) })
	return s
}

// send sends a message and says what came back, with what the client thinks of the signature.
func (s *gated) send(t *testing.T, network string, m *dns.Msg, key tsig.Key) (*dns.Msg, string) {
	t.Helper()
	c, err := net.Dial(network, s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn := &dns.Conn{Conn: c, UDPSize: dns.DefaultMsgSize}
	if !key.IsZero() {
		conn.TsigProvider = key.Provider()
		key.Sign(m)
	}
	if err := conn.WriteMsg(m); err != nil {
		t.Fatal(err)
	}
	r, err := conn.ReadMsg()
	if r == nil {
		t.Fatal(err)
	}
	how := "unsigned"
	switch t := r.IsTsig(); {
	case t != nil && t.Error != 0:
		how = dns.RcodeToString[int(t.Error)]
	case t != nil && err != nil:
		how = err.Error()
	case t != nil:
		how = "verified"
	}
	return r, dns.RcodeToString[r.Rcode] + " " + how
}

// heldNow lists what the book has.
func (s *gated) heldNow() (out []string) {
	for _, h := range s.guard.updates.book.List() {
		out = append(out, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s %s", h.Fate, h.What(), h.Name, h.Data, h.Reason, h.Rule, h.Principal)), " "))
	}
	slices.Sort(out)
	s.guard.updates.book.Forget(func(*updates.Held) bool { return true })
	return out
}

func update(t testing.TB, zone string, changes ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetUpdate(zone)
	for _, text := range changes {
		verb, rest, _ := strings.Cut(text, " ")
		switch verb {
		case "add":
			rr, err := dns.NewRR(rest)
			if err != nil {
				t.Fatal(err)
			}
			m.Insert([]dns.RR{rr})
		case "delete": // NAME TYPE
			name, rrtype, _ := strings.Cut(rest, " ")
			m.Ns = append(m.Ns, &dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: dns.StringToType[rrtype], Class: dns.ClassANY}})
		case "exists":
			m.NameUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: rest}}})
		}
	}
	return m
}

func TestGatedUpdates(t *testing.T) {
	s := runGated(t)
	claim(t, s.guard.reg, "mailbox", "ex1")
	none := tsig.Key{}
	const host, role = "pc1.other.example.", "mail.other.example."
	for _, tt := range []struct {
		name    string
		zone    string
		changes []string
		key     tsig.Key
		want    string
		sent    []string // to the primary of the zone, nil for nothing
		held    []string
	}{
		{name: "a host", zone: "other.example.", changes: []string{"add " + host + " 60 A 192.0.2.40"}, key: s.client,
			want: "NOERROR verified", sent: []string{host + " 60 IN A 192.0.2.40"}},
		{name: "with two cards", zone: "other.example.", key: s.client,
			changes: []string{"delete " + host + " A", "add " + host + " 60 A 10.9.0.40", "add " + host + " 60 A 192.0.2.40", "add " + host + " 60 AAAA 2001:db8::40"},
			want:    "NOERROR verified", sent: []string{host + " 0 CLASS255 A; " + host + " 60 IN A 192.0.2.40; " + host + " 60 IN AAAA 2001:db8::40"},
			held: []string{"quarantined add A " + host + " 10.9.0.40 rule builtin-filtered client."}},
		{name: "with the wrong card alone", zone: "other.example.", changes: []string{"delete " + host + " A", "add " + host + " 60 A 10.9.0.40"}, key: s.client,
			want: "NOERROR verified", held: []string{"quarantined add A " + host + " 10.9.0.40 rule builtin-filtered client.", "quarantined delete A " + host + " rule builtin-filtered client."}},
		{name: "and all of its name", zone: "other.example.", changes: []string{"delete " + host + " ANY", "add " + host + " 60 A 10.9.0.40"}, key: s.client,
			want: "NOERROR verified", held: []string{"quarantined add A " + host + " 10.9.0.40 rule builtin-filtered client.", "quarantined delete ANY " + host + " rule builtin-filtered client."}},
		{name: "all of its name but the wrong card", zone: "other.example.", changes: []string{"delete " + host + " ANY", "add " + host + " 60 A 10.9.0.40", "add " + host + " 60 TXT x"}, key: s.client,
			want: "NOERROR verified", sent: []string{host + ` 0 CLASS255 ANY; ` + host + ` 60 IN TXT "x"`}, held: []string{"quarantined add A " + host + " 10.9.0.40 rule builtin-filtered client."}},
		{name: "a host goes", zone: "other.example.", changes: []string{"delete " + host + " ANY"}, key: s.client, want: "NOERROR verified", sent: []string{host + " 0 CLASS255 ANY"}},
		{name: "hints of a service binding", zone: "other.example.", changes: []string{"add " + host + " 60 HTTPS 1 . alpn=h2 ipv4hint=10.9.0.40"}, key: s.client,
			want: "NOERROR verified", sent: []string{host + ` 60 IN HTTPS 1 . alpn="h2"`}, held: []string{`quarantined add HTTPS ` + host + ` 1 . alpn="h2" ipv4hint="10.9.0.40" rule builtin-filtered client.`}},

		{name: "the holder of a role", zone: "other.example.", changes: []string{"delete " + role + " A", "add " + role + " 60 A 192.0.2.11"}, key: s.client, want: "NOERROR verified"},
		{name: "a passive node", zone: "other.example.", changes: []string{"delete " + role + " A", "add " + role + " 60 A 198.51.100.12"}, key: s.client,
			want: "NOERROR verified", held: []string{"parked add A " + role + " 198.51.100.12 rule builtin-guarded-member client."}},
		{name: "a rule that publishes it parks it", zone: "other.example.", changes: []string{"add vip.other.example. 60 A 198.51.100.12", "add vip.other.example. 60 A 192.0.2.11"}, key: s.client,
			want: "NOERROR verified", held: []string{"parked add A vip.other.example. 198.51.100.12 rule everybody client."}},
		{name: "and a stranger's not even that", zone: "other.example.", changes: []string{"add vip.other.example. 60 A 203.0.113.1"}, key: s.client,
			want: "NOERROR verified", held: []string{"quarantined add A vip.other.example. 203.0.113.1 rule everybody client."}},
		{name: "another type of its name", zone: "other.example.", changes: []string{"add " + role + " 60 TXT x"}, key: s.client, want: "NOERROR verified", sent: []string{role + ` 60 IN TXT "x"`}},
		{name: "an alias of it", zone: "other.example.", changes: []string{"add " + role + " 60 CNAME pc1.other.example."}, key: s.client,
			want: "NOERROR verified", held: []string{"quarantined add CNAME " + role + " " + host + " rule builtin-guarded-alias client."}},
		{name: "a stranger at it", zone: "other.example.", changes: []string{"add " + role + " 60 A 203.0.113.1"}, key: s.client,
			want: "NOERROR verified", held: []string{"quarantined add A " + role + " 203.0.113.1 emptied builtin-guarded-other client."}},

		{name: "a prerequisite alone", zone: "other.example.", changes: []string{"exists " + host}, key: s.client, want: "NOERROR verified", sent: []string{""}},
		{name: "nothing", zone: "other.example.", key: s.client, want: "NOERROR verified"},
		{name: "quietly accepted", zone: "other.example.", changes: []string{"add away.other.example. 60 A 192.0.2.40"}, key: s.client,
			want: "NOERROR verified", held: []string{"quarantined add A away.other.example. 192.0.2.40 rule away client."}},
		{name: "forwarded", zone: "other.example.", changes: []string{"add onward.other.example. 60 A 10.9.0.40"}, key: s.client,
			want: "NOERROR verified", sent: []string{"onward.other.example. 60 IN A 10.9.0.40"}},
		{name: "refused", zone: "other.example.", changes: []string{"add " + host + " 60 A 192.0.2.40", "add forbidden.other.example. 60 A 192.0.2.40"}, key: s.client,
			want: "REFUSED verified", held: []string{"refused add A forbidden.other.example. 192.0.2.40 rule no-names-of-others client."}},
		{name: "in another zone", zone: "other.example.", changes: []string{"add pc1.ad.example. 60 A 192.0.2.40"}, key: s.client, want: "NOTZONE verified"},
		{name: "a zone of nobody", zone: "nobody.example.", changes: []string{"add pc1.nobody.example. 60 A 192.0.2.40"}, key: s.client, want: "NOTAUTH " + dns.ErrAuth.Error()}, // the library verifies no such response

		{name: "unsigned", zone: "other.example.", changes: []string{"add " + host + " 60 A 192.0.2.40"}, key: none, want: "REFUSED unsigned"},
		{name: "unsigned and named", zone: "other.example.", changes: []string{"add printer.other.example. 60 A 192.0.2.40"}, key: none,
			want: "NOERROR unsigned", sent: []string{"printer.other.example. 60 IN A 192.0.2.40"}},
		{name: "unsigned, named and with the wrong card", zone: "other.example.", key: none,
			changes: []string{"add printer.other.example. 60 A 192.0.2.40", "add printer.other.example. 60 A 10.9.0.40"},
			want:    "NOERROR unsigned", sent: []string{"printer.other.example. 60 IN A 192.0.2.40"}, held: []string{"quarantined add A printer.other.example. 10.9.0.40 rule second-cards"}},
		{name: "a key that is not known", zone: "other.example.", changes: []string{"add " + host + " 60 A 192.0.2.40"}, key: s.stranger, want: "NOTAUTH BADKEY"},
		{name: "a key that is known, and its secret is not", zone: "ad.example.", changes: []string{"add pc1.ad.example. 60 A 192.0.2.40"},
			key: tsig.Key{Name: "client.", Algorithm: dns.HmacSHA256, Secret: "d3Jvbmc="}, want: "NOTAUTH BADSIG"},

		{name: "passed whole", zone: "ad.example.", changes: []string{"add pc1.ad.example. 60 A 192.0.2.40"}, key: s.stranger,
			want: "NOERROR verified", sent: []string{"pc1.ad.example. 60 IN A 192.0.2.40"}},
		{name: "not whole, and so not at all", zone: "ad.example.", changes: []string{"add pc1.ad.example. 60 A 192.0.2.40", "add pc1.ad.example. 60 A 10.9.0.40"}, key: s.stranger,
			want: "NOERROR unsigned", held: []string{"quarantined add A pc1.ad.example. 10.9.0.40 rule builtin-filtered"}},
		{name: "refused before it is passed", zone: "ad.example.", changes: []string{"add forbidden.ad.example. 60 A 192.0.2.40"}, key: s.stranger,
			want: "REFUSED unsigned", held: []string{"refused add A forbidden.ad.example. 192.0.2.40 rule no-names-of-others"}},
		{name: "the name of its key counts", zone: "ad.example.", changes: []string{"add key.ad.example. 60 A 192.0.2.40"}, key: s.stranger,
			want: "NOERROR verified", sent: []string{"key.ad.example. 60 IN A 192.0.2.40"}},
		{name: "and others' do not", zone: "ad.example.", changes: []string{"add key.ad.example. 60 A 192.0.2.40"}, key: primarytest.Key(t, "other."),
			want: "REFUSED unsigned", held: []string{"refused add A key.ad.example. 192.0.2.40 rule keys-only"}},
		{name: "it is not unsigned", zone: "ad.example.", changes: []string{"add signed.ad.example. 60 A 192.0.2.40"}, key: s.stranger,
			want: "NOERROR verified", sent: []string{"signed.ad.example. 60 IN A 192.0.2.40"}},
		{name: "a key that the primary does not know either", zone: "ad.example.", changes: []string{"add pc1.ad.example. 60 A 192.0.2.40"}, key: primarytest.Key(t, "nobody."),
			want: "NOTAUTH BADKEY", sent: []string{"pc1.ad.example. 60 IN A 192.0.2.40"}},
		{name: "our key", zone: "ours.example.", changes: []string{"add pc1.ours.example. 60 A 192.0.2.40", "add pc1.ours.example. 60 A 10.9.0.40"}, key: s.client,
			want: "NOERROR verified", sent: []string{"pc1.ours.example. 60 IN A 192.0.2.40"}, held: []string{"quarantined add A pc1.ours.example. 10.9.0.40 rule builtin-filtered client."}},
	} {
		for _, network := range []string{"udp", "tcp"} {
			behind := map[string]*primarytest.Primary{"ad.example.": s.ad, "ours.example.": s.ours}[tt.zone]
			if behind == nil {
				behind = s.other
			}
			before := len(behind.Received())
			_, got := s.send(t, network, update(t, tt.zone, tt.changes...), tt.key)
			if got != tt.want {
				t.Errorf("%s, %s: %s, want %s", tt.name, network, got, tt.want)
			}
			if diff := cmp.Diff(tt.sent, slices.Clone(behind.Received()[before:])); diff != "" && len(tt.sent)+len(behind.Received()[before:]) > 0 {
				t.Errorf("%s, %s: sent to the primary (-want +got):\n%s", tt.name, network, diff)
			}
			slices.Sort(tt.held)
			if diff := cmp.Diff(tt.held, s.heldNow()); diff != "" {
				t.Errorf("%s, %s: held (-want +got):\n%s", tt.name, network, diff)
			}
		}
	}
}

// TestGatedAnswers: what the primary says comes back, and what goes wrong is explained to those who may know.
func TestGatedAnswers(t *testing.T) {
	s := runGated(t)
	host := "add pc1.ours.example. 60 A 192.0.2.40"
	for _, rcode := range []int{dns.RcodeRefused, dns.RcodeYXDomain, dns.RcodeNXRrset, dns.RcodeServerFailure} {
		s.ours.Act = s.ours.Says(rcode, s.ours.Keys)
		if _, got := s.send(t, "udp", update(t, "ours.example.", host, "add pc1.ours.example. 60 A 10.9.0.40"), s.client); got != dns.RcodeToString[rcode]+" verified" {
			t.Errorf("the primary says %s, the client gets %s", dns.RcodeToString[rcode], got)
		}
		if h := s.heldNow(); len(h) != 0 {
			t.Errorf("%s: held: %v", dns.RcodeToString[rcode], h)
		}
	}

	s.ours.Act = func(int, []byte, *dns.Msg) primarytest.Reaction { return primarytest.Reaction{Closes: true} }
	explained := func(m *dns.Msg) string {
		m.SetEdns0(1232, false)
		r, got := s.send(t, "udp", m, s.client)
		if o := r.IsEdns0(); o != nil {
			for _, option := range o.Option {
				if e, ok := option.(*dns.EDNS0_EDE); ok {
					got += fmt.Sprintf(" %d %s", e.InfoCode, e.ExtraText)
				}
			}
		}
		return got
	}
	if got, want := explained(update(t, "ours.example.", host)), fmt.Sprintf("SERVFAIL verified 23 the primary %s: EOF", s.ours.Addr); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := explained(update(t, "other.example.", "add away.other.example. 60 A 192.0.2.40")); !strings.HasPrefix(got, "NOERROR verified 17 away.other.example. A: rule, rule away, decision ") {
		t.Error(got)
	}
	unexplained := *s.guard.updates.settings()
	unexplained.Explain = nil
	s.guard.updates.cur.Store(&unexplained)
	if got := explained(update(t, "ours.example.", host)); got != "SERVFAIL verified" {
		t.Error(got)
	}
	s.ad.Act = s.ours.Act
	if _, got := s.send(t, "udp", update(t, "ad.example.", "add pc1.ad.example. 60 A 192.0.2.40"), s.stranger); got != "SERVFAIL unsigned" {
		t.Error(got)
	}
}

// TestGatedPrincipals: the name of a key that a client chose when it agreed on it is nobody's name, also in the
// moment in which the key ends.
func TestGatedPrincipals(t *testing.T) {
	settings := &updateSettings{acceptor: newAcceptor(t)}
	u := &updater{settings: func() *updateSettings { return settings }, isShared: func(key string) bool { return key == "client." }}
	for key, want := range map[string]string{"Client.": "client. <nil>", "admin$.ad.example.": " dns: no secrets defined"} {
		m := update(t, "ad.example.").SetTsig(key, "gss-tsig.", 300, 1)
		who, err := u.asker(t.Context(), &test.ResponseWriter{}, m)
		if got := fmt.Sprint(who.principal, " ", err); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// TestGatedBehindTSIG: the tsig plugin must not refuse what is to be passed on.
func TestGatedBehindTSIG(t *testing.T) {
	path := writeConfig(t, "updates: {gates: [{zone: ad.example., primary: [192.0.2.53], signed: pass}]}\n")
	for zones, want := range map[string]bool{"": false, "example.": false, "corp.example.": true} {
		text := fmt.Sprintf(".:%d {\n bind 127.0.0.1\n tsig %s {\n secret client. c2VjcmV0\n }\n nameward %s\n}\n", servetest.FreePort(t), zones, path)
		_, err := caddy.Start(input(text))
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "tsig plugin refuses keys that it does not know, and the gate of ad.example.") {
			t.Errorf("tsig for %q: %v", zones, err)
		}
		if err != nil { // the process would end
			if err := guards.release(path, guards.held[path].owner); err != nil {
				t.Error(err)
			}
			continue
		}
		stop(t)
	}
}
