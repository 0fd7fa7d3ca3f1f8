package file

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nameward/nameward/registry"
)

var (
	written = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	noon    = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
)

func testRole(name string, mode registry.Mode, nodes ...string) *registry.Role {
	r := &registry.Role{Name: name, Mode: mode, Source: registry.Source{Kind: "file"}}
	for _, n := range nodes {
		r.Nodes = append(r.Nodes, &registry.Node{Name: n})
	}
	return r
}

func TestClaims(t *testing.T) {
	single, all := testRole("mailbox", registry.Single, "ex1", "ex2"), testRole("relay", registry.All, "ex1", "ex2", "ex3")
	tests := []struct {
		name    string
		role    *registry.Role
		several bool
		text    string
		want    registry.Claim
		err     string // the whole error, without "f.role:"; "" for none
	}{
		{name: "bare name", role: single, text: "ex1\n", want: registry.Claim{Nodes: []string{"ex1"}}},
		{name: "no newline", role: single, text: "ex2", want: registry.Claim{Nodes: []string{"ex2"}}},
		{name: "of Windows", role: single, text: "ex2\r\n", want: registry.Claim{Nodes: []string{"ex2"}}},
		{name: "comments", role: single, text: "# who\n\n  ex2 # since noon\n", want: registry.Claim{Nodes: []string{"ex2"}}},
		{name: "members", role: all, text: "ex1\nex3\n", want: registry.Claim{Nodes: []string{"ex1", "ex3"}}},
		{name: "yaml", role: single, text: "holder: ex1\nepoch: 7\n", want: registry.Claim{Nodes: []string{"ex1"}, Epoch: 7}},
		{name: "json", role: single, several: true, text: `{"holder": "ex1", "epoch": 7, "expires": "2026-11-22T10:00:00Z"}`,
			want: registry.Claim{Nodes: []string{"ex1"}, Epoch: 7, Expires: noon}},
		{name: "yaml members", role: all, text: "---\nmembers: [ex1, ex2]\nlease: 10s\n",
			want: registry.Claim{Nodes: []string{"ex1", "ex2"}, Expires: written.Add(10 * time.Second)}},
		{name: "one member", role: all, text: "members: [ex1]\n", want: registry.Claim{Nodes: []string{"ex1"}}},

		{name: "empty", role: single, text: "", err: "1:1: the file says nothing, write the name of the node that has the role"},
		{name: "only a comment", role: single, text: "# ex1\n", err: "1:1: the file says nothing, write the name of the node that has the role"},
		{name: "no name", role: single, text: "hello world\n", err: `1:1: "hello world" is not the name of a node, write one name in a line, or "holder: NAME"`},
		{name: "unknown node", role: single, text: "\n  ex9\n", err: `2:3: "ex9" is not a node of role mailbox, its nodes are ex1, ex2`},
		{name: "twice", role: all, text: "ex1\nex1\n", err: "2:1: node ex1 stands twice, first in line 1: keep one"},
		{name: "two for single", role: single, text: "ex1\nex2\n", err: "2:1: a second node, role mailbox is in mode single: leave one"},
		{name: "bare beside others", role: single, several: true, text: "ex1\n",
			err: `1:1: no epoch, role mailbox has several claim files and each needs one: write "holder: ex1" and "epoch: N"`},
		{name: "unknown key", role: single, text: "holder: ex1\nepoc: 7\n", err: `2:1: unknown key "epoc" in a claim, did you mean "epoch"`},
		{name: "no node", role: single, text: "epoch: 7\n", err: `1:1: the claim names no node, write "holder: NAME"`},
		{name: "holder and members", role: all, text: "holder: ex1\nmembers: [ex2]\n", err: "2:10: members beside holder at 1:9, a claim has one of them: take one out"},
		{name: "nobody", role: all, text: "members: []\n", err: "1:10: members: the list is empty, write a node; delete the file when nobody has the role"},
		{name: "epoch 0", role: single, text: "holder: ex1\nepoch: 0\n", err: "2:8: epoch: 0 is out of range, want 1 to 9223372036854775807, or leave the key out"},
		{name: "epoch at the end", role: single, text: "holder: ex1\nepoch: 18446744073709551615\n", err: "2:8: epoch: 18446744073709551615 is out of range, want 1 to 9223372036854775807, or leave the key out"},
		{name: "expires and lease", role: single, text: "holder: ex1\nexpires: 2026-11-22T10:00:00Z\nlease: 5s\n", err: "3:8: lease beside expires at 2:10, a claim has one of them: take one out"},
		{name: "member twice", role: all, text: "members: [ex1, ex1]\n", err: "1:16: node ex1 stands twice, first at 1:11: keep one"},
		{name: "every problem", role: single, text: "holder: [ex1]\nepoch: x\nlease: 5\n",
			err: "1:9: holder: a list stands here, want text\n2:8: epoch: x is not a whole number, 0 or more\n3:8: lease: 5 has no unit, write 5s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, err := Parse("f.role", []byte(tt.text), written)
			var got registry.Claim
			if err == nil {
				got, err = st.Claim(tt.role, "f.role", !tt.several)
			}
			if tt.err != "" {
				want := "f.role:" + strings.ReplaceAll(tt.err, "\n", "\nf.role:")
				if err == nil || err.Error() != want {
					t.Errorf("error %v\nwant  %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Role, tt.want.Origin = tt.role.Name, "file f.role"
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("claim (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongGarbageIsCut(t *testing.T) {
	_, err := Parse("f.role", []byte(strings.Repeat("\xff\x00é ", 100_000)), written)
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("error of %d octets", len(err.Error()))
	}
	_, err = Parse("f.role", []byte(strings.Repeat("a b\n", 10_000)), written)
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("error of %d octets", len(err.Error()))
	}
}

func TestWhole(t *testing.T) {
	for text, want := range map[string]bool{
		"ex1\n": true, "# a\nex1\n": false, "ex1\nex2\n": false, "holder: ex1\n": false, "{\"holder\": \"ex1\"}\n": true, "{\n": false, "\n": true,
	} {
		if whole([]byte(text)) != want {
			t.Errorf("whole(%q) = %v", text, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"ex1\n", "ex1\nex2", "holder: ex1\nepoch: 7\n", `{"members":["ex1"],"lease":"10s"}`, "# x\n", "holder: &a [*a]\n", "\xff", "expires: 2026-11-22T10:00:00Z"} {
		f.Add([]byte(seed))
	}
	role := testRole("mailbox", registry.All, "ex1", "ex2")
	f.Fuzz(func(t *testing.T, content []byte) {
		st, err := Parse("f.role", content, written)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.role:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		if len(st.Nodes) == 0 || st.Epoch > registry.MaxEpoch {
			t.Errorf("accepted %q as %+v", content, st)
		}
		cl, err := st.Claim(role, "f.role", true)
		if err == nil && (len(cl.Nodes) != len(st.Nodes) || len(cl.Nodes) > len(role.Nodes)) {
			t.Errorf("claim %+v from %q", cl, content)
		}
	})
}
