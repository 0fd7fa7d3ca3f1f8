package policy

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
)

func TestParsePattern(t *testing.T) {
	for _, tt := range []struct {
		text   string
		kind   PatternKind
		glob   string
		suffix int
		err    string
	}{
		{"*", PatternAny, "", 0, ""},
		{"@guarded", PatternGuarded, "", 0, ""},
		{"@role:mailbox", PatternRole, "", 0, ""},
		{"Mail.Corp.Example", PatternDNS, "mail.corp.example.", -1, ""},
		{".corp.example.", PatternBelow, "corp.example.", -1, ""},
		{".", PatternBelow, ".", -1, ""},
		{"ex?.corp.*", PatternDNSGlob, "ex?.corp.*.", -1, ""},
		{"mail", PatternNetBIOS, "MAIL", -1, ""},
		{"mail<20>", PatternNetBIOS, "MAIL", 0x20, ""},
		{"MAIL<*>", PatternNetBIOS, "MAIL", -1, ""},
		{"EX*<1b>", PatternNBGlob, "EX*", 0x1b, ""},
		{"MAIL<20>.scope.x", PatternNetBIOS, "MAIL", 0x20, ""},
		{`\x2a`, PatternNetBIOS, "*", -1, ""},
		{"", 0, "", 0, "the name is empty"},
		{"@role:", 0, "", 0, "no selector"},
		{"@anything", 0, "", 0, "no selector"},
		{"a..b", 0, "", 0, "empty label"},
		{"..", 0, "", 0, "empty label"},
		{"...", 0, "", 0, "empty label"},
		{"..a", 0, "", 0, "empty label"},
		{".*.example.", 0, "", 0, "write *.*.example."},
		{strings.Repeat("a", 64) + ".example.", 0, "", 0, "63 is the most"},
		{strings.Repeat("abcdefg.", 32), 0, "", 0, "254 is the most"},
		{"m ail.example.", 0, "", 0, "does not belong"},
		{"MAIL<2>", 0, "", 0, "two hexadecimal digits"},
		{"MAIL<zz>", 0, "", 0, "two hexadecimal digits"},
		{"MAIL<20>scope>", 0, "", 0, "nothing or a scope"},
		{"SIXTEEN-OCTETS-X", 0, "", 0, "at most 15"},
		{"SIXTEEN-OCTETS-*?", 0, "", 0, "at most 15"},
		{"M\x01*", 0, "", 0, "does not belong"},
	} {
		p, err := ParsePattern(tt.text)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v, want %s", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if p.Kind != tt.kind || p.Glob() != tt.glob || tt.glob != "" && p.Suffix() != tt.suffix || p.String() != tt.text {
			t.Errorf("%q: %+v", tt.text, p)
		}
	}
}

// TestMatchGlob: without dots the wildcards are those of path.Match.
func TestMatchGlob(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	word := func(letters string, most int) string {
		var b strings.Builder
		for range r.IntN(most + 1) {
			b.WriteByte(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	hits := 0
	for range 200_000 {
		g, s := word("ab*?*", 7), word("ab", 8)
		want, err := path.Match(g, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchGlob(glob(g), s); got != want {
			t.Fatalf("%q, %q: %v, want %v", g, s, got, want)
		}
		if want {
			hits++
		}
	}
	if hits < 10_000 {
		t.Errorf("only %d matches", hits)
	}
	if matchGlob("a?b", "a.b") || !matchGlob("a*b", "a.b") {
		t.Error("a dot is for * and not for ?")
	}
}

// TestMatchGlobIsBounded: a hostile name costs at most the product of the lengths.
func TestMatchGlobIsBounded(t *testing.T) {
	g := glob(strings.Repeat("*a", 100) + "b")
	if matchGlob(g, strings.Repeat("a", 255)) {
		t.Error("there is no b")
	}
}

// TestAutomaton finds what a plain loop over the globs finds.
func TestAutomaton(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	letters := "abc*?*"
	for range 500 {
		var globs []indexedGlob
		for i := range 1 + r.IntN(40) {
			var b strings.Builder
			for range 1 + r.IntN(6) {
				b.WriteByte(letters[r.IntN(len(letters))])
			}
			node := &nameNode{}
			node.add(1, -1, i)
			globs = append(globs, indexedGlob{glob(b.String()), node})
		}
		a := newAutomaton(globs)
		for range 50 {
			var b strings.Builder
			for range r.IntN(12) {
				b.WriteByte("abcd"[r.IntN(4)])
			}
			got, want := []uint64{0}, uint64(0)
			match(a, b.String(), -1, got)
			for i, g := range globs {
				if matchGlob(g.glob, b.String()) {
					want |= 1 << i
				}
			}
			if got[0] != want {
				t.Fatalf("%q: %x, want %x in %v", b.String(), got[0], want, globs)
			}
		}
	}
}

func TestReserved(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"WPAD<00>", "wpad"}, {"wpad.corp.example.", "wpad"}, {"WPAD2", ""}, {"wpad2.corp.example.", ""},
		{"ISATAP<20>", "isatap"}, {"isatap.example.", "isatap"}, {"*", "wildcard"}, {"*.example.", "wildcard"},
		{"a.*.example.", ""}, {"CORP<1b>", "domain"}, {"CORP<1C>", "domain"}, {"CORP<1d>", "domain"}, {"CORP<1e>", ""},
		{"x1UWhRCAAAAx.example.", "spn"}, {"A1UWHRCAAAAB", "spn"}, {"x1uwhrca.example.", ""}, {"mail.example.", ""},
	} {
		var r Request
		if err := r.SetName(tt.name); err != nil {
			t.Fatal(err)
		}
		if got, is := Reserved(&r); got != tt.want || is != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, is, tt.want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range Channels {
		if got, err := ParseChannel(c.String()); err != nil || got != c {
			t.Errorf("%s: %v, %v", c, got, err)
		}
	}
	for _, a := range Actions {
		if got, err := ParseAction(a.String()); err != nil || got != a {
			t.Errorf("%s: %v, %v", a, got, err)
		}
	}
	for _, bad := range []string{"", "WINS", "none"} {
		if _, err := ParseChannel(bad); err == nil || !strings.Contains(err.Error(), "wins, nbns-broadcast") {
			t.Errorf("channel %q: %v", bad, err)
		}
		if _, err := ParseAction(bad); err == nil || !strings.Contains(err.Error(), "publish, strip") {
			t.Errorf("action %q: %v", bad, err)
		}
	}
	for text, want := range map[string]string{"a": "1", "NB": "32", "type65280": "65280", "AAA": "did you mean A", "x9": "is no record type"} {
		got, err := ParseType(text)
		if s := fmt.Sprint(got.Number, err); !strings.Contains(s, want) {
			t.Errorf("type %q: %s, want %s", text, s, want)
		}
	}
}
