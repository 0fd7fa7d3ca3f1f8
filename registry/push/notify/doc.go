// Package notify tells the secondaries of owned zones about new serials (RFC 1996), and proves that they have them.
//
//	zones superseded -> one worker for each secondary: a NOTIFY for the newest serial of each zone, again and again
//	    -> acknowledged -> board of the secondary
//	role on its way -> Driver.Push: the zones stand for it; waits for the board -> sent, acked
//	    -> Driver.Verify: SOA of the zones, A and AAAA of the names -> right, or the secondary is told once more
//
// The [Sender] follows the zones by level, whatever moves them: a role, a dynamic update, a new configuration. A
// [Driver] sends nothing itself: it looks at how far the worker is with the serial that has the role's state.
// With a key, NOTIFY and questions are signed and what comes back must be (TSIG, RFC 8945).
//
// A Sender's methods may be called by any goroutine, those of one Driver by one at a time.
package notify
