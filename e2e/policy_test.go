//go:build linux

package e2e

import (
	"strings"
	"testing"
)

// strict is a policy that would take the role's names away from DNS answers and WINS.
const strict = `version: 1
rules:
  - id: frozen
    names: ["@role:mailbox"]
    channels: [answer, wins]
    action: refuse
`

// TestPolicyPlan holds policies against what a running nameward publishes. Nothing changes by it.
func TestPolicyPlan(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.namewardWith(t, pair, transferring)
	policy := l.write("strict.yaml", strict)
	ours := client.asker(t, guardAddr)
	before := ours.a("mail.corp.example.")

	r := n.cli(t, "policy", "plan", policy)
	if r.code != 1 {
		t.Errorf("exit code %d, want 1", r.code)
	}
	holds(t, "plan", r.out,
		"mail.corp.example. A on channel answer is going to be refused by rule frozen",
		"owa.corp.example. A on channel answer is going to be refused by rule frozen",
		"MAIL<20> NB on channel wins is going to be refused by rule frozen",
		"old:     published: 192.0.2.11", "new:     refuse: nothing published")
	if strings.Contains(r.out, "ex1.corp.example.") || strings.Contains(r.out, "channel transfer") {
		t.Errorf("more is going to change than the rule says:\n%s", r.out)
	}
	same(t, "the answer afterwards", ours.a("mail.corp.example."), before)

	n.do(t, "switch", "mailbox", "--to", "ex2")
	r = n.cli(t, "policy", "plan", policy)
	holds(t, "plan after a switch", r.out, "old:     published: 192.0.2.12", "old:     published: 2001:db8::12")
	if strings.Contains(r.out, "192.0.2.11") {
		t.Errorf("the plan is about the state before the switch:\n%s", r.out)
	}
	if r = n.cli(t, "policy", "plan", "builtin"); r.code != 0 {
		t.Errorf("the built-in rules take something away from what nameward publishes itself: exit code %d\n%s", r.code, r.out)
	}
}

// TestAuditLive audits the zones that nameward hands out itself, with the state that it has now.
func TestAuditLive(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard := l.host("guard", guardAddr)
	n := guard.namewardWith(t, pair, transferring)
	for _, node := range []string{"ex1", "ex2"} {
		n.do(t, "switch", "mailbox", "--to", node)
		out := n.do(t, "audit", "--live", "axfr://"+guardAddr+"/corp.example", "axfr://"+guardAddr+"/2.0.192.in-addr.arpa")
		holds(t, "audit of our own zones", out, "looked at  findings  not readable")
	}
	stale := l.write("wins.dat", "VERSION 1 0\n\"MAIL#20\" 1795628948 192.0.2.11 64R\n\"MAIL#00\" 1795628948 192.0.2.12 64R\n")
	r := n.cli(t, "audit", "--live", stale)
	if r.code != 1 || !strings.Contains(r.out, "MAIL<20> has 192.0.2.11") || strings.Contains(r.out, "MAIL<00> has") {
		t.Errorf("exit code %d, want 1 and the record of the passive node alone\n%s", r.code, r.out)
	}
}
