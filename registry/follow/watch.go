package follow

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// place is an entry of a directory.
type place struct{ dir, name string }

func (p place) path() string { return filepath.Join(p.dir, p.name) }

// watchedDir is a directory that the watcher is asked to watch.
type watchedDir struct {
	users int
	info  fs.FileInfo // of the directory that is watched; nil: none is
	round int         // of the poll in which it was looked at last
	// refused: the watcher cannot watch it, so that it is left to the poll, which also tries again.
	refused, warned bool
}

// maxSteps bounds the walk along symbolic links, as the kernel does.
const maxSteps = 255

// resolve finds the way to a file and watches it. Something may appear on the way between finding it
// and watching it, so that it looks until the way stays the same. plain, if not nil, says of directories
// met in the same pass that no link leads to them.
func (f *Follower) resolve(t *tracked, plain map[string]bool) {
	if f.watcher == nil {
		return
	}
	for range 10 {
		way := way(t.abs, plain)
		if slices.Equal(way, t.places) && f.watching(way) {
			return
		}
		f.watch(t, way)
	}
}

func (f *Follower) watching(way []place) bool {
	for _, p := range way {
		if d := f.dirs[p.dir]; d == nil || d.info == nil && !d.refused {
			return false
		}
	}
	return true
}

// way returns the entries that lead to a file and may be exchanged: each symbolic link, and the file
// or the first thing that is missing. With plain it takes the file itself for no link.
func way(path string, plain map[string]bool) []place {
	dir := filepath.Dir(path)
	if plain == nil {
		return walk(path)
	}
	if _, known := plain[dir]; !known {
		real, err := filepath.EvalSymlinks(dir)
		plain[dir] = err == nil && real == dir
	}
	if plain[dir] {
		return []place{{dir, filepath.Base(path)}}
	}
	return walk(path)
}

func walk(path string) []place {
	volume := filepath.VolumeName(path)
	cur := volume + string(filepath.Separator)
	rest := parts(path[len(volume):])
	var way []place
	for steps := 0; len(rest) > 0 && steps < maxSteps; steps++ {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case ".":
			continue
		case "..":
			cur = filepath.Dir(cur)
			continue
		}
		here := place{cur, name}
		info, err := os.Lstat(here.path())
		switch {
		case err != nil || len(rest) == 0 && info.Mode()&fs.ModeSymlink == 0:
			return append(way, here)
		case info.Mode()&fs.ModeSymlink == 0:
			cur = here.path()
			continue
		}
		way = append(way, here)
		target, err := os.Readlink(here.path())
		if err != nil {
			return way
		}
		if filepath.IsAbs(target) {
			volume = filepath.VolumeName(target)
			cur = volume + string(filepath.Separator)
			target = target[len(volume):]
		}
		rest = append(parts(target), rest...)
	}
	return way
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == filepath.Separator || r == '/' })
}

// watch makes way the entries that a file depends on.
func (f *Follower) watch(t *tracked, way []place) {
	old := t.places
	for _, p := range way {
		f.entries[p.path()] = append(f.entries[p.path()], t)
		f.useDir(p.dir)
	}
	for _, p := range old {
		path := p.path()
		list := f.entries[path]
		if i := slices.Index(list, t); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
		if len(list) == 0 {
			delete(f.entries, path)
		} else {
			f.entries[path] = list
		}
		f.leaveDir(p.dir)
	}
	t.places = way
}

func (f *Follower) useDir(dir string) {
	d := f.dirs[dir]
	if d == nil {
		d = &watchedDir{}
		f.dirs[dir] = d
	}
	d.users++
	if d.info == nil && !d.refused {
		f.watchDir(dir, d)
	}
}

func (f *Follower) leaveDir(dir string) {
	d := f.dirs[dir]
	if d == nil {
		return
	}
	if d.users--; d.users > 0 {
		return
	}
	delete(f.dirs, dir)
	if d.info != nil {
		_ = f.watcher.Remove(dir)
	}
}

// watchDir asks for a directory's events.
func (f *Follower) watchDir(dir string, d *watchedDir) {
	err := f.watcher.Add(dir)
	d.refused = err != nil && !errors.Is(err, fs.ErrNotExist)
	if d.refused && !d.warned {
		d.warned = true
		f.log.Warn().Err(err).Str("dir", dir).Msg("no file events, the directory is polled only")
	}
	if err != nil {
		return
	}
	if d.info, err = os.Stat(dir); err != nil {
		d.info = nil
		_ = f.watcher.Remove(dir)
	}
}

// lostDir returns the files that lead through a watched directory which was removed or moved away.
func (f *Follower) lostDir(dir string) []*tracked {
	d := f.dirs[dir]
	if d == nil {
		return nil
	}
	_ = f.watcher.Remove(dir)
	d.info = nil
	return f.through(dir)
}

func (f *Follower) through(dir string) []*tracked {
	var out []*tracked
	for _, t := range f.order {
		if slices.ContainsFunc(t.places, func(p place) bool { return p.dir == dir }) {
			out = append(out, t)
		}
	}
	return out
}

// dirsMoved looks, once in a round of the poll, whether the directories on the way are still those
// that are watched: no event tells that one far above was exchanged.
func (f *Follower) dirsMoved(t *tracked) bool {
	if f.watcher == nil {
		return false
	}
	moved := false
	for _, p := range t.places {
		d := f.dirs[p.dir]
		if d == nil || d.round == f.rounds {
			continue
		}
		d.round = f.rounds
		if d.refused {
			f.watchDir(p.dir, d)
			continue
		}
		if info, err := os.Stat(p.dir); d.info == nil || err != nil || !os.SameFile(info, d.info) {
			_ = f.watcher.Remove(p.dir)
			d.info = nil
			moved = true
		}
	}
	return moved
}
