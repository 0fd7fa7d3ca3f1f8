//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/registry"
)

// careless is a zone of a server whose administrator let management addresses in wherever one can stand.
const careless = `$TTL 300
@        IN SOA  ns h 7 3600 600 86400 300
@        IN NS   ns
@        IN MX   10 relay
@        IN MX   20 mail
ns       IN A    192.0.2.54
relay    IN A    10.9.0.11
relay    IN A    192.0.2.77
relay    IN AAAA ::ffff:10.9.0.11
mail     IN A    10.9.0.31
only     IN A    10.9.0.12
only     IN TXT  "text"
web      IN HTTPS 1 . alpn=h2 ipv4hint=10.9.0.11,192.0.2.77 ipv6hint=2001:db8::77
web      IN A    192.0.2.77
direct   IN HTTPS 1 mail ipv4hint=10.9.0.31
_ldap._tcp IN SRV 0 0 389 relay
_sip._tcp  IN SRV 0 0 5060 mail
first    IN CNAME Second
second   IN CNAME third
third    IN CNAME MAIL
toonly   IN CNAME only
sub      IN NS   ns.sub
ns.sub   IN A    10.9.0.13
old      IN DNAME new.careless.example.
mail.new IN CNAME mail
only.new IN A    10.9.0.14
home     IN A    192.168.1.1
`

const carelessReverse = `$TTL 300
@      IN SOA ns.careless.example. h.careless.example. 7 3600 600 86400 300
@      IN NS  ns.careless.example.
11.0   IN PTR relay.careless.example.
12.0   IN CNAME 12.0-127.0
12.0-127.0 IN PTR only.careless.example.
1.200  IN PTR printer.careless.example.
`

// inCareless adds a role to pair whose name stands in the careless zone.
func inCareless(more string) string {
	return strings.Replace(pair, "zones:\n", `  - name: apps
    nodes:
      app1: {public: [192.0.2.31], management: [10.9.0.31]}
      app2: {public: [192.0.2.32, "2001:db8::32"], management: [10.9.0.32]}
    roles:
      - {name: app, dns: [mail.careless.example.], source: {operator: {initial: app1}}}
zones:
`, 1) + more
}

// forwarding starts the binary with the built-in Corefile in front of BIND.
func (h *Host) forwarding(t *testing.T, world string) *Nameward {
	t.Helper()
	n := h.newNameward(world)
	n.args = []string{
		nameward, "serve", "--config", n.config, "--listen", guardAddr + ":53", "--forward", bindAddr,
		"--metrics", "127.0.0.1:9153", "--ready", "127.0.0.1:8181",
	}
	n.up(t)
	return n
}

// TestUpstreamAnswers has a careless BIND behind the built-in Corefile: no section of any answer has a
// management address, over UDP and TCP, whatever bits are set, from upstream and from the cache.
func TestUpstreamAnswers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	bind.named(t, bindAddr, fmt.Sprintf("zone careless.example { type primary; file %q; };\nzone 9.10.in-addr.arpa { type primary; file %q; };\n",
		l.write("named-bind/careless.zone", careless), l.write("named-bind/reverse.zone", carelessReverse)), "careless.example.")
	n := guard.forwarding(t, inCareless(""))
	guard.capture(t)
	same(t, "the upstream is careless", client.asker(t, bindAddr).a("mail.careless.example."), "10.9.0.31")

	t.Run("no management address", func(t *testing.T) {
		for _, question := range []string{
			"careless.example MX", "careless.example NS", "relay.careless.example A", "relay.careless.example AAAA", "relay.careless.example ANY", "only.careless.example A",
			"web.careless.example HTTPS", "direct.careless.example HTTPS", "_ldap._tcp.careless.example SRV", "_sip._tcp.careless.example SRV", "first.careless.example A",
			"first.careless.example ANY", "toonly.careless.example A", "x.sub.careless.example A", "mail.old.careless.example A", "only.old.careless.example A",
			"old.careless.example DNAME", "mail.careless.example ANY", "-x 10.9.0.11", "-x 10.9.0.12", "11.0.9.10.in-addr.arpa ANY",
		} {
			for _, how := range []string{"+notcp", "+tcp", "+cd", "+dnssec", "+cd +dnssec +tcp", "+norecurse +cd", "+noedns"} {
				for range 2 { // from upstream, and from the cache
					d := client.dig(t, guardAddr, append(strings.Fields(question), strings.Fields(how)...)...)
					records := strings.Join(slices.Concat(d.answer, d.authority, d.additional), "\n")
					if strings.Contains(records, "10.9.") || strings.Contains(records, "a09:") || strings.Contains(records, "PTR") {
						t.Errorf("%s %s:\n%s", question, how, d.text)
					}
					if len(d.answer)+len(d.authority) == 0 && d.status == "NOERROR" {
						t.Errorf("%s %s is answered with nothing:\n%s", question, how, d.text)
					}
				}
			}
		}
	})
	for _, test := range []struct{ question, want, authority string }{
		{"relay.careless.example A", "NOERROR: relay.careless.example. IN A 192.0.2.77", ""},
		{"only.careless.example A", "NOERROR: ", "only.careless.example. IN SOA only.careless.example. . 1 5 5 5 5"},
		{"only.careless.example TXT", `NOERROR: only.careless.example. IN TXT "text"`, ""},
		{"web.careless.example HTTPS", `NOERROR: web.careless.example. IN HTTPS 1 . alpn="h2" ipv4hint=192.0.2.77 ipv6hint=2001:db8::77`, ""},
		{"direct.careless.example HTTPS", "NOERROR: direct.careless.example. IN HTTPS 1 mail.careless.example.", ""},
		{"toonly.careless.example A", "NOERROR: toonly.careless.example. IN CNAME only.careless.example.", "only.careless.example. IN SOA only.careless.example. . 1 5 5 5 5"},
		{"only.old.careless.example A", "NOERROR: old.careless.example. IN DNAME new.careless.example.; only.old.careless.example. IN CNAME only.new.careless.example.",
			"only.new.careless.example. IN SOA only.new.careless.example. . 1 5 5 5 5"},
		{"-x 10.9.0.11", "NOERROR: ", "11.0.9.10.in-addr.arpa. IN SOA 11.0.9.10.in-addr.arpa. . 1 5 5 5 5"},
		{"-x 10.9.0.12", "NOERROR: ", "12.0.9.10.in-addr.arpa. IN SOA 12.0.9.10.in-addr.arpa. . 1 5 5 5 5"},
		{"nobody.careless.example A", "NXDOMAIN: ", "careless.example. IN SOA ns.careless.example. h.careless.example. 7 3600 600 86400 300"},
	} {
		t.Run(test.question, func(t *testing.T) {
			d := client.dig(t, guardAddr, strings.Fields(test.question)...)
			d.answer = withoutTTLs(d.answer)
			same(t, "answer", d.brief(), test.want)
			if test.authority != "" {
				same(t, "authority", strings.Join(withoutTTLs(d.authority), "; "), test.authority)
			}
		})
	}
	t.Run("a switch moves the end of a chain that is cached", func(t *testing.T) { switchChain(t, n, client) })
}

// withoutTTLs takes the TTLs out of records, which count down in a cache, and sorts the records.
func withoutTTLs(records []string) []string {
	var out []string
	for _, r := range records {
		f := strings.Fields(r)
		out = append(out, strings.Join(slices.Delete(f, 1, 2), " "))
	}
	slices.Sort(out)
	return out
}

// switchChain asks for names whose aliases lead to a guarded one, before and right after it moves.
func switchChain(t *testing.T, n *Nameward, client *Host) {
	a := client.asker(t, guardAddr)
	questions := []string{"first.careless.example.", "third.careless.example.", "mail.old.careless.example."}
	for i := range 6 {
		node, want := []string{"app1", "app2"}[i%2], []string{"192.0.2.31", "192.0.2.32"}[i%2]
		if _, err := n.Switch(t.Context(), registry.SwitchRequest{Roles: []string{"app"}, To: node, By: "test"}); err != nil {
			t.Fatal(err)
		}
		for _, q := range questions {
			same(t, q, a.a(q), want)
		}
		d := client.dig(t, guardAddr, "_sip._tcp.careless.example", "SRV")
		if len(d.additional) > 0 && !strings.Contains(strings.Join(d.additional, "; "), want) {
			t.Errorf("beside the SRV record: %v, want %s", d.additional, want)
		}
	}
	d := client.dig(t, guardAddr, "first.careless.example", "A")
	same(t, "TTL of the end", d.answer[len(d.answer)-1], "MAIL.careless.example. 5 IN A 192.0.2.32")
	if ttl := strings.Fields(d.answer[0])[1]; len(ttl) < 3 {
		t.Errorf("TTL of the first alias is %s, want upstream's of nearly 300", ttl)
	}
}

// TestRebinding turns the protection on while the answers are cached, and lists the zone afterwards.
func TestRebinding(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client, bind := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr)
	bind.named(t, bindAddr, fmt.Sprintf("zone careless.example { type primary; file %q; };", l.write("named-bind/careless.zone", careless)), "careless.example.")
	n := guard.forwarding(t, inCareless(""))
	a := client.asker(t, guardAddr)
	same(t, "off", a.a("home.careless.example."), "192.168.1.1")
	reload := func(answers string) {
		t.Helper()
		l.write("nameward.yaml", inCareless(answers)+place)
		n.do(t, "reload")
	}
	reload("answers: {rebinding: {private_zones: [lan.]}}\n")
	same(t, "on", a.a("home.careless.example."), "NODATA")
	same(t, "a public address", a.a("web.careless.example."), "192.0.2.77")
	holds(t, "metrics", scrape(t, guard), `coredns_nameward_upstream_scrubbed_answers_total{outcome="rebinding"} 1`)
	reload("answers: {rebinding: {private_zones: [careless.example.]}}\n")
	same(t, "a private zone", a.a("home.careless.example."), "192.168.1.1")
}

// signedZone is what stands in the zone that is signed.
const signedZone = `$TTL 300
@     IN SOA ns h 7 3600 600 86400 300
@     IN NS  ns
@     IN MX  10 leak
ns    IN A   192.0.2.54
good  IN A   192.0.2.77
also  IN CNAME good
leak  IN A   10.9.0.11
leak  IN A   192.0.2.78
only  IN A   10.9.0.12
`

// sign signs the zone and returns the signed file and the trust anchor, as BIND and delv read it.
func (h *Host) sign(t *testing.T, zone, content string) (file, anchor string) {
	t.Helper()
	plain := h.lab.write("named-bind/"+zone+".zone", content)
	dir := h.lab.path("named-bind")
	key := strings.TrimSpace(h.run(t, "dnssec-keygen", "-q", "-K", dir, "-a", "ECDSAP256SHA256", "-f", "KSK", zone))
	h.run(t, "dnssec-keygen", "-q", "-K", dir, "-a", "ECDSAP256SHA256", zone)
	h.run(t, "dnssec-signzone", "-q", "-S", "-K", dir, "-o", zone, "-f", plain+".signed", plain)
	for line := range strings.Lines(h.run(t, "cat", dir+"/"+key+".key")) {
		if f := strings.Fields(line); len(f) > 6 && f[2] == "DNSKEY" {
			return plain + ".signed", fmt.Sprintf("trust-anchors { %s static-key %s %s %s %q; };\n", zone, f[3], f[4], f[5], strings.Join(f[6:], ""))
		}
	}
	t.Fatalf("no key in %s", key)
	return "", ""
}

// validator starts a BIND that validates and forwards to the guard.
func (h *Host) validator(t *testing.T, addr, anchor string) {
	t.Helper()
	dir := h.lab.path("named-" + h.name)
	conf := h.lab.write("named-"+h.name+"/named.conf", fmt.Sprintf(`
options {
	directory %q; pid-file "named.pid"; session-keyfile "session.key"; listen-on port 53 { %s; }; listen-on-v6 { none; };
	recursion yes; allow-recursion { any; }; forward only; forwarders { %s; }; dnssec-validation yes; qname-minimization off;
};
controls { };
%s`, dir, addr, guardAddr, anchor))
	p := h.startIn(t, dir, "named", "-g", "-n", "1", "-c", conf)
	a := h.asker(t, addr)
	soon(t, "the validator answers", 20*time.Second, "192.0.2.77", func() string {
		if !p.running() {
			t.Fatalf("named ended\n%s", p.output())
		}
		return a.a("good.signed.example.")
	})
}

// TestSigned has validators behind us: what was not touched validates, what was is as it was chosen.
func TestSigned(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const validatorAddr = "192.0.2.55"
	guard, client, bind, second := l.host("guard", guardAddr), l.host("client", clientAddr), l.host("bind", bindAddr), l.host("second", validatorAddr)
	file, anchor := bind.sign(t, "signed.example", signedZone)
	bind.named(t, bindAddr, fmt.Sprintf("zone signed.example { type primary; file %q; };", file), "signed.example.")
	n := guard.forwarding(t, pair)
	second.validator(t, validatorAddr, anchor)
	guard.capture(t)
	anchors := l.write("anchors", anchor)
	delv := func(name string, qtype string) string {
		return client.try(t, nil, "delv", "@"+guardAddr, "-a", anchors, "+root=signed.example", name, qtype).out
	}
	for _, choice := range []string{"strip", "servfail"} {
		l.write("nameward.yaml", pair+"answers: {signed: "+choice+"}\n"+place)
		n.do(t, "reload")
		t.Run(choice, func(t *testing.T) {
			for _, name := range []string{"good.signed.example", "also.signed.example"} {
				holds(t, "delv "+name, delv(name, "A"), "; fully validated", "192.0.2.77")
			}
			holds(t, "delv of a name that is not there", delv("nobody.signed.example", "A"), "; negative response, fully validated")
			if out := delv("leak.signed.example", "A"); strings.Contains(out, "fully validated") || !strings.Contains(out, "resolution failed") {
				t.Errorf("delv takes what was changed:\n%s", out)
			}
			holds(t, "MX beside an address that was held back", delv("signed.example", "MX"), "; fully validated", "10 leak.signed.example.")
			d := client.dig(t, validatorAddr, "+dnssec", "good.signed.example", "A")
			if !slices.Contains(d.flags, "ad") || d.status != "NOERROR" {
				t.Errorf("BIND behind us does not validate:\n%s", d.text)
			}
			same(t, "BIND behind us, of what was changed", client.dig(t, validatorAddr, "leak.signed.example", "A").brief(), "SERVFAIL: ")
			same(t, "who does not ask for signatures", client.dig(t, guardAddr, "leak.signed.example", "A").brief(), "NOERROR: "+ttlOf(t, client)+"192.0.2.78")
			asking := client.dig(t, guardAddr, "+dnssec", "leak.signed.example", "A")
			if choice == "servfail" {
				same(t, "who does", asking.brief(), "SERVFAIL: ")
				holds(t, "the reason", asking.text, "EDE: 15 (Blocked)")
				same(t, "with CD as well", client.dig(t, guardAddr, "+dnssec", "+cd", "only.signed.example", "A").status, "SERVFAIL")
			} else if len(asking.answer) != 1 || slices.Contains(asking.flags, "ad") {
				t.Errorf("signatures or AD are left:\n%s", asking.text)
			}
		})
	}
}

// ttlOf is the beginning of the record that is left, whose TTL counts down in the cache.
func ttlOf(t *testing.T, client *Host) string {
	d := client.dig(t, guardAddr, "leak.signed.example", "A")
	if len(d.answer) != 1 {
		t.Fatalf("want one record:\n%s", d.text)
	}
	return strings.TrimSuffix(d.answer[0], "192.0.2.78")
}
