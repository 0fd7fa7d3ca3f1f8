package nameward

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

func TestParse(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		input, root string
		path        string
		err         string
	}{
		{"nameward", "", filepath.Join(wd, "nameward.yaml"), ""},
		{"nameward", "/srv", "/srv/nameward.yaml", ""},
		{"nameward x.yaml", "/srv", "/srv/x.yaml", ""},
		{"nameward x.yaml", "", filepath.Join(wd, "x.yaml"), ""},
		{"nameward /etc/x.yaml", "/srv", "/etc/x.yaml", ""},
		{`nameward "/etc/a b.yaml"`, "", "/etc/a b.yaml", ""},
		{"nameward /etc/../x.yaml", "", "/x.yaml", ""},
		{"nameward a b", "", "", `"b" is too much`},
		{"nameward {\n ttl 5\n}", "", "", "takes no block"},
		{"nameward x.yaml {\n ttl 5\n}", "", "", "belongs into x.yaml"},
		{"nameward\nnameward", "", "", "only be used once"},
	}
	for _, tt := range tests {
		c := caddy.NewTestController("dns", tt.input)
		dnsserver.GetConfig(c).Root = tt.root
		path, err := parse(c)
		switch {
		case tt.err == "" && (err != nil || path != tt.path):
			t.Errorf("%q: got %q, %v, want %q", tt.input, path, err, tt.path)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%q: got %v, want %q in it", tt.input, err, tt.err)
		}
	}
}

// TestSetupBadFile: every problem is named, with its place, before anything is started.
func TestSetupBadFile(t *testing.T) {
	path := writeConfig(t, "unknown: 1\n")
	write(t, path, strings.Replace(readText(t, path), "mode: all", "mode: some", 1))
	for input, want := range map[string][]string{
		"nameward " + path:           {path + ":", "unknown", "mode"},
		"nameward " + path + ".none": {path + ".none", "no such file"},
		"nameward a b":               {"too much"},
	} {
		err := setup(caddy.NewTestController("dns", input))
		for _, w := range append(want, "plugin/nameward: ") {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: got %v, want %q in it", input, err, w)
			}
		}
	}
	if guards.first() != nil {
		t.Error("a guard was started")
	}
}
