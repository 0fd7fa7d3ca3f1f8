package nameward

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/policy"
)

// rules is a policy with one rule for each id, in which nothing depends on the world.
func rules(ids ...string) string {
	text := "version: 1\nrules:\n"
	for _, id := range ids {
		text += "  - {id: " + id + ", names: [\"" + strings.ToUpper(id) + "<20>\"], action: refuse}\n"
	}
	return text
}

// ofRole is a policy that needs a role.
func ofRole(role string) string {
	return "version: 1\nrules:\n  - {id: strangers, names: [\"@role:" + role + "\"], action: refuse}\n"
}

// guarded is a guard whose configuration names policy.yaml beside it.
type guarded struct {
	*Guard
	t              *testing.T
	config, policy string // paths
}

func startGuarded(t *testing.T, text string) *guarded {
	t.Helper()
	path := writeConfig(t, "policy: policy.yaml\n")
	g := &guarded{t: t, config: path, policy: filepath.Join(filepath.Dir(path), "policy.yaml")}
	write(t, g.policy, text)
	g.Guard = startGuard(t, path)
	return g
}

// reload reads both files and wants an error that has all of the texts, or none.
func (g *guarded) reload(want ...string) {
	g.t.Helper()
	err := g.Reload()
	if (err != nil) != (len(want) > 0) {
		g.t.Fatalf("reload: %v, want %q", err, want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			g.t.Errorf("reload says\n%v\nand not %s", err, w)
		}
	}
}

// inForce checks which rules decide, and whether status says that the files are good.
func (g *guarded) inForce(first string, configGood, policyGood bool) {
	g.t.Helper()
	cfg, pol := g.configStatus(), g.policyStatus()
	if got := g.Policy().Rules[0].ID; got != first {
		g.t.Errorf("rule %s is in force, want %s", got, first)
	}
	if (cfg.Error == "") != configGood || (pol.Error == "") != policyGood {
		g.t.Errorf("configuration %q, policy %q", cfg.Error, pol.Error)
	}
	if pol.Rejected.IsZero() != policyGood || pol.Loaded.IsZero() {
		g.t.Errorf("status %+v", pol)
	}
}

func (g *guarded) writeConfig(old, replacement string) {
	g.t.Helper()
	text := readText(g.t, g.config)
	if !strings.Contains(text, old) {
		g.t.Fatalf("%q is not in the configuration", old)
	}
	write(g.t, g.config, strings.Replace(text, old, replacement, 1))
}

func TestPolicyBuiltin(t *testing.T) {
	g := startGuard(t, writeConfig(t, ""))
	if g.Policy() != policy.Default() {
		t.Error("other rules than the built-in ones are in force")
	}
	if st := g.policyStatus(); st.File != "" || st.Rules != 0 || st.Error != "" || st.Loaded.IsZero() {
		t.Errorf("status %+v", st)
	}
}

// TestPolicyAtStart: a bad policy refuses the start with all of its problems, and nothing is left behind.
func TestPolicyAtStart(t *testing.T) {
	path := writeConfig(t, "policy: sub/policy.yaml\n")
	file := filepath.Join(filepath.Dir(path), "sub", "policy.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("no policy: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]string{
		"version: 1\nrules:\n  - {id: a, action: drop}\n  - {id: b}\n": {file + ":3:21: action: drop is not a choice", file + ":4:5: "},
		ofRole("mailbx"): {file + ":3:5: rule strangers: there is no role mailbx, did you mean mailbox"},
	} {
		write(t, file, text)
		_, err := Load(path)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("got\n%v\nwant %s", err, w)
			}
		}
	}
	write(t, file, ofRole("mailbox"))
	g := startGuard(t, path)
	if st := g.policyStatus(); g.Policy().Own != 1 || st.File != file || st.Rules != 1 {
		t.Errorf("%d rules, status %+v", g.Policy().Own, st)
	}
}

func TestPolicyReload(t *testing.T) {
	g := startGuarded(t, rules("one"))
	var told atomic.Int32
	g.OnPolicy(func() { told.Add(1) })
	g.reload()
	first := g.Policy()
	g.inForce("one", true, true)

	write(t, g.policy, rules("two", "three"))
	g.reload()
	g.inForce("two", true, true)
	if st := g.policyStatus(); st.Rules != 2 {
		t.Errorf("status %+v", st)
	}

	second := g.Policy()
	write(t, g.policy, rules("four", "four"))
	g.reload(g.policy+":4:", "four")
	g.inForce("two", true, false)
	since := g.policyStatus().Rejected
	g.reload(g.policy)
	if g.Policy() != second || !g.policyStatus().Rejected.Equal(since) {
		t.Error("the policy in force has changed, or the time since when the file is bad")
	}

	write(t, g.policy, rules("two", "three")) // back to what is in force
	g.reload()
	g.inForce("two", true, true)
	if g.Policy() != second || g.Policy() == first {
		t.Error("the same content is another policy")
	}
	if got := told.Load(); got != 1 {
		t.Errorf("told %d times, want once: what stays is no news", got)
	}

	// Another file, and none.
	write(t, filepath.Join(filepath.Dir(g.policy), "other.yaml"), rules("five"))
	g.writeConfig("policy: policy.yaml", "policy: other.yaml")
	g.reload()
	g.inForce("five", true, true)
	g.writeConfig("policy: other.yaml\n", "")
	g.reload()
	if g.Policy() != policy.Default() || g.policyStatus().File != "" {
		t.Error("the built-in rules are not in force alone")
	}
	if got := told.Load(); got != 3 {
		t.Errorf("told %d times, want 3", got)
	}
}

// TestPolicyFollowed: the file is read without anybody asking, gone and back included.
func TestPolicyFollowed(t *testing.T) {
	g := startGuarded(t, rules("one"))
	var mu sync.Mutex
	var told []string
	g.OnPolicy(func() {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, g.Policy().Rules[0].ID)
	})
	rejected := func() bool { return g.policyStatus().Error != "" }
	write(t, g.policy, rules("two"))
	eventually(t, "the file is followed", func() bool { return g.Policy().Rules[0].ID == "two" })
	write(t, g.policy, "rules: [}\n")
	eventually(t, "status shows the bad file", rejected)
	g.inForce("two", true, false)
	write(t, g.policy, rules("two"))
	eventually(t, "status is clear again", func() bool { return !rejected() })
	if err := os.Remove(g.policy); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status misses the file", rejected)
	g.inForce("two", true, false)
	write(t, g.policy, rules("three"))
	eventually(t, "the file is back", func() bool { return g.Policy().Rules[0].ID == "three" && !rejected() })
	eventually(t, "the subscriber was told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(told, " ") == "two three"
	})
	if counts := g.reloadCounts(); counts != (reloadCounts{}) {
		t.Errorf("%+v: the configuration was not touched", counts)
	}
}

// TestPolicyAndWorld: the policy in force suits the world in force, whichever file changes.
func TestPolicyAndWorld(t *testing.T) {
	g := startGuarded(t, ofRole("www"))
	snap := g.Snapshot()

	// A world without the role is refused as a whole.
	g.writeConfig("name: www,", "name: web,")
	g.reload("the policy does not go with it", g.policy+":3:5: rule strangers: there is no role www")
	g.inForce("strangers", false, true)
	if g.Snapshot() != snap {
		t.Error("the state has changed")
	}

	// The policy that suits it comes second, and takes the configuration along. Nobody has to ask.
	write(t, g.policy, ofRole("web"))
	eventually(t, "both are in force", func() bool {
		_, ok := g.Snapshot().Role("web")
		return ok && g.configStatus().Error == "" && g.policyStatus().Error == ""
	})
	if got := g.Policy().Rules[0].Names[0].Role; got != "web" {
		t.Errorf("the rule is about %s", got)
	}

	// The other way round: the policy waits for the world.
	write(t, g.policy, ofRole("www"))
	eventually(t, "the policy waits", func() bool { return g.policyStatus().Error != "" })
	g.inForce("strangers", true, false)
	g.writeConfig("name: web,", "name: www,")
	eventually(t, "both are in force again", func() bool {
		_, ok := g.Snapshot().Role("www")
		return ok && g.configStatus().Error == "" && g.policyStatus().Error == ""
	})

	// A policy that is bad by itself does not hold up a world that the last good one goes with.
	write(t, g.policy, "rules: 1\n")
	g.writeConfig("mail.other.example.", "post.other.example.")
	g.reload(g.policy + ":1:8: rules")
	g.inForce("strangers", true, false)
	if _, ok := g.Snapshot().Lookup("post.other.example."); !ok {
		t.Error("the new world is not in force")
	}

	// Both are bad: all problems at once.
	g.writeConfig("mode: all", "mode: some")
	g.reload(g.config+":", "some is not a choice", g.policy+":1:8: rules")
	g.inForce("strangers", false, false)
}

// TestPolicyAwaited: a configuration that names a file which is not good yet is taken when it is.
func TestPolicyAwaited(t *testing.T) {
	g := startGuarded(t, rules("one"))
	other := filepath.Join(filepath.Dir(g.policy), "other.yaml")
	g.writeConfig("policy: policy.yaml", "policy: other.yaml")
	eventually(t, "the configuration is refused", func() bool { return g.configStatus().Error != "" })
	g.inForce("one", false, true)
	write(t, other, "rules: 1\n")
	eventually(t, "the new file is looked at", func() bool { return strings.Contains(g.configStatus().Error, other+":1:8") })
	// The file in force is followed meanwhile.
	write(t, g.policy, rules("two"))
	eventually(t, "the old file is followed", func() bool { return g.Policy().Rules[0].ID == "two" })
	write(t, other, rules("three"))
	eventually(t, "the new file is in force", func() bool { return g.Policy().Rules[0].ID == "three" })
	g.inForce("three", true, true)
	if got := g.policyStatus().File; got != other {
		t.Errorf("status shows %s", got)
	}
}

// TestPolicyOfAnother: a policy that was written for another configuration is in force, with a warning.
func TestPolicyOfAnother(t *testing.T) {
	for config, warned := range map[string]bool{"nameward.yaml": false, "sub/../nameward.yaml": false, "other.yaml": true} {
		path := writeConfig(t, "policy: policy.yaml\n")
		write(t, filepath.Join(filepath.Dir(path), "policy.yaml"), "config: "+config+"\n"+rules("one"))
		if err := os.Mkdir(filepath.Join(filepath.Dir(path), "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		g, err := Start(path, loaded, zerolog.New(zerolog.SyncWriter(&log)))
		if err != nil {
			t.Fatal(err)
		}
		closeGuard(t, g)
		if got := strings.Contains(log.String(), "written for another configuration file"); got != warned {
			t.Errorf("config %s: warned %v, log\n%s", config, got, log.String())
		}
	}
}

func TestPolicyAfterTheEnd(t *testing.T) {
	g := startGuarded(t, rules("one"))
	closeGuard(t, g.Guard)
	write(t, g.policy, rules("two"))
	if err := g.Reload(); err == nil || g.Policy().Rules[0].ID != "one" {
		t.Errorf("reload after the end: %v", err)
	}
}
