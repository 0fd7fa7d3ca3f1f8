// Package zone keeps the owned zones: what the state of roles puts into them, what dynamic updates
// (RFC 2136) add to that, a serial for each state of the two together, and the differences between
// serials, from which IXFR (RFC 1995) is served.
//
//	update   -> prerequisites -> changes -> one append for all that wait -> new View -> result
//	registry -> snapshot superseded -> what differs in each zone -> the same append -> new View
//	query    -> View of the zone -> records; transfer -> View -> all records, or the differences
//
// What belongs to a role, a node or a name server is answered from the registry alone, and updates do not
// touch it. Whether an update may be made is the caller's matter: it asks the policy before. Its form is looked at
// before as well, by [Check], and all of it before the prerequisites.
//
// One goroutine writes, [DB.Run]. A [View] never changes and may be read by anybody for as long as they
// like. A result says NOERROR when the update is on stable storage. A serial never stands for two contents, also
// when the disk takes nothing and a kill follows: see outage.go.
package zone
