//go:build linux

package e2e

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// claimed is a world whose roles follow claim files: one for each choice in a conflict, with a file for
// each claimant, and one for each choice when the source is lost.
func claimed() string {
	var b strings.Builder
	for _, choice := range []string{"hold", "withdraw", "answer-all"} {
		fmt.Fprintf(&b, "      - {name: c-%[1]s, dns: [c-%[1]s.corp.example.], netbios: [C-%[2]s], source: {file: [%[1]s.ex1, %[1]s.ex2]}, on_conflict: %[1]s}\n",
			choice, strings.ToUpper(choice))
	}
	for _, choice := range []string{"hold", "withdraw"} {
		fmt.Fprintf(&b, "      - {name: l-%[1]s, dns: [l-%[1]s.corp.example.], netbios: [L-%[2]s], source: {file: %[1]s.role}, on_source_lost: %[1]s}\n",
			choice, strings.ToUpper(choice))
	}
	b.WriteString("zones:\n")
	return strings.Replace(pair, "zones:\n", b.String(), 1) + "netbios: {name: GUARD1, listen: [{address: \"192.0.2.53\"}]}\n"
}

func claim(holder string, epoch int) string {
	return fmt.Sprintf("{holder: %s, epoch: %d}\n", holder, epoch)
}

func TestClaims(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	guard, client := l.host("guard", guardAddr), l.host("client", clientAddr)
	for _, choice := range []string{"hold", "withdraw", "answer-all"} {
		l.write(choice+".ex1", claim("ex1", 5))
	}
	l.write("hold.role", "ex1\n")
	l.write("withdraw.role", "ex1\n")
	n := guard.nameward(t, claimed())
	guard.capture(t)
	a := client.asker(t, guardAddr)
	names := func(role string) (string, string) {
		return role + ".corp.example.", strings.ToUpper(role) + "<20>"
	}
	answers := func(role string) string { return a.both(names(role)) }

	for _, test := range []struct{ choice, want string }{
		{"hold", "192.0.2.11 | 192.0.2.11"},
		{"withdraw", "NXDOMAIN | negative"},
		{"answer-all", "192.0.2.11 192.0.2.12 | 192.0.2.11 192.0.2.12"},
	} {
		t.Run("conflict, "+test.choice, func(t *testing.T) {
			role := "c-" + test.choice
			same(t, "before", answers(role), "192.0.2.11 | 192.0.2.11")
			l.write(test.choice+".ex2", claim("ex2", 5))
			soon(t, "a conflict", 5*time.Second, "conflict ex1 epoch 5", func() string { return n.brief(t, role) })
			same(t, "in the conflict", answers(role), test.want)
			holds(t, "why", n.role(t, role).Why, "epoch 5 is claimed by ex1", "and by ex2", "on_conflict: "+test.choice)
			l.write(test.choice+".ex2", claim("ex2", 4))
			soon(t, "a lower epoch is no rival", 5*time.Second, "fresh ex1 epoch 5", func() string { return n.brief(t, role) })
			same(t, "without a rival", answers(role), "192.0.2.11 | 192.0.2.11")
			l.write(test.choice+".ex2", claim("ex2", 5))
			soon(t, "a conflict again", 5*time.Second, "conflict ex1 epoch 5", func() string { return n.brief(t, role) })
			l.write(test.choice+".ex2", claim("ex2", 6))
			soon(t, "a higher epoch", 5*time.Second, "fresh ex2 epoch 6", func() string { return n.brief(t, role) })
			same(t, "after it", answers(role), "192.0.2.12 | 192.0.2.12")
			fenced := n.status(t).Claims["fenced"]
			l.write(test.choice+".ex1", claim("ex1", 5)+"# again\n")
			soon(t, "a claim of an old epoch is counted", 5*time.Second, fmt.Sprint(fenced+1), func() string {
				return fmt.Sprint(n.status(t).Claims["fenced"])
			})
			same(t, "a claim of an old epoch", n.brief(t, role)+" "+answers(role), "fresh ex2 epoch 6 192.0.2.12 | 192.0.2.12")
		})
	}
	for _, test := range []struct{ choice, want string }{
		{"hold", "192.0.2.11 | 192.0.2.11"},
		{"withdraw", "NXDOMAIN | negative"},
	} {
		t.Run("source lost, "+test.choice, func(t *testing.T) {
			role, file := "l-"+test.choice, l.path(test.choice+".role")
			same(t, "before", answers(role), "192.0.2.11 | 192.0.2.11")
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			soon(t, "the source is lost", 5*time.Second, "lost ex1 epoch 1", func() string { return n.brief(t, role) })
			same(t, "while it is lost", answers(role), test.want)
			holds(t, "why", n.role(t, role).Why, "there is no file "+file)
			holds(t, "status", n.do(t, "status", role), "lost", "there is no file")
			writeAtomic(t, file, "ex1\n")
			soon(t, "the source is back", 5*time.Second, "fresh ex1 epoch 1", func() string { return n.brief(t, role) })
			same(t, "when it is back", answers(role), "192.0.2.11 | 192.0.2.11")
		})
	}
	t.Run("a bare name", func(t *testing.T) { bareName(t, l, n, client) })
	t.Run("a lease", func(t *testing.T) {
		file := l.path("withdraw.role")
		lease := func(epoch int) string { return fmt.Sprintf(`{"holder": "ex2", "epoch": %d, "lease": "2s"}`, epoch) }
		writeAtomic(t, file, lease(7))
		soon(t, "a claim with a lease", 5*time.Second, "fresh ex2 epoch 7 192.0.2.12 | 192.0.2.12",
			func() string { return n.brief(t, "l-withdraw") + " " + answers("l-withdraw") })
		for range 2 { // renewed before it runs out
			time.Sleep(time.Second)
			writeAtomic(t, file, lease(7))
			same(t, "while it is renewed", answers("l-withdraw"), "192.0.2.12 | 192.0.2.12")
		}
		took := soon(t, "it runs out", 5*time.Second, "NXDOMAIN | negative", func() string { return answers("l-withdraw") })
		if took < time.Second || took > 4*time.Second {
			t.Errorf("a lease of 2s runs out after %s", took)
		}
		holds(t, "why", n.role(t, "l-withdraw").Why, "the lease of ex2 ran out")
		writeAtomic(t, file, "{holder: ex1, epoch: 6}\n")
		writeAtomic(t, file, "{holder: ex1, epoch: 8}\n")
		soon(t, "the next claim", 5*time.Second, "fresh ex1 epoch 8 192.0.2.11 | 192.0.2.11",
			func() string { return n.brief(t, "l-withdraw") + " " + answers("l-withdraw") })
	})
	t.Run("restart", func(t *testing.T) {
		n.stop()
		if err := os.Remove(l.path("hold.role")); err != nil {
			t.Fatal(err)
		}
		want := a.both(names("l-hold")) // nobody answers now
		same(t, "while it is down", want[:10], "no answer:")
		n.up(t)
		a = client.asker(t, guardAddr)
		same(t, "the epoch survives", n.brief(t, "c-hold"), "fresh ex2 epoch 6")
		same(t, "the last known state survives the loss of the file", answers("l-hold"), "192.0.2.12 | 192.0.2.12")
		same(t, "state", n.role(t, "l-hold").State, "lost")
	})
}

// bareName moves the role l-hold in every way that a file is written.
func bareName(t *testing.T, l *Lab, n *Nameward, client *Host) {
	file, role := l.path("hold.role"), "l-hold"
	a := client.asker(t, guardAddr)
	address := map[string]string{"ex1": "192.0.2.11", "ex2": "192.0.2.12"}
	watched := client.asker(t, guardAddr)
	always := load(t, "answers while the file is written", 500*time.Microsecond, func() string {
		return oneOf(watched.a("l-hold.corp.example."), "192.0.2.11", "192.0.2.12")
	})
	writers := map[string]func(string){
		"atomic rename": func(text string) { writeAtomic(t, file, text) },
		"truncate and write": func(text string) {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"delete and write": func(text string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"truncate, pause, write": func(text string) {
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		},
	}
	for _, way := range []string{"atomic rename", "truncate and write", "delete and write", "truncate, pause, write"} {
		var took []time.Duration
		for i := range 20 {
			node := []string{"ex2", "ex1"}[i%2]
			begin := time.Now()
			writers[way](node + "\n")
			soon(t, way+" to "+node, 5*time.Second, address[node], func() string { return a.a("l-hold.corp.example.") })
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		t.Logf("file written to the right answer received, %s: %s", way, quantiles(took))
		same(t, "state after "+way, n.role(t, role).State, "fresh")
	}
	epoch := n.role(t, role).Epoch
	if epoch < 80 {
		t.Errorf("epoch %d after 80 moves", epoch)
	}
	writeAtomic(t, file, "ex2\n")
	soon(t, "ex2", 5*time.Second, "192.0.2.12", func() string { return a.a("l-hold.corp.example.") })
	for _, garbage := range []struct{ text, why string }{
		{"<<<<<<< HEAD\n", ":1:1: "},
		{"ex9\n", "ex9"},
		{"holder: [ex1\n", "hold.role:"},
		{"holder: ex1\nepoch: minus one\n", ":2:8: "},
		{"\x00\x01\x02", ":1:1: "},
		{"ex1\nex2\n", ":2:1: "},
	} {
		writeAtomic(t, file, garbage.text)
		soon(t, fmt.Sprintf("garbage %q", garbage.text), 5*time.Second, "stale true", func() string {
			r := n.role(t, role)
			return r.State + " " + fmt.Sprint(strings.Contains(r.Why, garbage.why))
		})
		same(t, "the last good word", a.a("l-hold.corp.example."), "192.0.2.12")
		same(t, "holder and epoch", n.brief(t, role), fmt.Sprintf("stale ex2 epoch %d", epoch+1))
	}
	writeAtomic(t, file, "ex2\n")
	soon(t, "good again", 5*time.Second, fmt.Sprintf("fresh ex2 epoch %d", epoch+1), func() string { return n.brief(t, role) })
	always.end()
}
