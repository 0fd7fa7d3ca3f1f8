package trust

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ path, want, err string }{
		{write("good", "secret\n", 0o600), "secret", ""},
		{write("read-only", "secret", 0o400), "secret", ""},
		{write("long", strings.Repeat("x", maxSecret+1), 0o600), "", "4097 octets are too many"},
		{dir, "", "is no file"},
		{filepath.Join(dir, "none"), "", "no such file"},
		{write("group", "secret", 0o640), "", "has mode 0640 and is open to others"},
		{write("world", "secret", 0o604), "", "has mode 0604 and is open to others"},
	} {
		if runtime.GOOS == "windows" && strings.Contains(tt.err, "mode") {
			continue
		}
		got, err := Secret(tt.path)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || err == nil && got != tt.want {
			t.Errorf("%s: %q, %v, want %q, %q", tt.path, got, err, tt.want, tt.err)
		}
	}
	if pool, err := Pool(""); pool != nil || err != nil {
		t.Errorf("no file: %v, %v", pool, err)
	}
	if _, err := Client(filepath.Join(dir, "good")); err == nil || !strings.Contains(err.Error(), "no certificate in PEM") {
		t.Errorf("no certificate: %v", err)
	}
}
