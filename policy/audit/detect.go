package audit

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// detectSize is how much of a source is looked at to tell its kind.
const detectSize = 8 << 10

// detect tells the kind from what the source begins with, else from its name; 0 if neither tells.
func detect(name string, head []byte) Kind {
	if isCapture(head) {
		return KindCapture
	}
	text := headText(head)
	for _, form := range textForms {
		if form.is(text) {
			return form.kind
		}
	}
	if kind := kindOfName(name); kind != 0 {
		return kind
	}
	if looksLikeHosts(text) {
		return KindHosts
	}
	return 0
}

// captureMagics begin pcap in both orders, with micro- and nanoseconds, pcapng, and gzip.
var captureMagics = []string{"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", "\x0a\x0d\x0d\x0a", "\x1f\x8b\x08"}

func isCapture(head []byte) bool {
	for _, magic := range captureMagics {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// headText is the head as text without a carriage return.
func headText(head []byte) string {
	text, _ := io.ReadAll(plainText(bufio.NewReader(bytes.NewReader(head))))
	return strings.ReplaceAll(string(text), "\r", "")
}

// textForms are the kinds that their content shows, the surest first.
var textForms = []struct {
	kind Kind
	is   func(string) bool
}{
	{KindReg, regexp.MustCompile(`^\s*(?:Windows Registry Editor Version|REGEDIT4|HKEY_LOCAL_MACHINE\\)`).MatchString},
	{KindWinsDat, regexp.MustCompile(`^VERSION \d+(?: \d+)?\n`).MatchString},
	{KindDNSJSON, regexp.MustCompile(`^\s*(?:\[\s*)?\{\s*"`).MatchString},
	{KindDNSCSV, regexp.MustCompile(`(?i)^\s*(?:#type[^\n]*\n)?[^\n]*\bhostname"?[,;\t][^\n]*\b(?:recordtype|type)\b`).MatchString},
	{KindDNSCSV, regexp.MustCompile(`(?i)^\s*(?:#type[^\n]*\n)?[^\n]*\brecordtype"?[,;\t][^\n]*\bhostname\b`).MatchString},
	{KindDnscmd, regexp.MustCompile(`(?i)(?:^|\n)(?:;\s*zone:[^\n]*\n;\s*server:|returned records:|enumerated zone:|[^;\n]*\[aging:\d+\])`).MatchString},
	{KindNetshDump, regexp.MustCompile(`(?i)(?:^|\n)\s*(?:netsh\s+)?(?:wins\s+)?(?:server\s+(?:\S+\s+)?)?add\s+name\s+name\s*=`).MatchString},
	{KindNetshDatabase, regexp.MustCompile(`\[[0-9A-Fa-f]{2}h\]|(?i:\bname\b[^\n]*\bversion\b[^\n]*\bip ?address\b)`).MatchString},
	{KindLMHosts, regexp.MustCompile(`(?:^|\n)(?:#INCLUDE\b|[0-9.]+[ \t][^\n]*#(?:PRE|DOM:)|[0-9.]+[ \t]+"[^"\n]*")`).MatchString},
	{KindZone, regexp.MustCompile(`(?i)(?:^|\n)(?:\$ORIGIN|\$TTL|\$GENERATE)\s|(?:^|\n)[^;\n]*\s(?:SOA)\s`).MatchString},
}

// kindOfName tells the kind by the name of the file.
func kindOfName(name string) Kind {
	base := strings.ToLower(path.Base(filepath.ToSlash(name)))
	switch base {
	case "wins.dat":
		return KindWinsDat
	case "hosts", "hosts.ics":
		return KindHosts
	case "lmhosts", "lmhosts.sam":
		return KindLMHosts
	}
	if strings.HasPrefix(base, "db.") {
		return KindZone
	}
	return kindOfEnding[path.Ext(base)]
}

var kindOfEnding = map[string]Kind{
	".pcap": KindCapture, ".pcapng": KindCapture, ".cap": KindCapture, ".reg": KindReg, ".csv": KindDNSCSV,
	".json": KindDNSJSON, ".zone": KindZone, ".dns": KindZone, ".lmhosts": KindLMHosts, ".hosts": KindHosts,
}

// looksLikeHosts reports whether the first line that is no comment is an address and a name.
func looksLikeHosts(text string) bool {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		_, err := netip.ParseAddr(words[0])
		return err == nil && len(words) > 1
	}
	return false
}
