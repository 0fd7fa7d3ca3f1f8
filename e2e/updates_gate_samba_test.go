//go:build linux

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/gsstsig"
)

const dcAddr = "192.0.2.5"

// domain is a domain controller of Samba with the accounts that the tests need.
type domain struct {
	dc   *Host
	conf string
	env  []string // of Kerberos programs
}

// domain provisions a domain E2E.EXAMPLE on the host, whose controller has a management card as well, and
// waits until it answers. Its zone gets the addresses of the gate, which is the guard.
func (h *Host) domain(t *testing.T, client *Host) *domain {
	t.Helper()
	l := h.lab
	d := &domain{dc: h, conf: h.signedController(t, dcAddr)}
	h.resolves(t, guardAddr, "e2e.example", dcAddr+" dc1.e2e.example dc1")
	client.resolves(t, guardAddr, "e2e.example")
	d.env = []string{"KRB5_CONFIG=" + l.write("krb5.conf", fmt.Sprintf(krb5Conf, "E2E.EXAMPLE", dcAddr, l.dir))}
	for _, args := range [][]string{
		{"user", "create", "nameward", "Gu4rd.Pass"}, {"group", "addmembers", "DnsAdmins", "nameward"},
		{"user", "create", "gate", "--random-password"}, {"spn", "add", "DNS/gate.e2e.example", "gate"},
		{"spn", "add", "DNS/relay.e2e.example", "DC1$"},
		{"computer", "create", "PC1"}, {"user", "setpassword", "PC1$", "--newpassword=C0mputer.Pass"}, {"user", "create", "user", "Us3r.Pass"},
	} {
		h.run(t, append(append([]string{"samba-tool"}, args...), "-s", d.conf)...)
	}
	for file, principal := range map[string]string{
		"identity": "nameward@E2E.EXAMPLE", "service": "DNS/gate.e2e.example", "pc1": "PC1$@E2E.EXAMPLE", "user": "user@E2E.EXAMPLE",
	} {
		h.run(t, "samba-tool", "domain", "exportkeytab", l.path(file+".keytab"), "--principal="+principal, "-s", d.conf)
	}
	l.ip("-n", h.ns, "addr", "add", "10.9.0.5/24", "dev", "e0")
	h.start(t, "samba", "-s", d.conf, "-F", "--no-process-group", "-M", "single")
	d.knowsGate(t, client)
	return d
}

// knowsGate puts the names of the gate into the zone, as an administrator does.
func (d *domain) knowsGate(t *testing.T, client *Host) {
	t.Helper()
	i, err := gsstsig.NewInitiator(gsstsig.Login{Principal: "nameward@E2E.EXAMPLE", KDCs: []string{dcAddr}, Keytab: d.dc.lab.path("identity.keytab")})
	if err != nil {
		t.Fatal(err)
	}
	var c *gsstsig.Context
	soon(t, "the controller", 30*time.Second, "", func() string {
		c, err = client.negotiate(i, dcAddr, "dc1.e2e.example")
		return errText(err)
	})
	for _, name := range []string{"gate.e2e.example.", "relay.e2e.example."} {
		reply, err := client.exchange(c, signedUpdate(t, c, "e2e.example.", name, guardAddr), "tcp", dcAddr)
		if reply == nil || reply.Rcode != dns.RcodeSuccess {
			t.Fatalf("%s: %v %v", name, reply, err)
		}
	}
}

// as logs in with a keytab of the lab and gives the environment of programs that are the principal.
func (d *domain) as(t *testing.T, from *Host, principal, keytab string) []string {
	t.Helper()
	env := append(append([]string{}, d.env...), "KRB5CCNAME=FILE:"+d.dc.lab.path("ccache-"+keytab))
	if r := from.try(t, env, "kinit", "-kt", d.dc.lab.path(keytab+".keytab"), principal); r.code != 0 {
		t.Fatal(r.out)
	}
	return env
}

// dnsupdate has samba_dnsupdate register what a list says, through whatever server the SOA record names.
func (d *domain) dnsupdate(t *testing.T, list string) string {
	t.Helper()
	l := d.dc.lab
	r := d.dc.try(t, nil, "samba_dnsupdate", "-s", d.conf, "--use-nsupdate", "--verbose", "--update-list="+l.write("dns_update_list", list), "--update-cache="+l.path("cache"))
	return fmt.Sprintf("%d\n%s", r.code, r.out)
}

const sambaPolicy = `
version: 1
rules:
  - {id: second-cards, names: [.e2e.example.], channels: [update], classes: ["@filtered"], action: strip, reason: never}
  - {id: computers, names: [.e2e.example.], channels: [update], principals: ['*$@E2E.EXAMPLE'], action: publish, reason: they have an account}
  - {id: others, names: [.e2e.example.], channels: [update], action: refuse, reason: they have none}
`

const sambaCorefile = ".:53 {\n bind 192.0.2.53\n errors\n NAMEWARD\n forward . 192.0.2.5\n}\n"

// TestGateSamba has a domain controller of Samba as the primary behind the gate.
func TestGateSamba(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, dc, client := l.host("guard", guardAddr), l.host("dc", dcAddr), l.host("client", clientAddr)
	d := dc.domain(t, client)
	d.terminated(t, guard, client)
	d.relayed(t, guard, client)
}

// terminated: clients agree on keys with the gate, and the guard signs what may be passed on as an identity of its own.
func (d *domain) terminated(t *testing.T, guard, client *Host) {
	t.Helper()
	l := guard.lab
	l.write("policy.yaml", sambaPolicy)
	n := guard.namewardWith(t, gatedWorld("e2e.example.", `
  kerberos: {keytab: service.keytab, principals: [DNS/gate.e2e.example@E2E.EXAMPLE]}
  gates:
    - zone: e2e.example.
      primary: [192.0.2.5]
      mname: gate.e2e.example.
      identity: {principal: nameward@E2E.EXAMPLE, keytab: identity.keytab, kdc: [192.0.2.5], service: [dc1.e2e.example.]}
policy: policy.yaml`), sambaCorefile)
	defer n.stop()
	pc1, user, behind := d.as(t, client, "PC1$", "pc1"), d.as(t, client, "user", "user"), client.asker(t, dcAddr)
	for i, flags := range []string{"-g", "-g -v"} {
		addr := fmt.Sprintf("192.0.2.%d", 40+i)
		same(t, "two cards "+flags, client.updates(t, pc1, flags, "update delete pc1.e2e.example A\nupdate add pc1.e2e.example 60 A 10.9.0.40\nupdate add pc1.e2e.example 60 A "+addr), "0")
		same(t, "their record", behind.a("pc1.e2e.example."), addr)
	}
	same(t, "the wrong card alone", client.updates(t, pc1, "-g", "update delete pc1.e2e.example A\nupdate add pc1.e2e.example 60 A 10.9.0.40"), "0")
	same(t, "takes nothing away", behind.a("pc1.e2e.example."), "192.0.2.41")
	same(t, "no computer", client.updates(t, user, "-g", "update add pc2.e2e.example 60 A 192.0.2.42"), "2 update failed: REFUSED")
	same(t, "unsigned", client.updates(t, user, "", "update add pc2.e2e.example 60 A 192.0.2.42"), "2 update failed: REFUSED")
	same(t, "a passive node", client.updates(t, pc1, "-g", "update delete mail.e2e.example A\nupdate add mail.e2e.example 60 A 192.0.2.12"), "0")
	same(t, "the holder", client.updates(t, pc1, "-g", "update delete mail.e2e.example A\nupdate add mail.e2e.example 60 A 192.0.2.11"), "0")
	same(t, "no records of these", behind.a("pc2.e2e.example.")+" "+behind.a("mail.e2e.example."), "NXDOMAIN NXDOMAIN")
	same(t, "the role decides", client.asker(t, guardAddr).a("mail.e2e.example."), "192.0.2.11")
	n.logged(t, `"update held"`, `"parked"`, `"192.0.2.12"`, `"principal":"PC1$@E2E.EXAMPLE"`)

	out := d.dnsupdate(t, "A registered.${DNSDOMAIN} $IP\nSRV _kept._tcp.${DNSDOMAIN} ${HOSTNAME} 389\n")
	holds(t, "samba_dnsupdate", out, "Successfully obtained Kerberos ticket to DNS/gate.e2e.example as DC1$")
	same(t, "its exit code", out[:2], "0\n")
	same(t, "the controller's own card", behind.a("registered.e2e.example."), dcAddr)
	same(t, "and service", behind.lookup("_kept._tcp.e2e.example.", dns.TypeSRV), "0 100 389 dc1.e2e.example.")
	n.logged(t, `"update held"`, `"registered.e2e.example."`, `"10.9.0.5"`, `"principal":"DC1$@E2E.EXAMPLE"`)
}

// relayed: clients agree on keys with the controller through the gate. Samba before 4.19.8 signs its responses in
// a way that nsupdate does not verify, so that the records tell what came of an update.
func (d *domain) relayed(t *testing.T, guard, client *Host) {
	t.Helper()
	l := guard.lab
	l.write("policy.yaml", `
version: 1
rules:
  - {id: second-cards, names: [.e2e.example.], channels: [update], classes: ["@filtered"], action: strip, reason: never}
`)
	n := guard.namewardWith(t, gatedWorld("e2e.example.", `
  gates:
    - {zone: e2e.example., primary: [192.0.2.5], mname: relay.e2e.example., signed: pass}
policy: policy.yaml`), sambaCorefile)
	pc1, behind := d.as(t, client, "PC1$", "pc1"), client.asker(t, dcAddr)
	for i, flags := range []string{"-g", "-g -v"} {
		addr := fmt.Sprintf("192.0.2.%d", 50+i)
		t.Logf("relayed %s: %s", flags, client.updates(t, pc1, flags, "update delete pc5.e2e.example A\nupdate add pc5.e2e.example 60 A "+addr))
		same(t, "relayed "+flags+": its record", behind.a("pc5.e2e.example."), addr)
	}
	client.updates(t, pc1, "-g", "update add pc5.e2e.example 60 A 192.0.2.52\nupdate add pc5.e2e.example 60 A 10.9.0.52")
	same(t, "what cannot be relayed whole", behind.a("pc5.e2e.example."), "192.0.2.51")
	n.logged(t, `"update held"`, `"pc5.e2e.example."`, `"10.9.0.52"`)
	client.updates(t, pc1, "-g", "update delete mail.e2e.example A\nupdate add mail.e2e.example 60 A 192.0.2.12")
	same(t, "nor what a role decides", behind.a("mail.e2e.example."), "NXDOMAIN")
	same(t, "unsigned", client.updates(t, pc1, "", "update add pc6.e2e.example 60 A 192.0.2.42"), "2 update failed: REFUSED")

	out := d.dnsupdate(t, "A again.${DNSDOMAIN} $IP\n")
	holds(t, "samba_dnsupdate", out, "Successfully obtained Kerberos ticket to DNS/relay.e2e.example as DC1$")
	same(t, "the controller's own card alone", behind.a("again.e2e.example."), dcAddr)
}
