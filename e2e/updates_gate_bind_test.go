//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestGateBind has nsupdate change a zone of BIND through the gate, which signs with its own key.
func TestGateBind(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, bind, client := l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	client.resolves(t, guardAddr, "ad.example")
	const policy = `deny gate. name forbidden.ad.example.; grant gate. zonesub ANY;`
	primary := bind.gatedBind(t, policy)
	l.write("gate.key", fmt.Sprintf("key \"gate.\" {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", gateSecret))
	n := guard.namewardWith(t, gatedWorld("ad.example.", `
  gates:
    - {zone: ad.example., primary: [192.0.2.54], mname: gate.ad.example., key: gate.key}
  explain: [192.0.2.0/24]`), fmt.Sprintf(`.:53 {
    bind 192.0.2.53
    errors
    tsig {
        secret client. %s
        require none
    }
    NAMEWARD
    forward . 192.0.2.54
}
`, clientSecret))
	signed := "-y hmac-sha256:client.:" + clientSecret
	zone, at := client.asker(t, bindAddr), client.asker(t, guardAddr)

	same(t, "the SOA that clients see", mname(t, at, "ad.example.", dns.TypeSOA), "gate.ad.example.")
	same(t, "and that of a negative answer", mname(t, at, "none.ad.example.", dns.TypeA), "gate.ad.example.")
	same(t, "and the primary's own", mname(t, zone, "ad.example.", dns.TypeSOA), "ns1.ad.example.")
	holds(t, "the SOA with DO", client.dig(t, guardAddr, "+dnssec", "SOA", "ad.example.").text, "ns1.ad.example. hostmaster")

	for _, flags := range []string{signed, signed + " -v"} {
		for _, server := range []string{"server 192.0.2.53\nzone ad.example", ""} {
			what := fmt.Sprintf("two cards, %s, server line %q", flags[len(signed):], server)
			same(t, what, client.updates(t, nil, flags, server, twoCards), "0")
			same(t, what+": at the primary", zone.a("pc1.ad.example."), "192.0.2.40")
			same(t, what+": away", client.updates(t, nil, flags, server, "update delete pc1.ad.example"), "0")
			same(t, what+": at the primary", zone.a("pc1.ad.example."), "NXDOMAIN")
		}
	}
	n.logged(t, `"update held"`, `"quarantined"`, `"pc1.ad.example."`, `"10.9.0.40"`, `"principal":"client."`)

	same(t, "the first card alone", client.updates(t, nil, signed, "update add pc2.ad.example 60 A 192.0.2.41"), "0")
	same(t, "then the second one alone", client.updates(t, nil, signed, "update delete pc2.ad.example A\nupdate add pc2.ad.example 60 A 10.9.0.41"), "0")
	same(t, "leaves the first one", zone.a("pc2.ad.example."), "192.0.2.41")

	same(t, "a prerequisite that holds", client.updates(t, nil, signed, "prereq yxdomain pc2.ad.example\nupdate add pc2.ad.example 60 TXT x"), "0")
	same(t, "one that does not", client.updates(t, nil, signed, "prereq nxdomain pc2.ad.example\nupdate add pc2.ad.example 60 TXT y"), "2 update failed: YXDOMAIN")
	same(t, "nothing came of it", zone.lookup("pc2.ad.example.", dns.TypeTXT), `"x"`)
	same(t, "a name that the primary keeps", client.updates(t, nil, signed, "update add forbidden.ad.example 60 A 192.0.2.41"), "2 update failed: REFUSED")
	same(t, "unsigned", client.updates(t, nil, "", "update add pc3.ad.example 60 A 192.0.2.42"), "2 update failed: REFUSED")
	holds(t, "another secret", client.updates(t, nil, "-y hmac-sha256:client.:"+gateSecret, "update add pc3.ad.example 60 A 192.0.2.42"), "2 ", "BADSIG")
	holds(t, "another key", client.updates(t, nil, "-y hmac-sha256:other.:"+gateSecret, "update add pc3.ad.example 60 A 192.0.2.42"), "2 ", "BADKEY")
	same(t, "no record of these", zone.a("pc3.ad.example."), "NXDOMAIN")

	const role = "update delete mail.ad.example A\nupdate add mail.ad.example 5 A "
	same(t, "the holder", client.updates(t, nil, signed, role+"192.0.2.11"), "0")
	same(t, "the passive node", client.updates(t, nil, signed, role+"192.0.2.12"), "0")
	same(t, "the primary has no record of it", zone.a("mail.ad.example."), "NXDOMAIN")
	same(t, "and the guard that of the holder", at.a("mail.ad.example."), "192.0.2.11")
	n.logged(t, `"update held"`, `"parked"`, `"mail.ad.example."`, `"192.0.2.12"`)
	noManagement(t, client, bindAddr, "ad.example")

	add := func(i int) string { return fmt.Sprintf("update add after.ad.example 60 A 192.0.2.%d", i) }
	primary.stop()
	holds(t, "the primary is down", client.updates(t, nil, signed, "server 192.0.2.53\nzone ad.example", add(50)), "2 update failed: SERVFAIL")
	bind.gatedBind(t, policy)
	same(t, "and up again", client.updates(t, nil, signed, "server 192.0.2.53\nzone ad.example", add(51)), "0")
	same(t, "its record", zone.a("after.ad.example."), "192.0.2.51")
}

// TestGatePass relays what is signed by a key that client and BIND alone know: whole or not at all.
func TestGatePass(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, bind, client := l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	client.resolves(t, guardAddr, "ad.example")
	const policy = `grant client. zonesub ANY;`
	primary := bind.gatedBind(t, policy)
	l.write("policy.yaml", `
version: 1
rules:
  - {id: printers, names: [".ad.example."], channels: [update], types: [SRV], action: refuse, reason: by hand only}
`)
	n := guard.namewardWith(t, gatedWorld("ad.example.", `
  gates:
    - {zone: ad.example., primary: [192.0.2.54], mname: gate.ad.example., signed: pass}`)+"policy: policy.yaml\n",
		".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n forward . 192.0.2.54\n}\n")
	zone := client.asker(t, bindAddr)
	signed := "-y hmac-sha256:client.:" + clientSecret
	for i, flags := range []string{signed, signed + " -v"} {
		addr := fmt.Sprintf("192.0.2.%d", 60+i)
		same(t, "relayed"+flags[len(signed):], client.updates(t, nil, flags, "update delete pc1.ad.example A\nupdate add pc1.ad.example 60 A "+addr), "0")
		same(t, "its record", zone.a("pc1.ad.example."), addr)
		// nsupdate takes no word for it that nobody signed; nothing was changed.
		holds(t, "what cannot be relayed whole", client.updates(t, nil, flags, twoCards), "TSIG")
		same(t, "no record of it", zone.a("pc1.ad.example."), addr)
		holds(t, "what is refused", client.updates(t, nil, flags, "update add pc1.ad.example 60 SRV 0 0 80 pc1.ad.example"), "2 ")
		same(t, "no record of it either", zone.lookup("pc1.ad.example.", dns.TypeSRV), "NODATA")
	}
	n.logged(t, `"update held"`, `"quarantined"`, `"10.9.0.40"`)
	holds(t, "a key that nobody knows", client.updates(t, nil, "-y hmac-sha256:other.:"+clientSecret, "update add pc2.ad.example 60 A 192.0.2.61"), "2 ", "BADKEY")
	same(t, "unsigned", client.updates(t, nil, "", "update add pc2.ad.example 60 A 192.0.2.61"), "2 update failed: REFUSED")
	noManagement(t, client, bindAddr, "ad.example")

	primary.kill()
	holds(t, "the primary is down", client.updates(t, nil, signed, "server 192.0.2.53\nzone ad.example\nupdate add pc3.ad.example 60 A 192.0.2.62"), "2 ")
	bind.gatedBind(t, policy)
	for i := range 3 {
		name := fmt.Sprintf("pc%d.ad.example", 4+i)
		same(t, "and up again", client.updates(t, nil, signed, "update add "+name+" 60 A 192.0.2.63"), "0")
		same(t, "its record", zone.a(name+"."), "192.0.2.63")
	}
}

// TestGatePrimaryMute: a primary that is gone from the network costs its clients seconds, not the guard.
func TestGatePrimaryMute(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, bind, client := l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	bind.gatedBind(t, `grant client. zonesub ANY;`)
	guard.namewardWith(t, gatedWorld("ad.example.", `
  gates:
    - {zone: ad.example., primary: [192.0.2.99, 192.0.2.54], signed: pass}`), ".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n}\n")
	signed := "-v -y hmac-sha256:client.:" + clientSecret
	send := func(i int) (string, time.Duration) {
		begin := time.Now()
		out := client.updates(t, nil, signed, fmt.Sprintf("server 192.0.2.53\nzone ad.example\nupdate add pc1.ad.example 60 A 192.0.2.%d", 60+i))
		return out, time.Since(begin)
	}
	out, took := send(1)
	if out != "0" || took < time.Second || took > 4*time.Second {
		t.Errorf("the first primary is not there: %s after %s", out, took)
	}
	if out, took = send(2); out != "0" || took > time.Second {
		t.Errorf("once that is known: %s after %s", out, took)
	}
	bind.plug(false)
	if out, took = send(3); !strings.Contains(out, "SERVFAIL") && !strings.Contains(out, "TSIG") || took > 8*time.Second {
		t.Errorf("nobody is there: %s after %s", out, took)
	}
	bind.plug(true)
	soon(t, "it is back", 20*time.Second, "0", func() string { out, _ := send(4); return out })
}
