package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		test, name, head string
		want             Kind
	}{
		{"pcap", "x", "\xd4\xc3\xb2\xa1\x02\x00", KindCapture},
		{"pcap, the other order", "x", "\xa1\xb2\xc3\xd4", KindCapture},
		{"pcap with nanoseconds", "x", "\x4d\x3c\xb2\xa1", KindCapture},
		{"pcapng", "hosts", "\x0a\x0d\x0d\x0a", KindCapture},
		{"gzip", "x", "\x1f\x8b\x08", KindCapture},
		{"wins.dat by its content", "dump.txt", "VERSION 1 0\n\"MAIL#20\" 1 10.9.0.11 64R\n", KindWinsDat},
		{"wins.dat by its name", "/var/lib/samba/wins.dat", "", KindWinsDat},
		{"registry 5", "x", "Windows Registry Editor Version 5.00\r\n", KindReg},
		{"registry 4", "x", "REGEDIT4\r\n", KindReg},
		{"reg query", "x", "\r\nHKEY_LOCAL_MACHINE\\SYSTEM\\Foo\r\n", KindReg},
		{"JSON array", "x", " [\n {\n \"HostName\": 1}]", KindDNSJSON},
		{"JSON object", "x", "{\"HostName\": 1}", KindDNSJSON},
		{"CSV", "x", "\"HostName\",\"RecordType\"\n", KindDNSCSV},
		{"CSV with a type line", "x", "#TYPE Foo\n\"Name\";\"RecordType\";\"HostName\";\"Data\"\n", KindDNSCSV},
		{"zoneprint", "x", ";\n;  Zone:    corp.example\n;  Server:  dc1\n", KindDnscmd},
		{"enumrecords", "x", "Returned records:\n@ 600 A 192.0.2.1\n", KindDnscmd},
		{"netsh dump", "x", "pushd wins server\nadd name Name=\"A\" EndChar=20 IP={10.9.0.1}\n", KindNetshDump},
		{"netsh database", "x", "MAIL  [20h]-D-A- 1 -U- 10.9.0.1\n", KindNetshDatabase},
		{"LMHOSTS", "x", "10.9.0.1 MAIL #PRE\n", KindLMHosts},
		{"LMHOSTS by its name", "C:/Windows/System32/drivers/etc/lmhosts", "10.9.0.1 MAIL\n", KindLMHosts},
		{"hosts", "x", "# a comment\n10.9.0.1 mail\n", KindHosts},
		{"zone with $TTL", "x", "; x\n$TTL 1h\n", KindZone},
		{"zone with a SOA", "x", "@ IN SOA a. b. 1 2 3 4 5\n", KindZone},
		{"zone by its name", "db.corp.example", "mail A 10.9.0.1\n", KindZone},
		{"nothing", "x", "", 0},
		{"prose", "notes.txt", "remember the milk\n", 0},
		{"zeros", "x", strings.Repeat("\x00", 64), 0},
	} {
		t.Run(tt.test, func(t *testing.T) {
			if got := detect(tt.name, []byte(tt.head)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if tt.want == KindCapture || tt.head == "" || tt.head[0] == 0 {
				return
			}
			for _, wide := range []string{wideText(tt.head, false), wideText(tt.head, true), markUTF8 + tt.head} {
				if got := detect(tt.name, []byte(wide)); got != tt.want {
					t.Errorf("in another encoding %s, want %s", got, tt.want)
				}
			}
		})
	}
}

// wideText is UTF-16 with its mark.
func wideText(text string, bigEndian bool) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		low, high := byte(unit), byte(unit>>8)
		if bigEndian {
			low, high = high, low
		}
		out = append(out, low, high)
	}
	return string(out)
}

func TestKindWords(t *testing.T) {
	for _, kind := range Kinds {
		if got, err := ParseKind(kind.String()); got != kind || err != nil {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
	}
	if _, err := ParseKind("none"); err == nil || !strings.Contains(err.Error(), "wins.dat") {
		t.Errorf("the kinds are not listed: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	prose := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(prose, []byte("remember the milk\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		test, name, want string
		opts             Options
	}{
		{"no such file", filepath.Join(dir, "none"), "opening the source", Options{}},
		{"a directory", dir, "is a directory", Options{}},
		{"not to be told", prose, "--kind, which is one of capture, wins.dat,", Options{}},
		{"a file is no transfer", prose, "axfr://server[:port]/zone would be right", Options{Kind: KindAXFR}},
		{"a transfer is no file", "axfr://127.0.0.1/corp.example", "cannot be read as zone", Options{Kind: KindZone}},
		{"no server", "axfr:///corp.example", "the server is missing", Options{}},
		{"no zone", "axfr://127.0.0.1", "the zone is missing", Options{}},
		{"a query", "axfr://127.0.0.1/corp.example?x=1", "only a server and a zone", Options{}},
	} {
		t.Run(tt.test, func(t *testing.T) {
			_, err := Open(t.Context(), tt.name, tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
