package yamlat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// show is a value as the rows below write it: what was read, or "-" and the problems.
func show[T any](v Item[T], err error) string {
	out := "-"
	if v.OK {
		out = fmt.Sprint(v.Value)
	}
	var ps Problems
	errors.As(err, &ps)
	for _, p := range ps {
		out += fmt.Sprintf(" | %d:%d %s", p.Line, p.Col, p.Text)
	}
	return out
}

// with makes a row's reader from a method of D.
func with[T any](f func(d *D, n *Node) Item[T]) func(string) string {
	return func(text string) string {
		d, n := Parse("f.yaml", []byte(text))
		if n == nil {
			return show(Item[T]{}, d.Err())
		}
		v := f(d, n)
		return show(v, d.Err())
	}
}

func TestValues(t *testing.T) {
	str := with((*D).String)
	dur := with(func(d *D, n *Node) Item[time.Duration] { return d.Duration(n, time.Second, time.Hour, time.Second) })
	days := with(func(d *D, n *Node) Item[time.Duration] { return d.Duration(n, time.Hour, 7*day, time.Hour) })
	num := with(func(d *D, n *Node) Item[int] { return d.Int(n, 1, 10) })
	u64 := with((*D).Uint64)
	boolean := with((*D).Bool)
	instant := with((*D).Time)
	choice := with(func(d *D, n *Node) Item[int] { return d.Choice(n, "a", "b", "c") })
	addr := with((*D).Addr)
	prefix := with((*D).Prefix)
	fqdn := with((*D).FQDN)
	port := with(func(d *D, n *Node) Item[string] {
		v := d.AddrPort(n, 137, false)
		return Item[string]{v.At, v.OK, v.Value.String()}
	})
	anyPort := with(func(d *D, n *Node) Item[string] {
		v := d.AddrPort(n, 137, true)
		return Item[string]{v.At, v.OK, v.Value.String()}
	})
	label := strings.Repeat("a", 63)
	long := strings.Repeat(label+".", 3)
	for _, tt := range []struct {
		read       func(string) string
		name, text string
		want       string
	}{
		{str, "string", "x", "x"},
		{str, "string on", "on", "on"},
		{str, "string quoted number", "'1'", "1"},
		{str, "string number", "  1", "- | 1:3 1 is not text to YAML, write it in quotes: \"1\""},
		{str, "string tagged", "!!str 1", "1"},
		{str, "string other tag", "!x y", "- | 1:1 the tag !x stands here, want text"},
		{str, "string null", "~", "- | 1:1 nothing stands here, want text"},
		{str, "string list", "[a]", "- | 1:1 a list stands here, want text"},
		{dur, "duration", "5s", "5s"},
		{dur, "duration long", "1h0m0s", "1h0m0s"},
		{dur, "duration number", "5", "- | 1:1 5 has no unit, write 5s"},
		{dur, "duration fraction", "1.5", "- | 1:1 1.5 has no unit, write 1.5s"},
		{dur, "duration word", "soon", "- | 1:1 \"soon\" is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d"},
		{dur, "duration days out of range", "7d", "- | 1:1 7d is out of range, want 1s to 1h"},
		{days, "duration days", "6d", "144h0m0s"},
		{days, "duration days and hours", "1d11h60m", "36h0m0s"},
		{days, "duration no days", "0d1h", "1h0m0s"},
		{days, "duration days range", "8d", "- | 1:1 8d is out of range, want 1h to 7d"},
		{days, "duration days step", "1d90m", "- | 1:1 1d90m is not a multiple of 1h, write 25h or 26h"},
		{days, "duration days behind", "1h1d", "- | 1:1 \"1h1d\" is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d"},
		{days, "duration days fraction", "1.5d", "- | 1:1 \"1.5d\" is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d"},
		{days, "duration days less", "1d-2h", "- | 1:1 \"1d-2h\" is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d"},
		{days, "duration days overflow", "65535d2000000h", "- | 1:1 \"65535d2000000h\" is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d"},
		{days, "duration many days", "70000d", "- | 1:1 \"70000d\" is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d"},
		{dur, "duration negative", "-5s", "- | 1:1 -5s is out of range, want 1s to 1h"},
		{dur, "duration long range", "2h", "- | 1:1 2h is out of range, want 1s to 1h"},
		{dur, "duration step", "2500ms", "- | 1:1 2500ms is not a multiple of 1s, write 2s or 3s"},
		{dur, "duration overflow", "9999999999h", "- | 1:1 \"9999999999h\" is not a time span, write one such as 500ms, 5s, 10m, 1h or 6d"},
		{num, "int", "10", "10"},
		{num, "int low", "0", "- | 1:1 0 is not a whole number from 1 to 10"},
		{num, "int hexadecimal", "0x5", "- | 1:1 0x5 is not a whole number from 1 to 10"},
		{num, "int fraction", "1.0", "- | 1:1 1.0 is not a whole number from 1 to 10"},
		{num, "int empty", "''", "- | 1:1 \"\" is not a whole number from 1 to 10"},
		{u64, "epoch", "18446744073709551615", "18446744073709551615"},
		{u64, "epoch negative", "-1", "- | 1:1 -1 is not a whole number, 0 or more"},
		{boolean, "bool", "true", "true"},
		{boolean, "bool yes", "yes", "- | 1:1 \"yes\" stands here, want true or false"},
		{instant, "time", "2026-01-02T03:04:05Z", "2026-01-02 03:04:05 +0000 UTC"},
		{instant, "time quoted", "'2026-01-02T03:04:05+01:00'", "2026-01-02 03:04:05 +0100 +0100"},
		{instant, "time date", "2026-01-02", "- | 1:1 2026-01-02 is not a time such as 2026-01-02T15:04:05Z"},
		{choice, "choice", "b", "1"},
		{choice, "choice other", "B", "- | 1:1 B is not a choice, want a, b or c"},
		{addr, "address", "192.0.2.1", "192.0.2.1"},
		{addr, "address 6", "2001:DB8::1", "2001:db8::1"},
		{addr, "address zero", "192.0.02.1", "- | 1:1 192.0.02.1 is not an IP address, write one such as 192.0.2.11 or \"2001:db8::11\""},
		{addr, "address number", "10.9", "- | 1:1 10.9 is not an IP address, write one such as 192.0.2.11 or \"2001:db8::11\""},
		{addr, "address mapped", "'::ffff:192.0.2.1'", "- | 1:1 ::ffff:192.0.2.1 is an IPv4-mapped address, write 192.0.2.1"},
		{addr, "address multicast", "'ff02::1'", "- | 1:1 ff02::1 is a multicast address, write the address of a host"},
		{addr, "address unspecified", "'::'", "- | 1:1 :: is the unspecified address, write the address of a host"},
		{prefix, "prefix", "10.9.0.0/16", "10.9.0.0/16"},
		{prefix, "prefix all", "0.0.0.0/0", "0.0.0.0/0"},
		{prefix, "prefix host bits", "10.9.0.1/16", "- | 1:1 10.9.0.1/16 has host bits set, write 10.9.0.0/16"},
		{prefix, "prefix length", "10.9.0.0/33", "- | 1:1 10.9.0.0/33 is not a prefix, write one such as 10.9.0.0/16 or \"fd00:9::/32\""},
		{prefix, "prefix mapped", "'::ffff:10.0.0.0/104'", "- | 1:1 ::ffff:10.0.0.0/104 is an IPv4-mapped prefix, write the IPv4 prefix"},
		{prefix, "prefix address", "'fd00::1'", "- | 1:1 fd00::1 has no prefix length, write fd00::1/128 for this address alone"},
		{port, "port", "10.0.0.1:42", "10.0.0.1:42"},
		{port, "port default", "10.0.0.1", "10.0.0.1:137"},
		{port, "port 6", "'[2001:db8::1]:53'", "[2001:db8::1]:53"},
		{port, "port high", "10.0.0.1:65536", "- | 1:1 10.0.0.1:65536 is not ADDRESS:PORT, write one such as \"192.0.2.53:137\""},
		{port, "port any", "0.0.0.0:137", "- | 1:1 0.0.0.0 is the unspecified address, write the address of a host"},
		{anyPort, "any port", "0.0.0.0:137", "0.0.0.0:137"},
		{anyPort, "any port mapped", "'[::ffff:0.0.0.0]:137'", "- | 1:1 ::ffff:0.0.0.0 is an IPv4-mapped address, write 0.0.0.0"},
		{fqdn, "name", "Mail.Corp.example.", "mail.corp.example."},
		{fqdn, "name without dot", "mail.corp", "mail.corp."},
		{fqdn, "name service", "_ldap._tcp.corp.example", "_ldap._tcp.corp.example."},
		{fqdn, "name one label", "corp.", "corp."},
		{fqdn, "name short", "mail", "- | 1:1 \"mail\" is one label, write the name in full: mail.corp.example."},
		{fqdn, "name root", ".", "- | 1:1 DNS name \".\" has an empty label, write labels with one dot between them"},
		{fqdn, "name label of 63", label + ".example", label + ".example."},
		{fqdn, "name label of 64", "a" + label + ".example", "- | 1:1 label \"a" + label + "\" of a DNS name has 64 octets, 63 is the most: shorten it"},
		{fqdn, "name of 255", long + strings.Repeat("b", 61) + ".", long + strings.Repeat("b", 61) + "."},
		{fqdn, "name of 256", long + strings.Repeat("b", 62), "- | 1:1 DNS name " + long + strings.Repeat("b", 62) + " has 256 octets on the wire, 255 is the most: shorten it"},
		{fqdn, "name with a space", "'a b.example'", "- | 1:1 ' ' in DNS name \"a b.example\" is not allowed, use letters, digits, hyphens and underscores"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.read(tt.text); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

// TestSyntax has what is not YAML, or not what we read as YAML, and the place of it.
func TestSyntax(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"tab", "a:\n\t- b\n", "f:2:2: not YAML: found character that cannot start any token; indent with spaces, not with a tab"},
		{"first line", "a: b: c\n", "f:1:1: not YAML: mapping values are not allowed in this context; " + check},
		{"list in a mapping", "- a\nb: c\n", "f:2:1: not YAML: did not find expected '-' indicator; " + check},
		{"end", "a: \"x\n\n\n", "f:1:1: not YAML: found unexpected end of stream; " + check},
		{"anchor", "a: b\nc: *x\n", "f:2:4: alias *x has no anchor before it, write &x at the value it stands for, or quotes around text that begins with *"},
		{"control character", "a: b\nc: \x01\n", "f:2:4: control character U+0001, take it out or write it as an escape in double quotes"},
		{"not UTF-8", "é: \xff\n", "f:1:4: the file is not UTF-8 here, save it as UTF-8"},
		{"second document", "a: b\n---\nc: d\n", "f:3:1: a second document begins here, one file holds one: leave out what follows"},
		{"bad second document", "a: b\n---\nc: [\n", "f:3:1: not YAML: did not find expected node content; " + check},
		{"one document", "---\na: b\n...\n", ""},
		{"byte order mark", "\ufeffa: b\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := Parse("f", []byte(tt.text))
			got := ""
			if err := d.Err(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

const check = "check indentation, brackets and quotes here and in the line before"

func TestEmpty(t *testing.T) {
	for text, want := range map[string]bool{"": true, "# c\n": true, "~": true, "---\n": true, "''": false, "ex1": false, "{}": false} {
		d, n := Parse("f", []byte(text))
		if Empty(n) != want || d.Err() != nil {
			t.Errorf("%q: empty %v, problems %v", text, Empty(n), d.Err())
		}
	}
}

type pair struct {
	name Item[string]
	list List[string]
	sub  []Item[string]
}

var pairShape = Shape[pair]{
	What: "a pair",
	Fields: []Field[pair]{
		{Key: "name", Required: true, Set: func(d *D, n *Node, p *pair) { p.name = d.String(n) }},
		{Key: "list", Set: func(d *D, n *Node, p *pair) { p.list = ListOf(d, n, (*D).String) }},
		{Key: "sub", Set: func(d *D, n *Node, p *pair) {
			d.Entries(n, "sub", func(key Item[string], n *Node) { p.sub = append(p.sub, key) })
		}},
	},
}

func TestShape(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"good", "name: x\nlist: [a, b]\n", "x@1:7 [a@2:8 b@2:11]"},
		{"alias has its own place", "list: [&a x, *a]\nname: *a\n", "x@2:7 [x@1:8 x@1:14]"},
		{"alias of a list", "name: &n y\nsub: {a: &l [p]}\nlist: *l\n", "y@1:7 [p@3:7]"},
		{"alias as key", "sub: {a: &k name}\n*k : y\n", "y@2:6 []"},
		{"unknown", "name: x\nlsit: []\nzzz: 1\n", "x@1:7 []\nf:2:1: unknown key \"lsit\" in a pair, did you mean \"list\"\nf:3:1: unknown key \"zzz\" in a pair, known are name, list, sub"},
		{"twice", "name: x\nname: y\n", "x@1:7 []\nf:2:1: key \"name\" stands twice in a pair, first at 1:1: keep one"},
		{"entry twice", "name: x\nsub: {a: 1, b: 1, a: 2}\n", "x@1:7 []\nf:2:19: key \"a\" stands twice in sub, first at 2:7: keep one"},
		{"missing", "list: [a, 1]\n", "@0:0 [a@1:8]\nf:1:1: a pair needs the key \"name\", add it\nf:1:11: list: 1 is not text to YAML, write it in quotes: \"1\""},
		{"merge", "name: x\n<<: {list: []}\n", "x@1:7 []\nf:2:1: merge keys (<<) are not read, write the keys out in a pair"},
		{"list of itself", "name: x\nlist: &l [*l]\n", "x@1:7 []\nf:2:11: list: a list stands here, want text"},
		{"a word for a list", "name: x\nlist: a\n", "x@1:7 []\nf:2:7: list: \"a\" stands here, want a list: [a]"},
		{"no mapping", "[a]\n", "@0:0 []\nf:1:1: a list stands here, want a pair, a mapping of keys to values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, n := Parse("f", []byte(tt.text))
			var p pair
			pairShape.Decode(d, n, &p)
			var items []string
			for _, i := range p.list.Items {
				items = append(items, i.Value+"@"+i.At.String())
			}
			got := fmt.Sprintf("%s@%s %v", p.name.Value, p.name.At, items)
			if err := d.Err(); err != nil {
				got += "\n" + err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestLaughs multiplies a list by aliases; the walk ends soon and says so once.
func TestLaughs(t *testing.T) {
	var b strings.Builder
	b.WriteString("- &l0 [" + strings.Repeat("x, ", 1000) + "]\n")
	for range 1000 {
		b.WriteString("- *l0\n")
	}
	d, n := Parse("f", []byte(b.String()))
	read := 0
	d.Each(n, func(n *Node) { read += len(ListOf(d, n, (*D).String).Items) })
	var ps Problems
	if !errors.As(d.Err(), &ps) || len(ps) != 1 || !strings.Contains(ps[0].Text, "aliases make the file too large") {
		t.Errorf("got %v", d.Err())
	}
	if most := spare + 2*b.Len(); read > most {
		t.Errorf("read %d values, want at most %d", read, most)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"name", "ttl", "ttl_changing", "source", "on_conflict"}
	for word, want := range map[string]string{
		"tll": "ttl", "TTL": "ttl", "nmae": "name", "ttl-changing": "ttl_changing", "onconflict": "on_conflict", "x": "", "nodes": "", "": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for v, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 3601 * time.Second: "1h0m1s", time.Millisecond: "1ms",
	} {
		if got := Span(v); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
