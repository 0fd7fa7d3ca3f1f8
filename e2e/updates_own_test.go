//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/tsig"
)

// TestNsupdate has the real nsupdate add, delete and ask, over UDP and TCP.
func TestNsupdate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr, lanAddr)
	guard.owner(t, owning)
	ask := client.asker(t, guardAddr)
	for _, step := range []struct {
		name   string
		key    tsig.Key
		script string
		fails  string // what nsupdate says
		is     string // name.dyn.corp.example. afterwards
	}{
		{"add", dhcpKey, "prereq nxdomain name.dyn.corp.example.\nupdate add name.dyn.corp.example. 60 A 192.0.2.70\n", "", "192.0.2.70"},
		{"name in use", dhcpKey, "prereq nxdomain name.dyn.corp.example.\nupdate add name.dyn.corp.example. 60 A 192.0.2.71\n", "YXDOMAIN", "192.0.2.70"},
		{"set exists", dhcpKey, "prereq yxrrset name.dyn.corp.example. A 192.0.2.70\nupdate add name.dyn.corp.example. 60 A 192.0.2.71\n", "", "192.0.2.70 192.0.2.71"},
		{"other set", dhcpKey, "prereq yxrrset name.dyn.corp.example. A 192.0.2.70\nupdate delete name.dyn.corp.example. A\n", "NXRRSET", "192.0.2.70 192.0.2.71"},
		{"no such set", dhcpKey, "prereq nxrrset name.dyn.corp.example. A\nupdate delete name.dyn.corp.example. A\n", "YXRRSET", "192.0.2.70 192.0.2.71"},
		{"delete one", dhcpKey, "update delete name.dyn.corp.example. A 192.0.2.70\n", "", "192.0.2.71"},
		{"replace", dhcpKey, "update delete name.dyn.corp.example. A\nupdate add name.dyn.corp.example. 60 A 192.0.2.72\n", "", "192.0.2.72"},
		{"stripped", dhcpKey, "update add name.dyn.corp.example. 60 A 10.9.0.72\n", "", "192.0.2.72"},
		{"outside of the zone", dhcpKey, "update add name.other.example. 60 A 192.0.2.72\n", "NOTZONE", "192.0.2.72"},
		{"another's key", nodeKey, "update delete name.dyn.corp.example.\n", "REFUSED", "192.0.2.72"},
		{"forged key", forgedKey, "update delete name.dyn.corp.example.\n", " BADSIG ", "192.0.2.72"},
		{"unknown key", otherKey, "update delete name.dyn.corp.example.\n", " BADKEY ", "192.0.2.72"},
		{"unsigned", tsig.Key{}, "update delete name.dyn.corp.example.\n", "REFUSED", "192.0.2.72"},
		{"unsigned from a source of another rule", tsig.Key{}, "local 192.0.2.101\nupdate delete name.dyn.corp.example.\n", "REFUSED", "192.0.2.72"},
		{"unsigned from a source of its rule", tsig.Key{}, "local 192.0.2.101\nupdate add pc.lan.corp.example. 60 A 192.0.2.101\n", "", "192.0.2.72"},
		{"delete the name", dhcpKey, "update delete name.dyn.corp.example.\n", "", "NXDOMAIN"},
	} {
		for _, flag := range []string{"-d", "-v"} { // -v is TCP; what is done twice comes to the same
			if flag == "-v" && step.fails == "" && strings.Contains(step.script, "prereq") {
				continue
			}
			r := client.nsupdateOwned(t, step.key, step.script, "-d", flag)
			if (r.code != 0) != (step.fails != "") || !strings.Contains(r.out, step.fails) {
				t.Errorf("%s, %s: exit code %d, want %q in\n%s", step.name, flag, r.code, step.fails, r.out)
			}
			same(t, step.name+" "+flag, ask.a("name.dyn.corp.example."), step.is)
		}
	}
	same(t, "what the network registers itself", ask.a("pc.lan.corp.example."), "192.0.2.101")
}

// TestUpdateOfRoles has nodes and strangers register the public name: the role alone decides what is answered.
func TestUpdateOfRoles(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	node1, node2 := l.host("ex1", "192.0.2.11"), l.host("ex2", "192.0.2.12")
	n := guard.owner(t, owning)
	ask := client.asker(t, guardAddr)
	held := "[17 mail.corp.example. A: rule, rule builtin-guarded-member, role mailbox, decision "
	for _, step := range []struct {
		name string
		who  *updating
		text string
		want string // the beginning of the reply
	}{
		{"the holder", node1.updating(t, "udp", nodeKey), "- mail A; + mail 60 A 192.0.2.11", "NOERROR"},
		{"the passive node", node2.updating(t, "udp", nodeKey), "- mail A; + mail 60 A 192.0.2.12", "NOERROR " + held},
		{"a stranger", client.updating(t, "tcp", nodeKey), "+ mail 60 A 192.0.2.100", "NOERROR [17 "},
		{"a host with its second card", node1.updating(t, "udp", nodeKey), "- ex1 A; + ex1 60 A 192.0.2.11; + ex1 60 A 10.9.0.11; + ex1 60 SSHFP 1 1 12", "NOERROR [17 ex1.corp.example. A: rule, rule never"},
	} {
		if got := step.who.send("corp.example.", step.text); !strings.HasPrefix(got, step.want) {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
		same(t, step.name+" and the name", ask.a("mail.corp.example."), "192.0.2.11")
		same(t, step.name+" and the host", ask.a("ex1.corp.example."), "192.0.2.11")
	}
	same(t, "the host's key", ask.lookup("ex1.corp.example.", dns.TypeSSHFP), "1 1 12")
	n.do(t, "switch", "mailbox", "--to", "ex2")
	same(t, "after a switch", ask.a("mail.corp.example."), "192.0.2.12")
	same(t, "the holder before", node1.updating(t, "udp", nodeKey).send("corp.example.", "+ mail 60 A 192.0.2.11")[:12], "NOERROR [17 ")
	same(t, "after it", ask.a("mail.corp.example."), "192.0.2.12")
	if text := strings.Join(client.axfr(t, guardAddr, "corp.example."), "\n"); strings.Contains(text, "10.9.") {
		t.Errorf("a management address in the transfer:\n%s", text)
	}
}

// TestUpdateSignatures has clients whose signatures are wrong, each in its way, and looks at what they are told.
func TestUpdateSignatures(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	guard.owner(t, owning)
	ask := client.asker(t, guardAddr)
	for _, network := range []string{"udp", "tcp"} {
		for _, test := range []struct {
			name string
			key  tsig.Key
			skew time.Duration
			want string
		}{
			{"right", dhcpKey, 0, "NOERROR"},
			{"a clock within the window", dhcpKey, -4 * time.Minute, "NOERROR"},
			{"a clock behind", dhcpKey, -time.Hour, "NOTAUTH BADTIME"},
			{"a clock ahead", dhcpKey, time.Hour, "NOTAUTH BADTIME"},
			{"forged", forgedKey, 0, "NOTAUTH BADSIG"},
			{"forged, with a clock behind", forgedKey, -time.Hour, "NOTAUTH BADSIG"},
			{"unknown", otherKey, 0, "NOTAUTH BADKEY"},
		} {
			u := client.updating(t, network, test.key)
			u.skew = test.skew
			before := ask.serial(t, "corp.example.")
			got := u.send("corp.example.", fmt.Sprintf("- sig.dyn A; + sig.dyn 60 A 192.0.2.%d", 1+before%200))
			// Replies to forged ones are unsigned, RFC 8945, Section 5.3.2, which the library reports.
			if cut, _, _ := strings.Cut(got, " ("); cut != test.want {
				t.Errorf("%s over %s: %s, want %s", test.name, network, got, test.want)
			}
			if took := ask.serial(t, "corp.example.") != before; took != (test.want == "NOERROR") {
				t.Errorf("%s over %s: the zone changed: %v", test.name, network, took)
			}
		}
	}
	t.Run("the time", func(t *testing.T) { badTime(t, client) })
}

// badTime looks at the reply for a client whose clock is an hour behind: RFC 8945, Section 5.2.3.
func badTime(t *testing.T, client *Host) {
	u := client.updating(t, "udp", dhcpKey)
	u.skew = -time.Hour
	r, err := u.try(updateOf(t, "corp.example.", "+ time.dyn 60 A 192.0.2.1"))
	if r == nil {
		t.Fatal(err)
	}
	s := r.IsTsig()
	var theirs int64
	if _, err := fmt.Sscanf(s.OtherData, "%x", &theirs); err != nil || time.Since(time.Unix(theirs, 0)).Abs() > 5*time.Second {
		t.Errorf("the server says %q: %v", s.OtherData, err)
	}
	if off := time.Since(time.Unix(int64(s.TimeSigned), 0)); off < 59*time.Minute || s.MAC == "" {
		t.Errorf("signed %s ago, MAC %q", off, s.MAC)
	}
}

// TestUpdatesAcrossReloads changes configuration and policy while clients update; no update is lost, and what the
// new policy strips goes.
func TestUpdatesAcrossReloads(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	n := guard.owner(t, owning)
	ask := client.asker(t, guardAddr)
	u, count := client.updating(t, "udp", dhcpKey), 0
	same(t, "an update", u.send("corp.example.", "+ stays.dyn 60 A 198.51.100.201"), "NOERROR")
	work := load(t, "updates", time.Millisecond, func() string {
		count++
		return oneOf(u.send("corp.example.", fmt.Sprintf("+ r%d.dyn 60 A 198.51.100.%d", count, 1+count%250)), "NOERROR")
	})
	for i := range 20 {
		world := owning
		if i%2 == 0 {
			world = withRole(owning, fmt.Sprint("extra", i))
		}
		writeAtomic(t, n.config, world+place)
		n.do(t, "reload")
		writeAtomic(t, l.path("Corefile"), n.expand(owningCorefile)+fmt.Sprintf("# %d\n", i))
		n.signal(10) // SIGUSR1
		soon(t, "the Corefile is in force", 10*time.Second, fmt.Sprint(i+1), func() string {
			return fmt.Sprint(strings.Count(n.output(), "Reloading complete"))
		})
	}
	work.end()
	if t.Failed() {
		return
	}
	all := owners(client.axfr(t, guardAddr, "corp.example."), "A")
	for i := 1; i <= count; i++ {
		if !strings.Contains(all+" ", fmt.Sprintf("r%d.dyn.corp.example. ", i)) {
			t.Errorf("update %d of %d is lost", i, count)
		}
	}
	before := ask.serial(t, "corp.example.")
	l.write("policy.yaml", strings.Replace(owningPolicy, "rules:\n", "classes: {dr: [198.51.100.0/25]}\nrules:\n", 1))
	soon(t, "what the policy strips is gone", 10*time.Second, "NXDOMAIN", func() string { return ask.a("r1.dyn.corp.example.") })
	same(t, "what it does not strip", ask.a("stays.dyn.corp.example."), "198.51.100.201")
	later(t, before+1, ask.serial(t, "corp.example."))
	same(t, "an update under the new policy", u.send("corp.example.", "+ r1.dyn 60 A 198.51.100.2")[:12], "NOERROR [17 ")
	same(t, "is not published", ask.a("r1.dyn.corp.example."), "NXDOMAIN")
}
