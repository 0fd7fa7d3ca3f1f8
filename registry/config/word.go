package config

import (
	"path/filepath"
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/registry/yamlat"
)

// name reads the name of a cluster, node, role or site: one word, as it stands in command lines and
// claim files.
func name(d *decoder, n *node) text {
	t := d.String(n)
	if t.OK {
		t.OK = checkName(d, t)
	}
	return t
}

const maxName = 63

func checkName(d *decoder, t text) bool {
	bad := strings.IndexFunc(t.Value, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("-_.", r) })
	switch {
	case t.Value == "":
		d.Problemf(t.At, "the name is empty, write one")
	case len(t.Value) > maxName:
		d.Problemf(t.At, "name %q has %d octets, %d is the most: shorten it", t.Value, len(t.Value), maxName)
	case bad >= 0 || !isAlnum(rune(t.Value[0])):
		d.Problemf(t.At, "name %q is not one word, use letters, digits, and - _ . behind the first", t.Value)
	default:
		return true
	}
	return false
}

func isAlnum(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func checkClassName(d *decoder, t text) bool {
	ok := t.Value != "" && len(t.Value) <= maxName && 'a' <= t.Value[0] && t.Value[0] <= 'z' &&
		!strings.ContainsFunc(t.Value, func(r rune) bool {
			return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_')
		})
	if !ok {
		d.Problemf(t.At, "class name %q is not allowed, use lower case letters, digits, - and _, a letter first", t.Value)
	}
	return ok
}

// path reads a file name; making it relative to the configuration is left to [relativeTo].
func path(d *decoder, n *node) text {
	t := d.String(n)
	if t.OK && strings.ContainsRune(t.Value, 0) {
		d.Badf(t.At, "path %q has a NUL in it, take it out", t.Value)
		t.OK = false
	}
	return t
}

// relativeTo is path as seen from the directory of file.
func relativeTo(file, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(filepath.Dir(file), path)
}

// netbiosName reads a name in the form of [netbios.ParseName]; upper and lower case are the same.
func netbiosName(d *decoder, n *node) yamlat.Item[nbName] {
	t := d.String(n)
	bad := yamlat.Item[nbName]{At: t.At}
	if !t.OK {
		return bad
	}
	parsed, err := netbios.ParseName(t.Value)
	switch {
	case err != nil:
		d.Badf(t.At, "%v; write one such as MAIL or \"MAIL<20>\"", err)
		return bad
	case strings.HasPrefix(parsed.Base(), "*"):
		d.Badf(t.At, "NetBIOS name %q begins with *, which no name may (RFC 1001, Section 5.2): write another", t.Value)
		return bad
	case parsed.Base() == "" || parsed.Base()[0] == ' ':
		d.Badf(t.At, "NetBIOS name %q begins with a space, take it off", t.Value)
		return bad
	}
	return yamlat.Item[nbName]{At: t.At, OK: true, Value: nbName{parsed.Fold(), !strings.Contains(t.Value, "<")}}
}

// plainSuffixes are those of a name that is written without one: workstation, messenger and file
// server.
var plainSuffixes = []byte{0x00, 0x03, 0x20}

func (n nbName) suffixes() []byte {
	if n.plain {
		return plainSuffixes
	}
	return []byte{n.Suffix()}
}
