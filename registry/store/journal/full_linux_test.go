package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk is a directory on a file system of its own.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("nameward", dir, "tmpfs", 0, "size=8m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mounting a small disk, which takes root: %v", err)
		}
		t.Skipf("mounting a small disk, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// TestFullDisk: what was acknowledged stays while the disk is full, and it goes on when there is room.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	path, ballast := filepath.Join(dir, "journal.db"), filepath.Join(dir, "ballast")
	writeFile(t, ballast, make([]byte, 3<<20))
	j := open(t, path)
	defer func() { _ = j.Close() }() // before the disk goes
	batch := strings.Repeat("b", 16<<10)
	appendAll(t, j, batch)
	checkpoint(t, j, 1, "A")
	want := contents{base: []string{"A"}}
	var err error
	for err == nil && len(want.log) < 1000 {
		if _, err = j.Append([]byte(batch)); err == nil {
			want.log = append(want.log, batch)
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Fatalf("after %d batches: %v", len(want.log), err)
	}
	for range 3 {
		if _, err := j.Append([]byte(batch)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Append on a full disk: %v", err)
		}
	}
	checkContents(t, j, want)
	if err := j.Checkpoint(context.Background(), j.Last(), chunksOf(100, 64<<10)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Checkpoint on a full disk: %v", err)
	}
	checkContents(t, j, want)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	checkContents(t, j, want)
	if _, err := j.Append([]byte(batch)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Append on a full disk: %v", err)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, batch, "last")
	want.log = append(want.log, batch, "last")
	checkContents(t, j, want)
	checkpoint(t, j, j.Last(), "all")
	want = contents{base: []string{"all"}}
	checkContents(t, j, want)
	checkBuckets(t, j, 1, 0)
	_ = j.Close()
	j = open(t, path)
	checkContents(t, j, want)
}
