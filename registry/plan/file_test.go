package plan

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nameward/nameward/registry"
)

// aPlan has words that YAML takes for something else.
func aPlan() *Plan {
	return &Plan{
		ID: "20260301-120000-a1b2c3", Made: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), By: "kim@host: \"#1\"", Change: 41, TTL: 1,
		Roles: []Role{
			{
				Move: registry.Move{
					Role: "no", From: []string{"1"}, To: []string{"0x2"}, Epoch: 1 << 62,
					Before: []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::11")}, After: []netip.Addr{netip.MustParseAddr("198.51.100.12")},
				},
				Names: []string{"mail.corp.example.", "MAIL<20>"}, Source: "operator", TTL: 300, Negative: 5,
			},
			{Move: registry.Move{Role: "yes: {", From: []string{}, To: []string{"~"}, Epoch: 1, Before: []netip.Addr{}, After: []netip.Addr{}}, Names: []string{}, Source: "operator", TTL: 3600},
		},
		Targets: []Target{{"ad", "update"}, {"2026-01-01", "wins"}}, Checks: []string{"# all"}, Notes: []string{"it's", "- so"},
	}
}

func written(t testing.TB, p *Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, p := range []*Plan{aPlan(), {ID: "x", Roles: []Role{}, Checks: []string{}}} {
		text := written(t, p)
		got, err := Read("plan.yaml", text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if diff := cmp.Diff(p, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if again := written(t, got); !bytes.Equal(text, again) {
			t.Errorf("written again it is\n%s\nand was\n%s", again, text)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := string(written(t, aPlan()))
	edit := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in\n%s", old, good)
		}
		return strings.Replace(good, old, with, 1)
	}
	const edited = "digest: it does not fit what stands above: the plan was edited after it was made, make a new one"
	for name, tt := range map[string]struct{ text, want string }{
		"empty":              {"", "p:1:1: the file is empty, want a plan of nameward plan create"},
		"not YAML":           {"plan: [", "p:1:"},
		"another file":       {"clusters: []\n", `unknown key "clusters" in a plan`},
		"a list":             {"- plan\n", "a list stands here, want a plan"},
		"cut short":          {good[:strings.Index(good, "digest")], `a plan needs the key "digest", add it`},
		"a role without to":  {edit("    to: [\"0x2\"]\n", ""), `a role of a plan needs the key "to", add it`},
		"no address":         {edit("198.51.100.12", "198.51.100.1234"), "after: "},
		"a bad epoch":        {edit("epoch: 1\n", "epoch: one\n"), "epoch: one is not a whole number"},
		"a misspelt key":     {edit("epoch:", "epohc:"), `unknown key "epohc" in a role of a plan, did you mean "epoch"`},
		"another TTL":        {edit("ttl: 1s", "ttl: 2s"), edited},
		"another wait":       {edit("wait: 1h0m1s", "wait: 1s"), edited},
		"another epoch":      {edit("epoch: 1\n", "epoch: 2\n"), edited},
		"another node":       {edit("0x2", "0x3"), edited},
		"a target less":      {edit("  - name: ad\n    kind: update\n", ""), edited},
		"another note":       {edit("it's", "it is"), edited},
		"a digest of others": {edit("sha256:", "sha256:0"), edited},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("p", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "p:") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestOpenJournal(t *testing.T) {
	p := aPlan()
	path := filepath.Join(t.TempDir(), "plan.run")
	open := func() *Journal {
		t.Helper()
		j, err := OpenJournal(path, p)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	steps := func() (out string) {
		for _, e := range open().Entries {
			out += string(e.Step) + " "
		}
		return out
	}
	j := open()
	for _, s := range []Step{Begun, Lowered} {
		if err := j.write(Entry{Step: s, Change: 7}); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever a kill has left of the second line, the first one is there and the next one is written behind it.
	first := bytes.IndexByte(whole, '\n') + 1
	for cut := first; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if got := steps(); got != "begun " {
			t.Fatalf("cut at %d: %s", cut, got)
		}
		if err := open().write(Entry{Step: Switching}); err != nil {
			t.Fatal(err)
		}
		if got := steps(); got != "begun switching " {
			t.Fatalf("cut at %d and written to: %s", cut, got)
		}
	}
	for name, tt := range map[string]struct{ text, want string }{
		"damaged":         {string(whole[:first]) + "{\n" + string(whole[first:]), ":2:1: not a line of a plan's journal"},
		"of another plan": {`{"plan":"other"}` + "\n", ":1:1: this is of plan other, and the plan beside it is 20260301-120000-a1b2c3: move it away"},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenJournal(path, p); err == nil || !strings.Contains(err.Error(), path+tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

func TestMayHaveSwitched(t *testing.T) {
	for _, tt := range []struct {
		steps      []Entry
		there, and bool
	}{
		{nil, false, false},
		{[]Entry{{Step: Begun}, {Step: Lowered}}, false, false},
		{[]Entry{{Step: Switching}}, true, false},
		{[]Entry{{Step: Switching}, {Step: Stopped}}, false, false},
		{[]Entry{{Step: Switching}, {Step: Switched}, {Step: Done}}, true, false},
		{[]Entry{{Step: Switching}, {Step: Switched}, {Step: Switching, Back: true}, {Step: Stopped, Back: true}}, true, false},
		{[]Entry{{Step: Switching}, {Step: Switched}, {Step: Switching, Back: true}}, true, true},
	} {
		j := &Journal{Entries: tt.steps}
		if there, back := j.MayHaveSwitched(false), j.MayHaveSwitched(true); there != tt.there || back != tt.and {
			t.Errorf("%v: %v and %v, want %v and %v", tt.steps, there, back, tt.there, tt.and)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(written(f, aPlan()))
	f.Add([]byte("plan: x\nroles: [{role: a, to: *x}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Read("p", data)
		if err != nil {
			return
		}
		again, err := Read("p", written(t, p))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if p.Digest() != again.Digest() {
			t.Error("another digest")
		}
	})
}
