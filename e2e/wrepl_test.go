//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/registry/push/pushctl"
)

// winsPartner provisions the WINS server of Samba's AD domain controller, which knows nameward as a partner for both
// ways, and returns its smb.conf.
func (h *Host) winsPartner(t *testing.T, addr string, pullInterval int) (conf string) {
	t.Helper()
	conf = h.provision(t, "DC1", addr, "server services = nbt wrepl", "wins support = yes", "dns proxy = no", "winsdb:local_owner = "+addr)
	h.knowsPartner(t, conf, pullInterval)
	return conf
}

// knowsPartner writes nameward into the list of partners.
func (h *Host) knowsPartner(t *testing.T, conf string, pullInterval int) {
	t.Helper()
	dir := strings.TrimSuffix(conf, "/etc/smb.conf")
	ldif := h.lab.write("partner.ldif", fmt.Sprintf(`dn: CN=GUARD,CN=PARTNERS
objectClass: wreplPartner
name: GUARD
address: %s
type: 0x3
pullInterval: %d
pullRetryCount: 3
pushChangeCount: 1
pushUseInform: 1
`, guardAddr, pullInterval))
	h.run(t, "ldbadd", "-H", dir+"/private/wins_config.ldb", ldif)
}

const mailbox = `clusters:
  - name: mail
    nodes:
      ex1: {public: [192.0.2.11], management: [10.9.0.11]}
      ex2: {public: [192.0.2.12], management: [10.9.0.12]}
    roles:
      - {name: mailbox, dns: [mail.corp.example.], netbios: ["MAIL<20>"], source: {operator: {initial: ex1}}}
`

// partnerWorld is a pair with a WINS server that has Samba's as a partner; more are further keys of that.
func partnerWorld(more string) string {
	return mailbox + `netbios:
  name: GUARD1
  listen: [{address: "0.0.0.0:137"}]
  wins: {mode: own}
  wrepl: {address: ` + guardAddr + `, partners: [{address: ` + winsAddr + `, name: dc1` + more + `}]}
`
}

// TestReplicationSamba has the WINS server of a Samba AD domain controller as a partner, both ways.
func TestReplicationSamba(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, dc, client := l.host("guard", guardAddr), l.host("dc", winsAddr), l.host("client", clientAddr, "192.0.2.101")
	conf := dc.winsPartner(t, winsAddr, 3600)
	n := guard.nameward(t, partnerWorld(""))
	samba := dc.samba(t, conf)
	here, there := client.asker(t, guardAddr), client.asker(t, winsAddr)
	theirs := func() string { return there.netbios("MAIL<20>") }

	soon(t, "the role's name, at the partner", 20*time.Second, "192.0.2.11", theirs)
	time.Sleep(time.Second)

	const switches = 60
	var late []time.Duration
	for i := range switches {
		to, addr := "ex2", "192.0.2.12"
		if i%2 == 1 {
			to, addr = "ex1", "192.0.2.11"
		}
		begin := time.Now()
		if _, err := n.move("mailbox", to); err != nil {
			t.Fatal(err)
		}
		soon(t, "the new address, at the partner", 5*time.Second, addr, theirs)
		late = append(late, time.Since(begin))
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("a switch is asked for to its first right answer at Samba: %s", quantiles(late))
	if slices.Max(late) > time.Second {
		t.Errorf("an answer was late: %s", slices.Max(late))
	}
	holds(t, "nameward wins partners", n.do(t, "wins", "partners"), "dc1", winsAddr)
	soon(t, "the delivery", 5*time.Second, "verified", func() string { return n.delivery(t) })
	holds(t, "nameward switch --wait", n.do(t, "switch", "mailbox", "--to", "ex2", "--wait"), "dc1")
	same(t, "right after it, at the partner", theirs(), "192.0.2.12")

	node := client.speaker(t, clientAddr, 0)
	same(t, "a registration here", node.register("FS1<20>"), "granted 3600")
	took := soon(t, "it is answered there", 5*time.Second, clientAddr, func() string { return there.netbios("FS1<20>") })
	t.Logf("a registration is answered at Samba after %s", took.Round(time.Millisecond))
	same(t, "a release here", node.release("FS1<20>"), "released")

	// What Samba does by itself: it looks every 15 s whether there is something to tell.
	other := client.speakerAt(t, "192.0.2.101", winsAddr)
	begun := map[string]time.Time{}
	for i := range 5 {
		name := fmt.Sprintf("GS%d<20>", i)
		begun[name] = time.Now()
		same(t, "a registration there", other.register(name), "granted 3600")
		time.Sleep(2 * time.Second)
	}
	late = nil
	for name, at := range begun {
		soon(t, "it is answered here", 40*time.Second, "192.0.2.101", func() string { return here.netbios(name) })
		late = append(late, time.Since(at))
	}
	t.Logf("a registration at Samba is answered here, by Samba's own check every 15 s: %s", quantiles(late))
	holds(t, "what came from there", n.do(t, "explain", "GS0<20>"), "taken over from the name server "+winsAddr)

	t.Run("down and up", func(t *testing.T) {
		samba.kill()
		for i := range 3 {
			if _, err := n.move("mailbox", holderOf2(i)); err != nil {
				t.Fatal(err)
			}
		}
		soon(t, "the partner in status", 20*time.Second, "true", func() string {
			return fmt.Sprint(strings.Contains(n.do(t, "status"), "! WINS partner dc1: "))
		})
		begin := time.Now()
		samba = dc.samba(t, conf)
		soon(t, "the newest address", 30*time.Second, "192.0.2.11", theirs)
		t.Logf("the partner has the newest address %s after its start", time.Since(begin).Round(time.Millisecond))
		soon(t, "the delivery", 10*time.Second, "verified", func() string { return n.delivery(t) })
	})
	t.Run("kill of the guard", func(t *testing.T) {
		for i := range 6 {
			to := holderOf2(i + 1)
			if _, err := n.move("mailbox", to); err != nil {
				t.Fatal(err)
			}
			n.kill()
			n.up(t)
			soon(t, "the new address after a kill", 15*time.Second, map[string]string{"ex1": "192.0.2.11", "ex2": "192.0.2.12"}[to], theirs)
		}
		soon(t, "the delivery", 10*time.Second, "verified", func() string { return n.delivery(t) })
		same(t, "what came from the partner before", here.netbios("GS0<20>"), "192.0.2.101")
	})
}

// holderOf2 is a node of the mailbox, ex1 for even numbers.
func holderOf2(i int) string { return []string{"ex1", "ex2"}[i%2] }

// delivery is how far the one delivery is.
func (n *Nameward) delivery(t *testing.T) string {
	t.Helper()
	st, err := pushctl.Client{Client: n.Client}.Status(t.Context(), pushctl.Filter{Done: true})
	if err != nil || len(st.Deliveries) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	return st.Deliveries[0].Stage.String()
}

// TestReplicationTakenAway has somebody register the role's name at the partner while its node is away, which
// Samba's rules allow. Nobody here is led astray by that, the ledger says so, and as soon as the partner tells of it, it is
// told the role's state anew.
func TestReplicationTakenAway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, dc, client := l.host("guard", guardAddr), l.host("dc", winsAddr), l.host("client", clientAddr)
	conf := dc.winsPartner(t, winsAddr, 3600)
	n := guard.nameward(t, partnerWorld(", check: 1s"))
	dc.samba(t, conf)
	here, there := client.asker(t, guardAddr), client.asker(t, winsAddr)
	theirs := func() string { return there.netbios("MAIL<20>") }
	soon(t, "the role's name, at the partner", 20*time.Second, "192.0.2.11", theirs)

	stranger := client.speakerAt(t, clientAddr, winsAddr)
	same(t, "a stranger registers the name there", stranger.register("MAIL<20>"), "WACK, granted 3600")
	soon(t, "the delivery", 10*time.Second, "foreign", func() string { return n.delivery(t) })
	same(t, "here", here.netbios("MAIL<20>"), "192.0.2.11")
	took := soon(t, "there again", 40*time.Second, "192.0.2.11", theirs)
	t.Logf("the partner answers with the role's address again after %s", took.Round(time.Millisecond))
	soon(t, "the delivery", 10*time.Second, "verified", func() string { return n.delivery(t) })
	same(t, "here, all the time", here.netbios("MAIL<20>"), "192.0.2.11")
	holds(t, "what came from the partner", n.held(t, "MAIL<20>"), "MAIL<20> replica ignored "+clientAddr+" from "+winsAddr)
	if _, err := n.move("mailbox", "ex2"); err != nil {
		t.Fatal(err)
	}
	soon(t, "there, after a switch", 5*time.Second, "192.0.2.12", theirs)
}

// TestReplicationStranger: nobody but a partner gets a word on port 42.
func TestReplicationStranger(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.nameward(t, partnerWorld(""))
	start := []byte{0, 0, 0, 0x29, 0, 0, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 5}
	for range 300 {
		conn, err := client.dial("tcp", guardAddr+":42")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(append(start, make([]byte, 21)...))
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if got, err := io.ReadAll(conn); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a stranger was told %x, %v", got, err)
		}
		conn.Close()
	}
	holds(t, "nameward wins partners", n.do(t, "wins", "partners"), "300 connections of strangers were turned away")
}
