// Package follow tells what is in a set of files, now and after every change. It is the only importer
// of fsnotify.
//
// The data path is
//
//	directory event | slow poll -> stat, read -> settled? -> really different? -> the caller's function
//
// One watcher serves any number of files. It watches directories, because a file that is replaced by
// rename, or deleted and made again, is another file: the file's own directory, that of every symbolic
// link on the way to it (Kubernetes swaps ..data), and where something on the way is missing, the
// directory in which it must appear. Where no events come, on NFS or after a queue overflow, a poll
// finds the change.
//
// A writer may be seen in the middle of its work. Content that may be a part, an empty file and a
// missing one are therefore looked at again after a short time and reported only if they stay so.
// Content that ends in a newline and came by rename is reported at once.
//
// [Follower.Set] may be called from any goroutine, also from several; the caller's function is called
// from the one in [Follower.Run], one call at a time.
package follow
