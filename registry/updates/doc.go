// Package updates is the book of the DNS updates (RFC 2136) that are not, or not of themselves, published: those
// that were quietly accepted and quarantined, those of a role's member that are parked, refused ones and those
// without effect.
//
//	update -> policy: not to be published -> Note -> table in memory -> one append for all that is new
//	                                      -> Flush: on stable storage -> NOERROR
//
// [Book.Run] is the only one that writes. All else may be called from any goroutine, and but for Flush nothing
// waits for the disk. While that takes nothing, entries stay in memory, within the limits of the table.
package updates
