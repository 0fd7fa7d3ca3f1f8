package follow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

// watched is a Follower at work and what it said.
type watched struct {
	*Follower
	t    *testing.T
	said chan File
}

// slowPoll is so slow that a test which passes has seen events.
const slowPoll = time.Hour

func start(t *testing.T, poll time.Duration, paths ...string) *watched {
	t.Helper()
	w := &watched{t: t, said: make(chan File, 10_000)}
	w.Follower = New(zerolog.Nop(), func(f File) { w.said <- f })
	w.Poll = poll
	w.Set(paths)
	w.run()
	return w
}

func (w *watched) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(ctx) })
	w.t.Cleanup(func() { cancel(); wg.Wait() })
}

// expect waits for one report.
func (w *watched) expect(path, content string) File {
	w.t.Helper()
	f := w.wait()
	if f.Path != path || f.Err != nil || string(f.Content) != content {
		w.t.Fatalf("reported %s %q, %v; want %s %q", f.Path, f.Content, f.Err, path, content)
	}
	return f
}

func (w *watched) expectErr(path string, want error) {
	w.t.Helper()
	if f := w.wait(); f.Path != path || !errors.Is(f.Err, want) {
		w.t.Fatalf("reported %s %q, %v; want %s, %v", f.Path, f.Content, f.Err, path, want)
	}
}

func (w *watched) wait() File {
	w.t.Helper()
	select {
	case f := <-w.said:
		return f
	case <-time.After(10 * time.Second):
		w.t.Fatal("nothing is reported")
		return File{}
	}
}

// expectNothing checks that nothing is said for a while that is long against every settling time.
func (w *watched) expectNothing() {
	w.t.Helper()
	select {
	case f := <-w.said:
		w.t.Fatalf("reported %s %q, %v; want nothing", f.Path, f.Content, f.Err)
	case <-time.After(8 * settleTime):
	}
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t testing.TB, path, content string) {
	t.Helper()
	put(t, path+".new", content)
	do(t, os.Rename(path+".new", path))
}

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWaysToChangeAFile(t *testing.T) {
	for _, poll := range []time.Duration{slowPoll, 20 * time.Millisecond} {
		t.Run(fmt.Sprint("poll ", poll), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "mailbox.role")
			put(t, path, "ex1\n")
			begin := start
			if poll != slowPoll {
				begin = pollOnly
			}
			w := begin(t, poll, path)
			w.expect(path, "ex1\n")

			rename(t, path, "ex2\n")
			w.expect(path, "ex2\n")
			put(t, path, "ex3\n")
			w.expect(path, "ex3\n")
			do(t, os.Remove(path))
			w.expectErr(path, fs.ErrNotExist)
			put(t, path, "ex1") // no newline
			w.expect(path, "ex1")
			do(t, os.Chmod(path, 0o644))
			rename(t, path, "ex1") // another file, the same content
			w.expectNothing()
			do(t, os.Remove(path))
			do(t, os.Mkdir(path, 0o700))
			if f := w.wait(); f.Err == nil {
				t.Fatalf("a directory: %q", f.Content)
			} else if errors.Is(f.Err, fs.ErrNotExist) {
				w.wait()
			}
			do(t, os.Remove(path))
			w.expectErr(path, fs.ErrNotExist)
		})
	}
}

// pollOnly is a Follower without events, as on a network file system.
func pollOnly(t *testing.T, poll time.Duration, paths ...string) *watched {
	t.Helper()
	w := &watched{t: t, said: make(chan File, 10_000)}
	w.Follower = New(zerolog.Nop(), func(f File) { w.said <- f })
	w.Poll = poll
	w.newWatcher = func() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") }
	w.Set(paths)
	w.run()
	return w
}

func TestDirectoryComesAndGoes(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	path := filepath.Join(dir, "mailbox.role")
	w := start(t, slowPoll, path)
	w.expectErr(path, fs.ErrNotExist)
	for i := range 5 {
		do(t, os.MkdirAll(dir, 0o700))
		put(t, path, fmt.Sprintf("ex%d\n", i))
		w.expect(path, fmt.Sprintf("ex%d\n", i))
		do(t, os.RemoveAll(filepath.Join(root, "a")))
		w.expectErr(path, fs.ErrNotExist)
	}
}

func TestDirectoryIsRenamed(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "run")
	path := filepath.Join(dir, "mailbox.role")
	do(t, os.Mkdir(dir, 0o700))
	put(t, path, "ex1\n")
	w := start(t, slowPoll, path)
	w.expect(path, "ex1\n")
	do(t, os.Mkdir(filepath.Join(root, "new"), 0o700))
	put(t, filepath.Join(root, "new", "mailbox.role"), "ex2\n")
	do(t, os.Rename(dir, filepath.Join(root, "old")))
	do(t, os.Rename(filepath.Join(root, "new"), dir))
	w.expect(path, "ex2\n")
	rename(t, path, "ex3\n")
	w.expect(path, "ex3\n")
}

// TestAncestorIsRenamed has a change that no event tells of.
func TestAncestorIsRenamed(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "top", "run", "mailbox.role")
	do(t, os.MkdirAll(filepath.Dir(path), 0o700))
	put(t, path, "ex1\n")
	w := start(t, 50*time.Millisecond, path)
	w.expect(path, "ex1\n")
	do(t, os.MkdirAll(filepath.Join(root, "next", "run"), 0o700))
	put(t, filepath.Join(root, "next", "run", "mailbox.role"), "ex2\n")
	do(t, os.Rename(filepath.Join(root, "top"), filepath.Join(root, "old")))
	do(t, os.Rename(filepath.Join(root, "next"), filepath.Join(root, "top")))
	if f := w.wait(); f.Err != nil {
		w.expect(path, "ex2\n")
	}
	rename(t, path, "ex3\n")
	w.expect(path, "ex3\n")
}

func TestSymbolicLinks(t *testing.T) {
	dir := t.TempDir()
	version := func(name, content string) {
		do(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		put(t, filepath.Join(dir, name, "mailbox.role"), content)
	}
	swap := func(name string) {
		do(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		do(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	path := filepath.Join(dir, "mailbox.role")
	version("..2026_01", "ex1\n")
	swap("..2026_01")
	do(t, os.Symlink(filepath.Join("..data", "mailbox.role"), path))
	w := start(t, slowPoll, path)
	w.expect(path, "ex1\n")
	for i := range 3 {
		name := fmt.Sprintf("..2026_%d", i+10)
		version(name, fmt.Sprintf("ex%d\n", i+2))
		swap(name)
		w.expect(path, fmt.Sprintf("ex%d\n", i+2))
	}
	// The file at the end of the links is written to.
	rename(t, filepath.Join(dir, "..2026_12", "mailbox.role"), "ex9\n")
	w.expect(path, "ex9\n")
	// A loop is an error, not an endless walk.
	do(t, os.Remove(path))
	do(t, os.Symlink("mailbox.role", path))
	for f := w.wait(); errors.Is(f.Err, fs.ErrNotExist); f = w.wait() {
	}
	rename(t, path, "ex1\n")
	w.expect(path, "ex1\n")
}

func TestHalfWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailbox.role")
	put(t, path, "holder: ex1\nepoch: 1\n")
	w := start(t, slowPoll, path)
	w.expect(path, "holder: ex1\nepoch: 1\n")

	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	do(t, err)
	for _, part := range []string{"hold", "er: ex2\n", "epoch", ": 2\n"} {
		_, err := file.WriteString(part)
		do(t, err)
		time.Sleep(inPlaceTime / 10)
	}
	do(t, file.Close())
	w.expect(path, "holder: ex2\nepoch: 2\n")
	w.expectNothing()
}

func TestEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailbox.role")
	put(t, path, "ex1\n")
	w := start(t, slowPoll, path)
	w.expect(path, "ex1\n")
	before := time.Now()
	put(t, path, "")
	w.expect(path, "")
	if took := time.Since(before); took < emptyTime {
		t.Errorf("an empty file was reported after %v, want %v", took, emptyTime)
	}
	put(t, path, "")
	put(t, path, "ex2\n")
	w.expect(path, "ex2\n")
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailbox.role")
	put(t, path, string(make([]byte, defaultMax+1)))
	w := start(t, slowPoll, path)
	if f := w.wait(); f.Err == nil {
		t.Fatalf("%d octets were read", len(f.Content))
	}
	rename(t, path, "ex1\n")
	w.expect(path, "ex1\n")
}

func TestTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailbox.role")
	put(t, path, "ex1\n")
	w := &watched{t: t, said: make(chan File, 100)}
	w.Follower = New(zerolog.Nop(), func(f File) { w.said <- f })
	w.Touched = true
	w.Set([]string{path})
	w.run()
	w.expect(path, "ex1\n")
	later := time.Now().Add(time.Minute).Truncate(time.Second)
	do(t, os.Chtimes(path, later, later))
	if f := w.expect(path, "ex1\n"); !f.ModTime.Equal(later) {
		t.Errorf("written at %v, want %v", f.ModTime, later)
	}
}

func TestSet(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i := range 4 {
		paths = append(paths, filepath.Join(dir, fmt.Sprint("f", i)))
		put(t, paths[i], fmt.Sprintf("ex%d\n", i))
	}
	w := start(t, slowPoll, paths[0], paths[1], paths[1])
	w.expect(paths[0], "ex0\n")
	w.expect(paths[1], "ex1\n")
	w.Set(paths[1:3])
	w.expect(paths[2], "ex2\n")
	rename(t, paths[0], "ex9\n") // not followed any more
	rename(t, paths[1], "ex9\n")
	w.expect(paths[1], "ex9\n")
	w.Set(nil)
	w.Set(paths[:2]) // a file that was dropped in between is new
	w.expect(paths[0], "ex9\n")
	w.expect(paths[1], "ex9\n")
	rename(t, paths[2], "ex8\n")
	w.expectNothing()
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "mailbox.role", "ex1\n")
	w := start(t, slowPoll, "mailbox.role")
	w.expect("mailbox.role", "ex1\n")
	rename(t, "mailbox.role", "ex2\n")
	w.expect("mailbox.role", "ex2\n")
}

// TestOverflow loses events and looks at everything when it is told so.
func TestOverflow(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	put(t, paths[0], "ex1\n")
	put(t, paths[1], "ex1\n")
	var got []string
	f := New(zerolog.Nop(), func(f File) { got = append(got, f.Path+" "+string(f.Content)) })
	f.Whole = func([]byte) bool { return true }
	f.Set(paths)
	do(t, f.apply(t.Context()))
	rename(t, paths[1], "ex2\n")
	f.handleError(fsnotify.ErrEventOverflow)
	want := []string{paths[0] + " ex1\n", paths[1] + " ex1\n", paths[1] + " ex2\n"}
	if !slices.Equal(got, want) {
		t.Errorf("reported %q, want %q", got, want)
	}
}

// TestManyWriters ends with the last content of every file, whatever was missed on the way.
func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	const files, rounds = 50, 40
	var paths []string
	for i := range files {
		paths = append(paths, filepath.Join(dir, fmt.Sprint("f", i)))
	}
	w := start(t, time.Second, paths...)
	var wg sync.WaitGroup
	for i, path := range paths {
		wg.Go(func() {
			for n := range rounds {
				switch content := fmt.Sprintf("ex%d\n", n); (n + i) % 3 {
				case 0:
					rename(t, path, content)
				case 1:
					put(t, path, content)
				case 2:
					_ = os.Remove(path)
					put(t, path, content)
				}
			}
		})
	}
	wg.Wait()
	last := map[string]string{}
	deadline := time.After(10 * time.Second)
	for done := 0; done < files; {
		select {
		case f := <-w.said:
			last[f.Path] = string(f.Content)
			done = 0
			for _, content := range last {
				if content == fmt.Sprintf("ex%d\n", rounds-1) {
					done++
				}
			}
		case <-deadline:
			t.Fatalf("at the end: %v", last)
		}
	}
}

func TestNoWatchIsLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "mailbox.role")
	w := start(t, slowPoll, path)
	w.expectErr(path, fs.ErrNotExist)
	do(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	put(t, path, "ex1\n")
	w.expect(path, "ex1\n")
	other := filepath.Join(t.TempDir(), "other")
	put(t, other, "ex1\n")
	w.Set([]string{other})
	w.expect(other, "ex1\n")
	if got, want := w.watcher.WatchList(), []string{filepath.Dir(other)}; !slices.Equal(got, want) {
		t.Errorf("watched: %v, want %v", got, want)
	}
}

// BenchmarkRename is the time from the rename of a complete file to the report.
func BenchmarkRename(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "mailbox.role")
	put(b, path, "ex0\n")
	said := make(chan time.Time, 1)
	f := New(zerolog.Nop(), func(File) { said <- time.Now() })
	f.Set([]string{path})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	<-said
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		put(b, path+".new", fmt.Sprintf("ex%d\n", i+1))
		before := time.Now()
		do(b, os.Rename(path+".new", path))
		took = append(took, (<-said).Sub(before))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
}

func BenchmarkStart100000(b *testing.B) {
	dir := b.TempDir()
	paths := make([]string, 100_000)
	for i := range paths {
		paths[i] = filepath.Join(dir, fmt.Sprintf("role-%06d", i))
		put(b, paths[i], "ex1\n")
	}
	for b.Loop() {
		n := 0
		f := New(zerolog.Nop(), func(File) { n++ })
		f.Set(paths)
		w, err := fsnotify.NewBufferedWatcher(eventsCap)
		do(b, err)
		f.watcher = w
		do(b, f.apply(b.Context()))
		_ = w.Close()
		if n != len(paths) {
			b.Fatal(n)
		}
	}
}
