// Package watch is a client of DNS Push Notifications (RFC 8765): it subscribes to names and tells what changes there,
// until it is stopped. A connection that is lost is made again.
//
//	connect -> Keepalive -> SUBSCRIBE -> PUSH ... -> Event ...
//	   ^------------- lost: a pause, or the Retry Delay that the server asked for
//
// A [Client] is used by one goroutine.
package watch
