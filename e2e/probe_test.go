//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// probed is a world whose roles follow health checks of real listeners.
const probed = `
classes: {management: [10.9.0.0/16]}
clusters:
  - name: relay
    nodes:
      n1: {public: [192.0.2.11], management: [10.9.0.11]}
      n2: {public: [192.0.2.12], management: [10.9.0.12]}
      n3: {public: [192.0.2.13], management: [10.9.0.13]}
    roles:
      - name: smtp
        dns: [smtp.corp.example.]
        netbios: [SMTP]
        mode: all
        source: {probe: {smtp: 25, interval: 300ms, timeout: 250ms}}
      - name: web
        dns: [web.corp.example.]
        mode: all
        source: {probe: {http: "http://:8080/health", body: ready, interval: 300ms, timeout: 250ms}}
      - name: db
        dns: [db.corp.example.]
        netbios: [DB]
        source: {probe: {tcp: 5432, interval: 300ms, timeout: 250ms}}
zones:
  - {name: corp.example., ns: {ns1.corp.example.: [192.0.2.53]}}
netbios: {name: GUARD1, listen: [{address: "192.0.2.53"}]}
`

// Node is a cluster member with the three services that are probed.
type Node struct {
	*Host
	smtp, db *service
	web      *service
	ready    atomic.Bool // what /health says
}

// service is a TCP service that can be stopped and started again.
type service struct {
	host  *Host
	addr  string
	serve func(net.Listener)
	ln    net.Listener
}

func (s *service) start() {
	s.ln = s.host.listen(s.host.lab.t, s.addr)
	go s.serve(s.ln)
}

func (s *service) stop() { s.ln.Close() }

// accepting hands every connection to each, until the listener is closed.
func accepting(each func(net.Conn)) func(net.Listener) {
	return func(ln net.Listener) {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			each(conn)
			conn.Close()
		}
	}
}

func (l *Lab) node(name, addr string) *Node {
	n := &Node{Host: l.host(name, addr)}
	n.ready.Store(true)
	health := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			http.NotFound(w, r)
			return
		}
		word := "closed for maintenance"
		if n.ready.Load() {
			word = "ready"
		}
		_, _ = io.WriteString(w, word)
	})
	greet := accepting(func(c net.Conn) { fmt.Fprintf(c, "220 %s ESMTP\r\n", name) })
	n.smtp = &service{host: n.Host, addr: addr + ":25", serve: greet}
	n.db = &service{host: n.Host, addr: addr + ":5432", serve: accepting(func(net.Conn) {})}
	n.web = &service{host: n.Host, addr: addr + ":8080", serve: func(ln net.Listener) { _ = http.Serve(ln, health) }}
	for _, s := range []*service{n.smtp, n.db, n.web} {
		s.start()
	}
	return n
}

func TestProbe(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n1, n2, n3 := l.node("n1", "192.0.2.11"), l.node("n2", "192.0.2.12"), l.node("n3", "192.0.2.13")
	n := guard.nameward(t, probed)
	guard.capture(t)
	a := client.asker(t, guardAddr)
	dns := func(name string) func() string { return func() string { return a.a(name + ".corp.example.") } }
	const all, limit = "192.0.2.11 192.0.2.12 192.0.2.13", 10 * time.Second
	becomes := func(t *testing.T, name, want string) {
		t.Helper()
		t.Logf("%s: %s after %s", name, want, soon(t, name, limit, want, dns(name)).Round(time.Millisecond))
	}
	becomes(t, "smtp", all)
	becomes(t, "web", all)
	becomes(t, "db", "192.0.2.11")

	t.Run("mode all", func(t *testing.T) {
		n1.smtp.stop()
		becomes(t, "smtp", "192.0.2.12 192.0.2.13")
		same(t, "NetBIOS", a.netbios("SMTP<20>"), "192.0.2.12 192.0.2.13")
		same(t, "the other roles of the node", dns("web")()+", "+dns("db")(), all+", 192.0.2.11")
		holds(t, "status", n.do(t, "status"), "check of n1 for smtp", "down", "refused")
		n1.smtp.start()
		becomes(t, "smtp", all)
	})
	t.Run("what a service says", func(t *testing.T) {
		n2.ready.Store(false)
		becomes(t, "web", "192.0.2.11 192.0.2.13")
		n2.ready.Store(true)
		becomes(t, "web", all)
		n3.smtp.stop()
		tired := &service{host: n3.Host, addr: n3.smtp.addr, serve: accepting(func(c net.Conn) { fmt.Fprint(c, "421 busy\r\n") })}
		tired.start()
		becomes(t, "smtp", "192.0.2.11 192.0.2.12")
		tired.stop()
		n3.smtp.start()
		becomes(t, "smtp", all)
	})
	t.Run("mode single", func(t *testing.T) {
		epoch := n.role(t, "db").Epoch
		n1.db.stop()
		becomes(t, "db", "192.0.2.12")
		n2.plug(false) // silence, not refusal
		becomes(t, "db", "192.0.2.13")
		same(t, "NetBIOS", a.netbios("DB<20>"), "192.0.2.13")
		same(t, "state", n.brief(t, "db"), fmt.Sprintf("fresh n3 epoch %d", epoch+2))
		n2.plug(true)
		becomes(t, "db", "192.0.2.12")
		n1.db.start()
		becomes(t, "db", "192.0.2.11")
	})
	t.Run("drain", func(t *testing.T) { drained(t, n, becomes) })
	t.Run("nobody healthy", func(t *testing.T) {
		for _, node := range []*Node{n1, n2, n3} {
			node.smtp.stop()
		}
		soon(t, "state", limit, "lost", func() string { return n.role(t, "smtp").State })
		if got := dns("smtp")(); !strings.HasPrefix(got, "192.0.2.") {
			t.Errorf("on_source_lost is hold, and the answer is %s", got)
		}
		for _, node := range []*Node{n1, n2, n3} {
			node.smtp.start()
		}
		becomes(t, "smtp", all)
		soon(t, "state", limit, "fresh", func() string { return n.role(t, "smtp").State })
	})
	t.Run("restart before any check", func(t *testing.T) { unchecked(t, n, client, []*Node{n1, n2, n3}, becomes) })
}

func drained(t *testing.T, n *Nameward, becomes func(*testing.T, string, string)) {
	n.do(t, "drain", "n1", "--reason", "new kernel")
	becomes(t, "smtp", "192.0.2.12 192.0.2.13")
	becomes(t, "web", "192.0.2.12 192.0.2.13")
	becomes(t, "db", "192.0.2.12")
	holds(t, "status", n.do(t, "status"), "node n1 is drained", "new kernel")
	n.stop()
	n.up(t)
	becomes(t, "smtp", "192.0.2.12 192.0.2.13")
	n.do(t, "undrain", "n1")
	becomes(t, "smtp", "192.0.2.11 192.0.2.12 192.0.2.13")
	becomes(t, "db", "192.0.2.11")
}

// unchecked restarts the guard while its checks have no verdict yet: with one node that is slow to
// answer, and with all nodes cut off. From the first answer on it must say what was known last.
func unchecked(t *testing.T, n *Nameward, client *Host, nodes []*Node, becomes func(*testing.T, string, string)) {
	nodes[0].smtp.stop()
	nodes[0].db.stop()
	nodes[1].smtp.stop()
	slow := &service{host: nodes[1].Host, addr: nodes[1].smtp.addr, serve: accepting(func(c net.Conn) {
		time.Sleep(120 * time.Millisecond)
		fmt.Fprint(c, "220 slow ESMTP\r\n")
	})}
	slow.start()
	becomes(t, "smtp", "192.0.2.12 192.0.2.13")
	becomes(t, "db", "192.0.2.12")
	a := client.asker(t, guardAddr)
	a.patience = 50 * time.Millisecond
	var answered atomic.Uint64
	watch := load(t, "answers during restarts", time.Millisecond, func() string {
		for name, want := range map[string]string{"smtp": "192.0.2.12 192.0.2.13", "web": "192.0.2.11 192.0.2.12 192.0.2.13", "db": "192.0.2.12"} {
			got := a.a(name + ".corp.example.")
			if !strings.HasPrefix(got, "no answer") {
				answered.Add(1)
				if got != want {
					return name + ": " + got
				}
			}
		}
		return ""
	})
	states := func() string {
		return n.role(t, "smtp").State + " " + n.role(t, "web").State + " " + n.role(t, "db").State
	}
	for range 5 {
		n.kill()
		n.up(t)
		soon(t, "the checks confirm it", 10*time.Second, "fresh fresh fresh", states)
	}
	n.kill()
	for _, node := range nodes {
		node.plug(false)
	}
	n.up(t)
	same(t, "states while nothing is checked", states(), "stale stale stale")
	soon(t, "the checks fail", 10*time.Second, "lost lost lost", states)
	watch.end()
	if answered.Load() == 0 {
		t.Error("nothing was answered during the restarts")
	}
	for _, node := range nodes {
		node.plug(true)
	}
	soon(t, "the checks are good again", 10*time.Second, "fresh fresh fresh", states)
}
