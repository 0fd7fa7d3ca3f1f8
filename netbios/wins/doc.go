// Package wins is a WINS database: the records of a NetBIOS name server (RFC 1001, Section 11.1.1; MS-WINSRA),
// the rules by which nodes register, refresh and release names, and what was asked for and is not
// published.
//
//	request -> Guard: what of it may be published -> queue, fair to sources -> writer: rules, batch
//	        -> Journal: on stable storage -> new Snapshot, stored once -> answers
//
// There is one writer, the goroutine in [Database.Run]. It takes all that waits, decides it on a copy of
// what changes, appends one batch to the journal and only then publishes and answers: an acknowledged
// registration, refresh or release survives a kill. Readers call [Database.Snapshot] from any goroutine and
// never lock. A change costs what it touches, whatever the number of records is.
//
// A name that somebody else has is not given away before the recorded addresses were asked (a challenge);
// meanwhile the claimant is told to wait. Nothing is done on the word of a packet that does not come from
// an address of the record.
//
// Names that belong to a role are not kept as records. What their nodes register is parked or
// quarantined ([Held]), and the role's state alone decides what is answered.
//
// Replication (package wrepl) sees records by owner and version ID: [Snapshot.Versions], [Snapshot.Records], and
// [Snapshot.Moved] for news. [Database.Apply] takes in what a partner has sent: it meets the record that is here by one
// pure function, and the guard judges each of its addresses as if the node had registered here. What is kept out is seen
// and held, and asked for again when the guard may be of another mind. For partners alone there are records of the
// names of roles, which [Database.SetRoles] keeps in step with the roles' state.
//
// A replica is answered for Timers.Verify after its owner's last word; after half of that [Snapshot.Next] asks for
// everything once more. It never becomes a tombstone here: that is the owner's word.
//
// The rules are those of Windows 2003 as far as they are safe; where they are not, the code says so.
package wins
