package replace

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "export")
	want := func(content string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v, want %q", got, err, content)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("left beside it: %v, %v", left, err)
		}
	}
	text := func(s string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			io.WriteString(w, s)
			return err
		}
	}
	for _, content := range []string{"old", "new"} {
		if err := File(path, text(content, nil)); err != nil {
			t.Fatal(err)
		}
		want(content)
	}
	failed := errors.New("it broke off")
	if err := File(path, text("half", failed)); !errors.Is(err, failed) {
		t.Error(err)
	}
	want("new")
	if err := File(filepath.Join(dir, "none", "export"), text("", nil)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is missing: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := File(filepath.Join(dir, "taken"), text("", nil)); err == nil {
		t.Error("a directory was replaced")
	}
	os.Remove(filepath.Join(dir, "taken"))
	want("new")
}
