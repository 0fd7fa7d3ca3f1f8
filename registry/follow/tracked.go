package follow

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"
)

// tracked is one file.
type tracked struct {
	path, abs string
	places    []place // the directory entries that lead to it, in order
	said      *sight  // what was reported last; nil: nothing yet
	pending   *sight  // what was seen and may not stay
	since     time.Time
	checkAt   time.Time // when pending is looked at again
	info      fs.FileInfo
	inPlace   bool // it may have been written in place since it was reported
}

// sight is what one look at a file gave.
type sight struct {
	content []byte // dropped when it was reported
	sum     uint64
	size    int
	modTime time.Time
	err     error
}

// same reports whether two looks saw the same. The text of an error tells errors apart.
func (s *sight) same(o *sight) bool {
	if s == nil || o == nil {
		return s == o
	}
	if (s.err == nil) != (o.err == nil) || s.err != nil && s.err.Error() != o.err.Error() {
		return false
	}
	return s.sum == o.sum && s.size == o.size
}

var seed = maphash.MakeSeed()

// read looks at a file. The times and numbers are those from before the reading, so that a write in
// between shows as a difference later.
func (f *Follower) read(t *tracked) (*sight, fs.FileInfo) {
	info, err := os.Stat(t.abs)
	return f.readWith(t, info, err)
}

// readWith is read for a file whose information was asked for already.
func (f *Follower) readWith(t *tracked, info fs.FileInfo, err error) (*sight, fs.FileInfo) {
	if err != nil {
		return &sight{err: err}, nil
	}
	content, err := f.content(t.abs, info)
	if err != nil {
		return &sight{err: err}, info
	}
	return &sight{content: content, sum: maphash.Bytes(seed, content), size: len(content), modTime: info.ModTime()}, info
}

func (f *Follower) content(path string, info fs.FileInfo) ([]byte, error) {
	most := f.MaxSize
	if most == 0 {
		most = defaultMax
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d octets, %d is the most", path, info.Size(), most)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	// One octet more than it should have lets the first read see the end.
	content := make([]byte, 0, info.Size()+1)
	for {
		n, err := file.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case errors.Is(err, io.EOF):
			return content, nil
		case err != nil:
			return nil, err
		case n > 0 && int64(len(content)) == info.Size():
			return content, nil // what is added from now on shows as a difference
		case int64(len(content)) > most:
			return nil, fmt.Errorf("%s has more than %d octets", path, most)
		case len(content) == cap(content):
			content = append(content, 0)[:len(content)]
		}
	}
}

// begin takes up new files. It reads them side by side, because there may be very many, and reports
// them in order.
func (f *Follower) begin(ctx context.Context, added []*tracked) {
	const batch = 1024
	plain := map[string]bool{}
	for from := 0; from < len(added) && ctx.Err() == nil; from += batch {
		some := added[from:min(from+batch, len(added))]
		for _, t := range some {
			f.resolve(t, plain)
		}
		sights, infos := f.readAll(some)
		now := time.Now()
		for i, t := range some {
			if sights[i] == nil { // a link, which resolve has to follow
				f.resolve(t, nil)
				sights[i], infos[i] = f.read(t)
			}
			t.info = infos[i]
			f.judge(t, sights[i], now)
		}
	}
}

// readAll reads files of which it leaves out the symbolic links.
func (f *Follower) readAll(some []*tracked) ([]*sight, []fs.FileInfo) {
	sights, infos := make([]*sight, len(some)), make([]fs.FileInfo, len(some))
	var wg sync.WaitGroup
	workers := min(len(some), 2*runtime.GOMAXPROCS(0))
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(some); i += workers {
				info, err := os.Lstat(some[i].abs)
				if err == nil && info.Mode()&fs.ModeSymlink != 0 {
					continue
				}
				sights[i], infos[i] = f.readWith(some[i], info, err)
			}
		})
	}
	wg.Wait()
	return sights, infos
}

// look finds the way to a file anew, reads it and decides what to say.
func (f *Follower) look(t *tracked, now time.Time) {
	f.resolve(t, nil)
	s, info := f.read(t)
	t.info = info
	f.judge(t, s, now)
}

// judge reports what was seen, or keeps it for a second look, or passes over it.
func (f *Follower) judge(t *tracked, s *sight, now time.Time) {
	if s.same(t.said) {
		f.drop(t)
		if f.Touched && s.err == nil && !s.modTime.Equal(t.said.modTime) {
			f.report(t, s)
		}
		return
	}
	if !s.same(t.pending) {
		t.since = now
	}
	t.pending = s // the later one has the later time of writing
	wait := f.patience(t, s, now)
	if rest := wait - now.Sub(t.since); rest > 0 {
		t.checkAt = now.Add(min(rest, settleTime))
		f.settling[t] = true
		return
	}
	f.report(t, s)
}

// patience is how long a sight must stay before it is reported.
func (f *Follower) patience(t *tracked, s *sight, now time.Time) time.Duration {
	first := t.said == nil
	switch {
	case first && (s.err != nil || now.Sub(s.modTime) > emptyTime):
		return 0 // nobody is writing it
	case s.err != nil:
		return settleTime
	case s.size == 0:
		return emptyTime
	case s.content[s.size-1] != '\n':
		return settleTime
	case t.inPlace && !first && (f.Whole == nil || !f.Whole(s.content)):
		return inPlaceTime
	}
	return 0
}

func (f *Follower) drop(t *tracked) {
	delete(f.settling, t)
	t.pending, t.inPlace = nil, false
}

func (f *Follower) report(t *tracked, s *sight) {
	f.drop(t)
	out := File{Path: t.path, Content: s.content, ModTime: s.modTime, Err: s.err}
	s.content = nil
	t.said = s
	f.onChange(out)
}

// settle looks again at the files whose time has come.
func (f *Follower) settle(now time.Time) {
	for t := range f.settling {
		if !now.Before(t.checkAt) {
			f.look(t, now)
		}
	}
}

func (f *Follower) untilSettled() time.Duration {
	wait := time.Hour
	for t := range f.settling {
		wait = min(wait, time.Until(t.checkAt))
	}
	return max(0, wait)
}

// differs reports whether a file is not the one that was read last, without reading it.
func (f *Follower) differs(t *tracked) bool {
	info, err := os.Stat(t.abs)
	switch {
	case err != nil && t.said != nil && t.said.err != nil:
		return err.Error() != t.said.err.Error()
	case err != nil || t.info == nil:
		return true
	}
	return !os.SameFile(info, t.info) || info.Size() != t.info.Size() || !info.ModTime().Equal(t.info.ModTime()) || info.Mode() != t.info.Mode()
}
