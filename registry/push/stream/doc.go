// Package stream serves DNS Push Notifications, RFC 8765, in sessions of DNS Stateful Operations, RFC 8490, over TLS:
// clients subscribe to names and are told at once what changes there.
//
//	connection -> TLS -> session: request -> response; SUBSCRIBE -> topic of the name
//	snapshot or view of a zone superseded -> hub: which names changed -> their topics -> sessions that subscribed
//	    -> what each was told last against what stands now -> PUSH
//
// What is pushed is what DNS answers at the name itself: the registry's records and those that updates registered, from
// the same snapshot and the same views. Aliases are not followed and wildcards not expanded (RFC 8765, Section 6.2.1).
//
// Nothing is queued for a client. A session knows which of its names changed, and what it sends when it gets to write is
// the difference between what the client was told and what stands then: a slow client gets the latest state once and
// never an old one late, and one that takes nothing for a while is dropped. A change costs what changed and who
// subscribed to it.
//
// One goroutine runs the [Server]; its other methods may be called by any.
package stream
