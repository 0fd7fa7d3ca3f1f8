//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/gsstsig"
)

// signedNamed starts BIND with a keytab and a zone that guard@CORP.EXAMPLE may change one name of.
func (k *kdc) signedNamed(t *testing.T, h *Host, keytab string) {
	t.Helper()
	dir := h.lab.path("named-" + h.name)
	h.lab.write("named-"+h.name+"/zone", "$TTL 60\n@ SOA aes256.corp.example. hostmaster.corp.example. 1 3600 600 86400 60\n@ NS aes256.corp.example.\n")
	conf := h.lab.write("named-"+h.name+"/named.conf", fmt.Sprintf(`
options {
	directory %q; pid-file "named.pid"; session-keyfile "session.key"; tkey-gssapi-keytab %q;
	listen-on port 53 { %s; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; notify no;
};
controls { };
zone "bind.example" {
	type primary; file "zone";
	update-policy { grant guard@CORP.EXAMPLE name vip.bind.example. A AAAA; };
};
`, dir, keytab, bindAddr))
	p := h.start(t, append(append([]string{"env"}, k.env...), "named", "-g", "-n", "1", "-c", conf)...)
	a := h.asker(t, bindAddr)
	soon(t, "named answers", 20*time.Second, "NOERROR", func() string {
		r, err := a.exchange("bind.example.", dns.TypeSOA)
		if err != nil {
			if !p.running() {
				t.Fatalf("named ended\n%s", p.output())
			}
			return err.Error()
		}
		return dns.RcodeToString[r.Rcode]
	})
}

// TestGSSBind has our initiator change a zone of BIND.
func TestGSSBind(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	center, bind, client := l.host("kdc", kdcAddr), l.host("bind", bindAddr), l.host("client", clientAddr)
	k := center.kdc(t)
	var services string
	for _, e := range gssEnctypes {
		services = k.principal("DNS/"+e.name+".corp.example", e.enctype, "services.keytab")
	}
	login := gsstsig.Login{Principal: "guard@CORP.EXAMPLE", Keytab: k.principal("guard", gssEnctypes[0].enctype, "guard.keytab"), KDCs: []string{kdcAddr}}
	k.signedNamed(t, bind, services)
	a := client.asker(t, bindAddr)
	n := 0
	for _, e := range gssEnctypes {
		for _, options := range [][]gsstsig.Option{nil, {gsstsig.Bare}} {
			what := fmt.Sprintf("%s, bare %v", e.name, len(options) > 0)
			i, err := gsstsig.NewInitiator(login, options...)
			if err != nil {
				t.Fatal(err)
			}
			c, err := client.negotiate(i, bindAddr, e.name+".corp.example")
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for _, network := range []string{"tcp", "udp"} {
				n++
				addr := fmt.Sprintf("192.0.2.%d", n)
				reply, err := client.exchange(c, signedUpdate(t, c, "bind.example.", "vip.bind.example.", addr), network, bindAddr)
				same(t, what+", "+network, verdict(c, reply, err), "NOERROR, verified, negotiation signed true, legacy false")
				same(t, what+": served", a.a("vip.bind.example."), addr)
			}
			reply, err := client.exchange(c, signedUpdate(t, c, "bind.example.", "mail.bind.example.", "192.0.2.9"), "udp", bindAddr)
			same(t, what+": a name of others", verdict(c, reply, err), "REFUSED, verified, negotiation signed true, legacy false")
			reply, err = client.exchange(c, c.Delete(), "tcp", bindAddr)
			same(t, what+": delete", verdict(c, reply, err), "NOERROR, verified, negotiation signed true, legacy false")
		}
	}
}

// signedController provisions a domain with Samba whose KDC and name server are to run, and more services of it.
func (h *Host) signedController(t *testing.T, addr string, services ...string) (conf string) {
	t.Helper()
	dir := h.lab.path("dc-" + h.name)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", h.ns, "samba-tool", "domain", "provision", "--realm=E2E.EXAMPLE", "--domain=E2E",
		"--server-role=dc", "--dns-backend=SAMBA_INTERNAL", "--use-rfc2307", "--adminpass=Not.Secret.1", "--host-name=dc1", "--host-ip="+addr, "--targetdir="+dir,
		"--option=interfaces=lo e0", "--option=bind interfaces only=yes")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("provisioning: %v\n%s", err, tail(string(out), 20))
	}
	conf = dir + "/etc/smb.conf"
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	run := dir + "/run"
	if err := os.MkdirAll(run, 0o750); err != nil {
		t.Fatal(err)
	}
	kept := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(l string) bool {
		return strings.Contains(l, "server services") || strings.Contains(l, "dns forwarder")
	})
	services = append([]string{"rpc", "ldap", "cldap", "kdc", "dns"}, services...)
	more := "[global]\nserver services = " + strings.Join(services, ", ") + "\nlog file = " + dir + "/log\ndns update command = /bin/true\n"
	for _, key := range []string{"pid directory", "ncalrpc dir", "winbindd socket directory", "ntp signd socket directory"} {
		more += fmt.Sprintf("%s = %s\n", key, run)
	}
	writeAtomic(t, conf, strings.Replace(strings.Join(kept, ""), "[global]\n", more, 1))
	return conf
}

// TestGSSSamba has our initiator change the zone of a domain controller of Samba.
func TestGSSSamba(t *testing.T) {
	t.Parallel()
	const dcAddr = "192.0.2.5"
	l := newLab(t)
	dc, client := l.host("dc", dcAddr), l.host("client", clientAddr)
	conf := dc.signedController(t, dcAddr)
	keytab := l.path("guard.keytab")
	dc.run(t, "samba-tool", "user", "create", "guard", "Gu4rd.Pass", "-s", conf)
	dc.run(t, "samba-tool", "domain", "exportkeytab", keytab, "--principal=guard@E2E.EXAMPLE", "-s", conf)
	dc.start(t, "samba", "-s", conf, "-F", "--no-process-group", "-M", "single")
	i, err := gsstsig.NewInitiator(gsstsig.Login{Principal: "guard@E2E.EXAMPLE", KDCs: []string{dcAddr}, Keytab: keytab})
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "the controller", 30*time.Second, "", func() string {
		_, err := client.negotiate(i, dcAddr, "dc1.e2e.example")
		return errText(err)
	})
	a := client.asker(t, dcAddr)
	n := 0
	for name, login := range map[string]gsstsig.Login{
		"keytab":   {Principal: "guard@E2E.EXAMPLE", KDCs: []string{dcAddr}, Keytab: keytab},
		"password": {Principal: "guard@E2E.EXAMPLE", KDCs: []string{dcAddr}, Password: l.secret("password", "Gu4rd.Pass\n")},
	} {
		for _, options := range [][]gsstsig.Option{nil, {gsstsig.Bare}} {
			what := fmt.Sprintf("%s, bare %v", name, len(options) > 0)
			i, err := gsstsig.NewInitiator(login, options...)
			if err != nil {
				t.Fatal(err)
			}
			c, err := client.negotiate(i, dcAddr, "dc1.e2e.example")
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for _, network := range []string{"tcp", "udp"} {
				n++
				addr := fmt.Sprintf("192.0.2.%d", n)
				reply, err := client.exchange(c, signedUpdate(t, c, "e2e.example.", "vip.e2e.example.", addr), network, dcAddr)
				// Which layout Samba signs depends on its version.
				same(t, what+", "+network, verdict(c, reply, err), fmt.Sprintf("NOERROR, verified, negotiation signed true, legacy %v", c.Legacy()))
				same(t, what+": served", a.a("vip.e2e.example."), addr)
			}
			t.Logf("%s: signed as Samba before 4.19.8 does: %v", what, c.Legacy())
		}
	}
}
