//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nameward/nameward/netbios/wins/winsctl"
)

// winsPartner provisions the WINS server of Samba's AD domain controller, which knows nameward as a partner for both
// ways, and returns its smb.conf.
func (h *Host) winsPartner(t *testing.T, addr string, pullInterval int) (conf string) {
	t.Helper()
	conf = h.provision(t, "DC1", addr, "server services = nbt wrepl", "wins support = yes", "dns proxy = no")
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
	return conf
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

func (n *Nameward) partner(t *testing.T) winsctl.Partner {
	t.Helper()
	p, err := winsctl.Client{Client: n.Client}.Partners(t.Context())
	if err != nil || len(p.Partners) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	return p.Partners[0]
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
	holds(t, "nameward wins partners", n.do(t, "wins", "partners"), "dc1", winsAddr)
	holds(t, "nameward push status", n.do(t, "push", "status"), "dc1")

	node := client.speaker(t, clientAddr, 0)
	same(t, "a registration here", node.register("FS1<20>"), "granted 3600")
	took := soon(t, "it is answered there", 5*time.Second, clientAddr, func() string { return there.netbios("FS1<20>") })
	t.Logf("a registration is answered at Samba after %s", took.Round(time.Millisecond))
	_ = here
	_ = samba
}
