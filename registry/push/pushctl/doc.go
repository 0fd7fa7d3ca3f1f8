// Package pushctl is the part of the control API that is about pushing changes to targets. registry/control knows
// nothing of it; the handlers are mounted there, and the client is one over the same socket.
//
//	GET  /v1/push?target=&role=&done=&history=   -> Status
//	POST /v1/push/wait                           WaitRequest   -> WaitReply, when it is done or its time is over
//	POST /v1/push/retry                          RetryRequest  -> RetryReply
//
// All of it may be called at any time and from any goroutine.
package pushctl
