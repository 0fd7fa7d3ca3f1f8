package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine says where the figures come from.
func machine() string {
	var u unix.Utsname
	release := "?"
	if unix.Uname(&u) == nil {
		release = unix.ByteSliceToString(u.Release[:])
	}
	return fmt.Sprintf("%d cores, Linux %s, %s, load of the machine at the start: %s.\n\n", len(cores()), release, runtime.Version(), loadAverage())
}

// loadAverage is the machine's load over 1, 5 and 15 minutes.
func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(raw))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// cores are those that this process may run on.
func cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var out []int
	for i := range 64 * len(set) {
		if set.IsSet(i) {
			out = append(out, i)
		}
	}
	return out
}

// anyCore leaves the choice to the system.
const anyCore = -1

// serverCore and loadCore keep a server and its load generator apart; with one core there is no choice.
func serverCore() int {
	if c := cores(); len(c) > 1 {
		return c[0]
	}
	return anyCore
}

func loadCore() int {
	if c := cores(); len(c) > 1 {
		return c[1]
	}
	return anyCore
}

// onCore calls start, whose child processes inherit the core.
func onCore(core int, start func() error) error {
	if core == anyCore {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	return start()
}

// fileSystem names what a directory lies on.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "disk"
	}
	switch st.Type {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.EXT4_SUPER_MAGIC:
		return "disk (ext4)"
	case unix.XFS_SUPER_MAGIC:
		return "disk (xfs)"
	case unix.BTRFS_SUPER_MAGIC:
		return "disk (btrfs)"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "disk (overlay)"
	}
	return "disk"
}
