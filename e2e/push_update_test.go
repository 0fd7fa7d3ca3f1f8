//go:build linux

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/gsstsig"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/pushctl"
)

// pushedWorld is a pair whose public name lies in a zone of another server, which is updated.
func pushedWorld(zone, target string) string {
	return fmt.Sprintf(`
classes: {management: [10.9.0.0/16]}
clusters:
  - name: pair
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11], host: ex1.%[1]s}
      ex2: {public: [192.0.2.12], management: [10.9.0.12], host: ex2.%[1]s}
    roles:
      - {name: mailbox, dns: [mail.%[1]s], source: {operator: {initial: ex1}}}
push:
  targets:
    - name: primary
      check: 1s
%[2]s
`, zone, target)
}

// delivered is what the ledger has about a role.
func (n *Nameward) delivered(t *testing.T, target, role string) push.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := pushctl.Client{Client: n.Client}.Status(ctx, pushctl.Filter{Target: target, Role: role, Done: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Deliveries) != 1 {
		return push.Delivery{}
	}
	return st.Deliveries[0]
}

// reaches waits until a delivery is so far, and gives it.
func (n *Nameward) reaches(t *testing.T, target, role string, epoch uint64, stage push.Stage, limit time.Duration) (d push.Delivery) {
	t.Helper()
	soon(t, fmt.Sprintf("target %s, epoch %d of role %s, %s", target, epoch, role, stage), limit, "yes", func() string {
		if d = n.delivered(t, target, role); d.Epoch == epoch && d.Stage == stage {
			return "yes"
		}
		return fmt.Sprintf("%+v", d)
	})
	return d
}

// movesTo and fro, as often as is said, and logs how long it takes from the change until the target was asked and
// answers right.
func (n *Nameward) measures(t *testing.T, target, role string, times int) {
	t.Helper()
	var took []time.Duration
	for range times {
		to := "ex2"
		if n.role(t, role).Holder[0] == to {
			to = "ex1"
		}
		epoch, err := n.move(role, to)
		if err != nil {
			t.Fatal(err)
		}
		d := n.reaches(t, target, role, epoch, push.Verified, 5*time.Second)
		took = append(took, d.Verified.Sub(d.Moved))
	}
	slices.Sort(took)
	t.Logf("%s: change to verified, %d moves: median %v, p99 %v, worst %v", target, times, took[times/2], took[times*99/100], took[times-1])
}

// markerAt is what stands beside a name, without the ID.
func markerAt(a *Asker, name string) string {
	text, _, _ := strings.Cut(a.lookup("_nameward."+name, dns.TypeTXT), " id=")
	return strings.Trim(text, `"`)
}

const pushSecret = "cHVzaCdzIHNlY3JldCBvZiB0aGUgbGFiIGE="

// pushedBind starts BIND as the primary of ad.example, and of the reverse zone, in which a record of the name has stood
// for years.
func (h *Host) pushedBind(t *testing.T, addr string) *Process {
	t.Helper()
	const head = "$TTL 60\n@ SOA ns1.ad.example. hostmaster.ad.example. 1 3600 600 86400 60\n@ NS ns1.ad.example.\n"
	dir := "named-" + h.name
	h.lab.write(dir+"/ad", head+"ns1 A "+addr+"\nmail 3600 A 192.0.2.12\n")
	h.lab.write(dir+"/reverse", head+"12 PTR ex2.ad.example.\n")
	return h.pushedBindAgain(t, addr)
}

func (h *Host) pushedBindAgain(t *testing.T, addr string) *Process {
	t.Helper()
	return h.named(t, addr, fmt.Sprintf(`
key "push." { algorithm hmac-sha256; secret %q; };
key "admin." { algorithm hmac-sha256; secret %q; };
zone "ad.example" { type primary; file "ad"; update-policy {
	grant push. name mail.ad.example. A AAAA; grant push. name _nameward.mail.ad.example. TXT; grant admin. zonesub ANY;
}; };
zone "2.0.192.in-addr.arpa" { type primary; file "reverse"; update-policy { grant push. zonesub PTR TXT; }; };
`, pushSecret, gateSecret), "ad.example.")
}

const adminKey = "-v -y hmac-sha256:admin.:" + gateSecret

// TestPushUpdateBind has a pair move while BIND is its primary, with a TSIG key that may write the name, its marker and
// PTR records, and nothing else.
func TestPushUpdateBind(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, bind, client := l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	primary := bind.pushedBind(t, bindAddr)
	l.write("push.key", "push.:"+pushSecret+"\n")
	const target = "      update: {zone: ad.example., primary: [192.0.2.54], key: push.key, reverse: [2.0.192.in-addr.arpa.]}\n"
	n := guard.nameward(t, pushedWorld("ad.example.", target))
	zone := client.asker(t, bindAddr)
	ptr := func() string {
		return zone.lookup("11.2.0.192.in-addr.arpa.", dns.TypePTR) + " " + zone.lookup("12.2.0.192.in-addr.arpa.", dns.TypePTR)
	}
	const name = "mail.ad.example."

	epoch := n.role(t, "mailbox").Epoch
	n.reaches(t, "primary", "mailbox", epoch, push.Verified, 5*time.Second)
	same(t, "what an administrator wrote years ago is replaced", zone.a(name), "192.0.2.11")
	same(t, "the marker", markerAt(zone, name), fmt.Sprintf("v=1 role=mailbox epoch=%d holder=ex1", epoch))
	same(t, "the PTR records", ptr(), "mail.ad.example. ex2.ad.example.")

	out := n.do(t, "switch", "mailbox", "--to", "ex2", "--wait")
	holds(t, "switch --wait", out, "primary", "verified")
	same(t, "at once", zone.a(name), "192.0.2.12")
	same(t, "the PTR records", ptr(), "ex1.ad.example. mail.ad.example.")
	n.measures(t, "primary", "mailbox", 100)

	// Somebody else writes there: it is found and told, and stays.
	same(t, "an administrator", client.updates(t, nil, adminKey, "server "+bindAddr, "zone ad.example", "update delete mail.ad.example A\nupdate add mail.ad.example 60 A 203.0.113.9"), "0")
	epoch = n.role(t, "mailbox").Epoch
	d := n.reaches(t, "primary", "mailbox", epoch, push.Foreign, 5*time.Second)
	same(t, "what is found", fmt.Sprint(d.Found), "[203.0.113.9]")
	holds(t, "push status", n.do(t, "push", "status"), "foreign", "203.0.113.9")
	same(t, "it is left alone", zone.a(name), "203.0.113.9")
	n.stop()
	l.write("nameward.yaml", pushedWorld("ad.example.", "      repair: true\n"+target)+place)
	n.up(t)
	n.reaches(t, "primary", "mailbox", epoch, push.Verified, 10*time.Second)
	right := fmt.Sprint(d.Addrs[0])
	same(t, "and repaired by choice", zone.a(name), right)
	same(t, "and again", client.updates(t, nil, adminKey, "server "+bindAddr, "zone ad.example", "update delete mail.ad.example A\nupdate add mail.ad.example 60 A 203.0.113.9\nupdate add mail.ad.example 60 AAAA 2001:db8::9"), "0")
	soon(t, "repaired while it runs", 10*time.Second, right+" NODATA", func() string { return zone.a(name) + " " + zone.lookup(name, dns.TypeAAAA) })

	n.downForAWhile(t, bind, primary, zone)
	n.killedBetween(t, bind, zone)
}

// downForAWhile: a primary that comes back gets the newest state, once.
func (n *Nameward) downForAWhile(t *testing.T, bind *Host, primary *Process, zone *Asker) {
	t.Helper()
	primary.kill()
	var epoch uint64
	for _, to := range []string{"ex2", "ex1", "ex2"} {
		var err error
		if epoch, err = n.move("mailbox", to); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // some tries in vain
	}
	before := n.delivered(t, "primary", "mailbox")
	if before.Stage == push.Verified || before.Why == "" {
		t.Errorf("while it is down: %+v", before)
	}
	bind.pushedBindAgain(t, bindAddr)
	d := n.reaches(t, "primary", "mailbox", epoch, push.Verified, 15*time.Second)
	t.Logf("down for a while: %d tries, the last one of %v", d.Tries, before.Why)
	same(t, "the newest state", zone.a("mail.ad.example.")+" "+markerAt(zone, "mail.ad.example."), fmt.Sprintf("192.0.2.12 v=1 role=mailbox epoch=%d holder=ex2", epoch))
}

// killedBetween: nameward is killed when it has sent an update and has no response yet.
func (n *Nameward) killedBetween(t *testing.T, bind *Host, zone *Asker) {
	t.Helper()
	for i, to := range []string{"ex1", "ex2", "ex1"} {
		bind.plug(false)
		epoch, err := n.move("mailbox", to)
		if err != nil {
			t.Fatal(err)
		}
		n.reaches(t, "primary", "mailbox", epoch, push.Sent, 5*time.Second)
		n.kill()
		bind.plug(true)
		n.up(t)
		d := n.reaches(t, "primary", "mailbox", epoch, push.Verified, 20*time.Second)
		same(t, fmt.Sprint("after kill ", i), markerAt(zone, "mail.ad.example."), fmt.Sprintf("v=1 role=mailbox epoch=%d holder=%s", epoch, to))
		if len(d.Addrs) != 1 || zone.a("mail.ad.example.") != d.Addrs[0].String() {
			t.Errorf("%s is there, want %v", zone.a("mail.ad.example."), d.Addrs)
		}
	}
}

// TestPushUpdateTwoPrimaries: when the first primary is gone, the second one takes over, which has not heard of the last
// change.
func TestPushUpdateTwoPrimaries(t *testing.T) {
	t.Parallel()
	const secondAddr = "192.0.2.56"
	l := newLab(t)
	guard, first, second, client := l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("bind2", secondAddr), l.host("client", clientAddr)
	primary := first.pushedBind(t, bindAddr)
	second.pushedBind(t, secondAddr)
	l.write("push.key", "push.:"+pushSecret+"\n")
	n := guard.nameward(t, pushedWorld("ad.example.", "      update: {zone: ad.example., primary: [192.0.2.54, 192.0.2.56], key: push.key}\n"))
	one, two := client.asker(t, bindAddr), client.asker(t, secondAddr)
	const name = "mail.ad.example."
	n.reaches(t, "primary", "mailbox", n.role(t, "mailbox").Epoch, push.Verified, 5*time.Second)
	same(t, "the first one has it", one.a(name)+", "+two.a(name), "192.0.2.11, 192.0.2.12")
	for _, how := range []string{"mute", "dead"} {
		if how == "mute" {
			first.plug(false) // the connections to it stay open
		} else {
			primary.kill()
			first.plug(true)
			time.Sleep(11 * time.Second) // until it is tried first again
		}
		for _, to := range []string{"ex2", "ex1"} {
			epoch, err := n.move("mailbox", to)
			if err != nil {
				t.Fatal(err)
			}
			d := n.reaches(t, "primary", "mailbox", epoch, push.Verified, 20*time.Second)
			t.Logf("%s: the second one has it after %v, %d tries", how, d.Verified.Sub(d.Moved), d.Tries)
			same(t, how+": the second one has it", two.a(name), fmt.Sprint(d.Addrs[0]))
		}
	}
}

// TestPushUpdateThousand moves a thousand roles at once.
func TestPushUpdateThousand(t *testing.T) {
	t.Parallel()
	const roles = 1000
	l := newLab(t)
	guard, bind, client := l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	l.write("named-bind/ad", "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 60\n@ NS ns1\nns1 A "+bindAddr+"\n")
	bind.named(t, bindAddr, fmt.Sprintf(`
key "push." { algorithm hmac-sha256; secret %q; };
zone "ad.example" { type primary; file "ad"; update-policy { grant push. zonesub A AAAA TXT; }; };
`, pushSecret), "ad.example.")
	l.write("push.key", "push.:"+pushSecret+"\n")
	var list strings.Builder
	for i := range roles {
		fmt.Fprintf(&list, "      - {name: role%d, dns: [role%d.ad.example.], source: {operator: {initial: ex1}}}\n", i, i)
	}
	world := pushedWorld("ad.example.", "      update: {zone: ad.example., primary: [192.0.2.54], key: push.key}\n")
	n := guard.nameward(t, strings.Replace(world, "    roles:\n", "    roles:\n"+list.String(), 1))
	verified := func() string {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		st, err := pushctl.Client{Client: n.Client}.Status(ctx, pushctl.Filter{})
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(st.Targets[0].Stages[push.Verified.String()], " ", len(st.Deliveries))
	}
	all := fmt.Sprint(roles+1, " 0")
	t.Logf("at the start: %v", soon(t, "all roles at the start", 60*time.Second, all, verified))
	for _, to := range []string{"ex2", "ex1"} {
		out := n.do(t, "switch", "--all", "--to", to, "--wait", "--timeout", "60s")
		t.Log(tail(out, 4))
		same(t, "all are there", verified(), all)
	}
	zone := client.asker(t, bindAddr)
	same(t, "the last one", zone.a("role999.ad.example."), "192.0.2.11")
}

// TestPushUpdateKerberos has BIND take updates that are signed by GSS-TSIG, with an MIT KDC, by keytab and by password.
func TestPushUpdateKerberos(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	center, guard, bind, client := l.host("kdc", kdcAddr), l.host("guard", guardAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	k := center.kdc(t)
	keytab := k.principal("DNS/ns1.corp.example", gssEnctype, "bind.keytab")
	proof := map[string]string{"keytab": "keytab: " + k.principal("nameward", gssEnctype, "identity.keytab")}
	k.do("kadmin.local", "-r", kdcRealm, "-q", "addprinc -pw Gu4rd.Pass guard")
	proof["password"] = "password_file: " + l.secret("password", "Gu4rd.Pass\n")
	const policy = "grant %s@CORP.EXAMPLE name mail.ad.example. A AAAA; grant %[1]s@CORP.EXAMPLE name _nameward.mail.ad.example. TXT;"
	k.gssBind(t, bind, keytab, fmt.Sprintf(policy, "nameward")+fmt.Sprintf(policy, "guard"))
	zone := client.asker(t, bindAddr)
	for how, principal := range map[string]string{"keytab": "nameward", "password": "guard"} {
		n := guard.nameward(t, pushedWorld("ad.example.", fmt.Sprintf(`
      update:
        zone: ad.example.
        primary: [192.0.2.54]
        identity: {principal: %s@CORP.EXAMPLE, %s, kdc: [%s], service: [ns1.corp.example.]}
`, principal, proof[how], kdcAddr)))
		n.reaches(t, "primary", "mailbox", n.role(t, "mailbox").Epoch, push.Verified, 10*time.Second)
		n.measures(t, "primary", "mailbox", 50)
		same(t, how+": the record", zone.a("mail.ad.example."), fmt.Sprint(n.delivered(t, "primary", "mailbox").Addrs[0]))
		if strings.Contains(n.output(), "Gu4rd.Pass") {
			t.Error("the password is in the log")
		}
		n.stop()
	}
}

func sambaWorld(proof string) string {
	return pushedWorld("e2e.example.", fmt.Sprintf(`
      update:
        zone: e2e.example.
        primary: [192.0.2.5]
        identity: {principal: nameward@E2E.EXAMPLE, %s, kdc: [192.0.2.5], service: [dc1.e2e.example.]}
`, proof))
}

// TestPushUpdateSamba has the internal name server of a domain controller of Samba take updates that are signed by
// GSS-TSIG, by keytab and by password. What it says no with is signed wrongly before 4.19.8.
func TestPushUpdateSamba(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, dc, client := l.host("guard", guardAddr), l.host("dc", dcAddr), l.host("client", clientAddr)
	conf := dc.signedController(t, dcAddr)
	dc.run(t, "samba-tool", "user", "create", "nameward", "Gu4rd.Pass", "-s", conf)
	dc.run(t, "samba-tool", "domain", "exportkeytab", l.path("identity.keytab"), "--principal=nameward@E2E.EXAMPLE", "-s", conf)
	dc.start(t, "samba", "-s", conf, "-F", "--no-process-group", "-M", "single")
	zone := client.asker(t, dcAddr)
	soon(t, "the controller", 30*time.Second, dcAddr, func() string { return zone.a("dc1.e2e.example.") })
	l.secret("password", "Gu4rd.Pass\n")
	const name = "mail.e2e.example."

	// What an administrator has made, only administrators may change. The controller says SERVFAIL then.
	admin, err := gsstsig.NewInitiator(gsstsig.Login{Principal: "Administrator@E2E.EXAMPLE", KDCs: []string{dcAddr}, Password: l.secret("admin", "Not.Secret.1\n")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.negotiate(admin, dcAddr, "dc1.e2e.example")
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := client.exchange(c, signedUpdate(t, c, "e2e.example.", name, "192.0.2.12"), "tcp", dcAddr); err != nil {
		t.Fatal(reply, err)
	}
	n := guard.nameward(t, sambaWorld("keytab: identity.keytab"))
	soon(t, "the controller does not let it", 20*time.Second, "failed, SERVFAIL", func() string {
		d := n.delivered(t, "primary", "mailbox")
		if strings.Contains(d.Why, "SERVFAIL") {
			return d.Stage.String() + ", SERVFAIL"
		}
		return fmt.Sprintf("%+v", d)
	})
	same(t, "the administrator's record", zone.a(name)+" "+markerAt(zone, name), "192.0.2.12 NXDOMAIN")
	n.stop()
	dc.run(t, "samba-tool", "group", "addmembers", "DnsAdmins", "nameward", "-s", conf)

	for _, proof := range []string{"keytab: identity.keytab", "password_file: password"} {
		n := guard.nameward(t, sambaWorld(proof))
		n.reaches(t, "primary", "mailbox", n.role(t, "mailbox").Epoch, push.Verified, 20*time.Second)
		n.measures(t, "primary", "mailbox", 50)
		d := n.delivered(t, "primary", "mailbox")
		same(t, proof+": the record", zone.a(name), fmt.Sprint(d.Addrs[0]))
		same(t, proof+": the marker", markerAt(zone, name), fmt.Sprintf("v=1 role=mailbox epoch=%d holder=%s", d.Epoch, n.role(t, "mailbox").Holder[0]))
		if strings.Contains(n.output(), "Gu4rd.Pass") {
			t.Error("the password is in the log")
		}
		n.stop()
	}
}
