package finding

import (
	"net/url"
	"testing"
)

func TestURI(t *testing.T) {
	for in, want := range map[string]string{
		"zones/corp.db":      "zones/corp.db",
		"../a b/ü#?.db":      "../a%20b/%C3%BC%23%3F.db",
		"a:b/100%":           "a%3Ab/100%25",
		"/etc/name ward":     "file:///etc/name%20ward",
		`C:\dumps\lan 1.txt`: "file:///C:/dumps/lan%201.txt",
		"d:/x":               "file:///d:/x",
		`\\srv\share\a.txt`:  "file://srv/share/a.txt",
		`\\s?v\a`:            "file:////s%3Fv/a",
		`\\srv`:              "file:////srv",
		"c:x":                "c%3Ax",
		`zones\corp.db`:      "zones/corp.db",
		"-":                  "-",
		"\x1b\xff\n\"":       "%1B%FF%0A%22",
	} {
		got := string(appendURI(nil, in))
		if got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
		if _, err := url.Parse(got); err != nil {
			t.Error(err)
		}
	}
}
