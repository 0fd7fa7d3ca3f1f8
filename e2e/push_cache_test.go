//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cacheWorld is pair with a TTL that no cache forgets by itself while a test runs.
func cacheWorld(targets string) string {
	world := strings.Replace(pair, "netbios: [MAIL]\n", "netbios: [MAIL]\n        ttl: 5m\n", 1)
	return world + "push:\n  targets:\n" + targets
}

// unbound starts a resolver that asks the guard. Its control channel is a socket in its directory, or over TLS.
func (h *Host) unbound(t *testing.T, name, addr string, port int, control string) (dir string) {
	t.Helper()
	dir = h.lab.path("unbound-" + name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if control == "" {
		control = "control-interface: " + dir + "/ctl"
	} else {
		h.run(t, "unbound-control-setup", "-d", dir)
		control = fmt.Sprintf("control-interface: %s\n control-port: 8953\n server-key-file: %[2]s/unbound_server.key\n server-cert-file: %[2]s/unbound_server.pem\n control-key-file: %[2]s/unbound_control.key\n control-cert-file: %[2]s/unbound_control.pem", control, dir)
	}
	stubs := ""
	for _, zone := range []string{"corp.example.", "2.0.192.in-addr.arpa."} {
		stubs += fmt.Sprintf("stub-zone:\n name: %q\n stub-addr: %s\n", zone, guardAddr)
	}
	conf := h.lab.write("unbound-"+name+"/unbound.conf", fmt.Sprintf(`server:
 interface: %s@%d
 access-control: 0.0.0.0/0 allow
 username: ""
 chroot: ""
 directory: %q
 pidfile: ""
 use-syslog: no
 module-config: "iterator"
 do-ip6: no
 local-zone: "2.0.192.in-addr.arpa." nodefault
remote-control:
 control-enable: yes
 %s
%s`, addr, port, dir, control, stubs))
	h.start(t, "unbound", "-d", "-c", conf)
	return dir
}

// cachingNamed starts BIND as a resolver that asks the guard, with a control channel.
func (h *Host) cachingNamed(t *testing.T, addr string) (key string) {
	t.Helper()
	dir := h.lab.path("cache-" + h.name)
	key = h.lab.write("cache-"+h.name+"/rndc.key", `key "rndc-key" { algorithm hmac-sha512; secret "`+strings.Repeat("QUJD", 16)+`"; };`+"\n")
	zones := ""
	for _, zone := range []string{"corp.example", "2.0.192.in-addr.arpa"} {
		zones += fmt.Sprintf("zone %q { type static-stub; server-addresses { %s; }; };\n", zone, guardAddr)
	}
	conf := h.lab.write("cache-"+h.name+"/named.conf", fmt.Sprintf(`
include %q;
controls { inet %s port 953 allow { any; } keys { "rndc-key"; }; };
options {
	directory %q; pid-file "named.pid"; session-keyfile "session.key";
	listen-on port 53 { %s; }; listen-on-v6 { none; };
	recursion yes; allow-recursion { any; }; allow-query-cache { any; }; dnssec-validation no; empty-zones-enable no;
};
%s`, key, addr, dir, addr, zones))
	h.startIn(t, dir, "named", "-g", "-4", "-n", "1", "-c", conf)
	return key
}

// askerAt asks a server at another port.
func (h *Host) askerAt(t *testing.T, addr string, port int) *Asker {
	t.Helper()
	conn, err := h.dial("udp", net.JoinHostPort(addr, fmt.Sprint(port)))
	if err != nil {
		t.Fatal(err)
	}
	h.lab.t.Cleanup(func() { conn.Close() })
	return &Asker{dns: &dns.Conn{Conn: conn, UDPSize: dns.DefaultMsgSize}, patience: 2 * time.Second}
}

// TestPushCaches has five resolvers that remember an answer for five minutes, and another one that nobody tells.
func TestPushCaches(t *testing.T) {
	l := newLab(t)
	guard, far, bind := l.host("guard", guardAddr), l.host("far", "192.0.2.61"), l.host("bind", bindAddr)
	socket := guard.unbound(t, "socket", "127.0.0.1", 5301, "")
	tls := far.unbound(t, "tls", "192.0.2.61", 53, "192.0.2.61")
	guard.unbound(t, "untold", "127.0.0.1", 5305, "")
	key := bind.cachingNamed(t, bindAddr)
	pid := l.path("dnsmasq.pid")
	guard.start(t, "dnsmasq", "-k", "-C", "/dev/null", "-u", "root", "-p", "5303", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
		"--server=/corp.example/"+guardAddr, "--server=/2.0.192.in-addr.arpa/"+guardAddr, "--pid-file="+pid, "--cache-size=1000")
	recursor := l.path("recursor")
	apiKey := l.write("recursor/api.key", "s3cret\n")
	if err := os.Chmod(apiKey, 0o600); err != nil {
		t.Fatal(err)
	}
	n := guard.nameward(t, cacheWorld(fmt.Sprintf(`
    - {name: unbound, cache: {kind: unbound, control: %s/ctl, server: "127.0.0.1:5301"}}
    - {name: unbound-tls, cache: {kind: unbound, control: "192.0.2.61:8953", key: %[2]s/unbound_control.key, cert: %[2]s/unbound_control.pem, ca: %[2]s/unbound_server.pem, server: "192.0.2.61:53"}}
    - {name: bind, cache: {kind: bind, control: %s, key: %s, server: "%[3]s:53"}}
    - {name: dnsmasq, cache: {kind: dnsmasq, control: %[5]s, server: "127.0.0.1:5303"}}
    - {name: powerdns, cache: {kind: powerdns, key: %[6]s, server: "127.0.0.1:5304"}}
`, socket, tls, bindAddr, key, pid, apiKey)))

	// It does not ask a server for a name for a minute that did not answer for it once, so that nameward has to be up.
	guard.start(t, "pdns_recursor", "--config-dir="+recursor, "--socket-dir="+recursor, "--daemon=no", "--local-address=127.0.0.1:5304", "--threads=1",
		"--forward-zones=corp.example="+guardAddr+",2.0.192.in-addr.arpa="+guardAddr, "--dont-query=", "--dnssec=off", "--security-poll-suffix=", "--export-etc-hosts=no",
		"--webserver=yes", "--webserver-address=127.0.0.1", "--webserver-port=8082", "--api-key=s3cret", "--allow-from=127.0.0.0/8")

	caches := map[string]*Asker{
		"unbound": guard.askerAt(t, "127.0.0.1", 5301), "unbound-tls": guard.askerAt(t, "192.0.2.61", 53), "bind": guard.askerAt(t, bindAddr, 53),
		"dnsmasq": guard.askerAt(t, "127.0.0.1", 5303), "powerdns": guard.askerAt(t, "127.0.0.1", 5304),
	}
	untold := guard.askerAt(t, "127.0.0.1", 5305)
	ask := func(a *Asker) string {
		return strings.Join([]string{a.a("mail.corp.example."), a.a("owa.corp.example."), a.lookup("mail.corp.example.", dns.TypeAAAA),
			a.lookup("11.2.0.192.in-addr.arpa.", dns.TypePTR), a.lookup("12.2.0.192.in-addr.arpa.", dns.TypePTR)}, " ")
	}
	on := map[string]string{
		"ex1": "192.0.2.11 192.0.2.11 NODATA mail.corp.example. ex2.corp.example.",
		"ex2": "192.0.2.12 192.0.2.12 2001:db8::12 ex1.corp.example. mail.corp.example.",
	}
	for name, a := range caches {
		soon(t, name+" answers", 20*time.Second, on["ex1"], func() string { return ask(a) })
	}
	soon(t, "the one that nobody tells answers", 20*time.Second, on["ex1"], func() string { return ask(untold) })
	for i := range 6 {
		to := []string{"ex2", "ex1"}[i%2]
		out := n.do(t, "switch", "mailbox", "--to", to, "--wait")
		for name, a := range caches {
			same(t, name+" after the switch to "+to, ask(a), on[to])
		}
		if i == 5 {
			t.Logf("switch --wait says\n%s", out)
		}
	}
	n.do(t, "switch", "mailbox", "--to", "ex2", "--wait")
	same(t, "the one that nobody tells", ask(untold), on["ex1"])
	t.Logf("status\n%s", n.do(t, "push", "status"))

	// A resolver that is down while the role moves gets the state when it is back, and delays nobody.
	missing := guard.try(t, nil, "unbound-control", "-c", filepath.Join(socket, "unbound.conf"), "stop")
	same(t, "unbound-control stop", fmt.Sprint(missing.code), "0")
	n.do(t, "switch", "mailbox", "--to", "ex1")
	for _, name := range []string{"unbound-tls", "bind", "dnsmasq", "powerdns"} {
		soon(t, name+" beside a dead one", 2*time.Second, on["ex1"], func() string { return ask(caches[name]) })
	}
	holds(t, "status of a dead resolver", n.do(t, "push", "status"), "connect: ")
	guard.start(t, "unbound", "-d", "-c", filepath.Join(socket, "unbound.conf"))
	soon(t, "the one that was down", 15*time.Second, "verified", func() string {
		if strings.Contains(n.do(t, "push", "status", "unbound"), "failed") {
			return "failed"
		}
		return "verified"
	})
	same(t, "unbound after its restart", ask(caches["unbound"]), on["ex1"])
}
