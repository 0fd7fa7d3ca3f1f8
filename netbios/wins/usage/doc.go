// Package usage counts who still uses NetBIOS names, for the report that a site needs to leave WINS:
// which client asks for or registers which name, how often, when first and last, and whether it was
// found.
//
//	packet loop -> Recorder.Note -> a ring per socket -> Tracker.Run -> rows of (name, client, kind)
//	a row makes room -> sums by name and by client, with a sketch of the other half
//	rows, sums and sketches -> Report, Snapshot
//
// Memory is bounded whatever comes, as sources can be forged and names made up. The rows are counted by
// Space-Saving with a stated bound for everything that has no row; the numbers of different names and
// clients are HyperLogLog sketches. Names found have rows of their own, so that asking for random names
// takes no room from them. While there is room everything is exact, and the report says whether it is.
//
// Note may be called by any number of goroutines and costs some ten nanoseconds; it neither blocks nor
// allocates, and drops and counts what does not fit in the ring. A note is counted, and gets its time,
// when Run comes to it: within a second. Run is called once; all other methods may be called at any
// time, before, during and after it.
//
// Counts, bounds, First and Last survive a restart by Snapshot and Restore.
package usage
