//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/plugin/gsstsig"
)

const gssEnctype = "aes256-cts-hmac-sha1-96"

// as logs in as a principal whose key is in a keytab, and gives the environment of programs that are it.
func (k *kdc) as(t *testing.T, from *Host, principal, keytab string, flags ...string) []string {
	t.Helper()
	env := append(append([]string{}, k.env...), "KRB5CCNAME=FILE:"+k.host.lab.path("ccache-"+strings.Trim(principal, "$")))
	if r := from.try(t, env, append(append([]string{"kinit"}, flags...), "-kt", keytab, principal)...); r.code != 0 {
		t.Fatal(r.out)
	}
	return env
}

// gssBind starts BIND as the primary of ad.example, with a keytab.
func (k *kdc) gssBind(t *testing.T, h *Host, keytab, policy string) *Process {
	t.Helper()
	dir := h.lab.path("named-" + h.name)
	h.lab.write("named-"+h.name+"/ad", "$TTL 60\n@ SOA ns1.corp.example. hostmaster 1 3600 600 86400 60\n@ NS ns1.corp.example.\n")
	conf := h.lab.write("named-"+h.name+"/named.conf", fmt.Sprintf(`
options {
	directory %q; pid-file "named.pid"; session-keyfile "session.key"; tkey-gssapi-keytab %q;
	listen-on port 53 { %s; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; notify no;
};
controls { };
zone "ad.example" { type primary; file "ad"; update-policy { %s }; };
`, dir, keytab, bindAddr, policy))
	p := h.start(t, append(append([]string{"env"}, k.env...), "named", "-g", "-n", "1", "-c", conf)...)
	a := h.asker(t, bindAddr)
	soon(t, "named answers", 20*time.Second, "NODATA", func() string { return a.a("ad.example.") })
	return p
}

const gssPolicy = `
version: 1
rules:
  - {id: second-cards, names: [.corp.example., .ad.example.], channels: [update], classes: ["@filtered"], action: strip, reason: never}
  - {id: computers, names: [.corp.example., .ad.example.], channels: [update], principals: ['*$@CORP.EXAMPLE'], action: publish, reason: they have an account}
  - {id: others, names: [.corp.example., .ad.example.], channels: [update], action: refuse, reason: they have none}
`

// TestGateKerberos has nsupdate sign with Kerberos tickets: for an owned zone, and for one of BIND to which the
// guard signs with an identity of its own.
func TestGateKerberos(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	center, guard, bind, client := l.host("kdc", kdcAddr), l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	client.resolves(t, guardAddr, "corp.example")
	k := center.kdc(t)
	service := k.principal("DNS/gate.corp.example", gssEnctype, "service.keytab")
	identity := k.principal("nameward", gssEnctype, "identity.keytab")
	keytab := k.principal("DNS/ns1.corp.example", gssEnctype, "bind.keytab")
	const policy = `grant nameward@CORP.EXAMPLE zonesub ANY;`
	primary := k.gssBind(t, bind, keytab, policy)
	ex1 := k.as(t, client, "EX1$", k.principal("EX1$", gssEnctype, "ex1.keytab"))
	user := k.as(t, client, "user", k.principal("user", gssEnctype, "user.keytab"))

	l.write("policy.yaml", gssPolicy)
	world := gatedWorld("corp.example.", fmt.Sprintf(`
  kerberos: {keytab: %s, principals: [DNS/gate.corp.example@CORP.EXAMPLE]}
  gates:
    - zone: ad.example.
      primary: [192.0.2.54]
      mname: gate.corp.example.
      identity: {principal: nameward@CORP.EXAMPLE, keytab: %s, kdc: [%s], service: [ns1.corp.example.]}
zones:
  - {name: corp.example., ns: {gate.corp.example.: [192.0.2.53]}, updates: own}
policy: policy.yaml`, service, identity, kdcAddr))
	n := guard.namewardWith(t, world, ".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n forward . 192.0.2.54\n}\n")
	at, behind := client.asker(t, guardAddr), client.asker(t, bindAddr)

	for _, zone := range []struct {
		name string
		look *Asker
	}{{"corp.example", at}, {"ad.example", behind}} {
		for i, flags := range []string{"-g", "-g -v"} {
			what, pc, addr := zone.name+" "+flags, "pc1."+zone.name, fmt.Sprintf("192.0.2.%d", 70+i)
			same(t, what, client.updates(t, ex1, flags, "update delete "+pc+" A\nupdate add "+pc+" 60 A 10.9.0.40\nupdate add "+pc+" 60 A "+addr), "0")
			same(t, what+": its record", zone.look.a(pc+"."), addr)
			same(t, what+": somebody else", client.updates(t, user, flags, "update add "+pc+" 60 A 192.0.2.99"), "2 update failed: REFUSED")
			same(t, what+": its record", zone.look.a(pc+"."), addr)
			same(t, what+": a prerequisite", client.updates(t, ex1, flags, "prereq nxdomain "+pc+"\nupdate add "+pc+" 60 A 192.0.2.99"), "2 update failed: YXDOMAIN")
		}
	}
	n.logged(t, `"update held"`, `"pc1.ad.example."`, `"10.9.0.40"`, `"principal":"EX1$@CORP.EXAMPLE"`, `"second-cards"`)
	n.logged(t, `"update held"`, `"refused"`, `"principal":"user@CORP.EXAMPLE"`, `"others"`)
	noManagement(t, client, bindAddr, "ad.example")
	const role = "update delete mail.corp.example A\nupdate add mail.corp.example 5 A "
	same(t, "the passive node", client.updates(t, ex1, "-g", role+"192.0.2.12"), "0")
	same(t, "the role decides", at.a("mail.corp.example."), "192.0.2.11")
	n.logged(t, `"update held"`, `"parked"`, `"192.0.2.12"`)

	// BIND forgets what was agreed on; the guard agrees anew, and the client notices nothing.
	primary.stop()
	k.gssBind(t, bind, keytab, policy)
	same(t, "a primary that was started anew", client.updates(t, ex1, "-g", "update add pc2.ad.example 60 A 192.0.2.80"), "0")
	same(t, "its record", behind.a("pc2.ad.example."), "192.0.2.80")
	center.plug(false)
	same(t, "without Kerberos what was agreed on holds", client.updates(t, ex1, "-g", "server 192.0.2.53\nzone ad.example", "update add pc3.ad.example 60 A 192.0.2.81"), "0")
	center.plug(true)

	k.forgotten(t, client, n)
}

// forgotten has the guard forget what it agreed on with a client. nsupdate would agree anew by itself.
func (k *kdc) forgotten(t *testing.T, client *Host, n *Nameward) {
	t.Helper()
	i, err := gsstsig.NewInitiator(gsstsig.Login{Principal: "EX1$@CORP.EXAMPLE", Keytab: k.host.lab.path("kdc", "ex1.keytab"), KDCs: []string{kdcAddr}})
	if err != nil {
		t.Fatal(err)
	}
	negotiate := func() *gsstsig.Context {
		c, err := client.negotiate(i, guardAddr, "gate.corp.example")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	send := func(c *gsstsig.Context) string {
		reply, err := client.exchange(c, signedUpdate(t, c, "ad.example.", "pc4.ad.example.", "192.0.2.82"), "udp", guardAddr)
		if reply != nil && reply.IsTsig() != nil && reply.IsTsig().Error != 0 {
			return fmt.Sprintf("%d TSIG error %d", reply.Rcode, reply.IsTsig().Error)
		}
		return verdict(c, reply, err)
	}
	const well = "NOERROR, verified, negotiation signed true, legacy false"
	c := negotiate()
	same(t, "what was agreed on", send(c), well)
	n.stop()
	n.up(t)
	same(t, "what was agreed on with a guard before this one", send(c), "9 TSIG error 17") // NOTAUTH, BADKEY
	same(t, "agreed on anew", send(negotiate()), well)
}
