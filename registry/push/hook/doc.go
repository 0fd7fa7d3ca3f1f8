// Package hook tells a change to a program: one run for all roles that moved, with a [notice] as one line of JSON on
// its standard input. Exit code 0 says that the change has arrived.
//
// The program is started as an argv, without a shell, in a process group of its own, with PATH as its whole environment
// (and SYSTEMROOT on Windows). When its time is over the group gets SIGTERM and soon afterwards SIGKILL; on Windows the
// program alone is ended. Its standard output goes nowhere. Of its standard error the last line becomes the reason of a
// failure.
//
// On Linux the program is ended, too, when nameward is killed. Elsewhere, and where it has started others, what it does may
// come late then: it does well to leave an epoch alone that is less than one that it has seen.
//
// [notice]: https://pkg.go.dev/github.com/nameward/nameward/registry/push/notice
package hook
