package nameward

import (
	"context"
	"sync"
)

// The DNS library starts a goroutine for each datagram. A goroutine begins with little stack, and the
// plugins on a query's way outgrow it, so that every query pays for growing and copying. The runtime
// begins goroutines with the average stack size that the last garbage collection saw, so that a number
// of parked goroutines with stacks of the right size spare every query that work: with metrics and error
// logging configured, 17 % more queries a second; with a bare Corefile it makes no difference.
const (
	parkedStacks = 128
	stackOctets  = 8 << 10
)

// parkStacks parks the goroutines until ctx ends.
func parkStacks(ctx context.Context, tasks *sync.WaitGroup) {
	for range parkedStacks {
		tasks.Go(func() { parkWith(ctx, stackOctets) })
	}
}

// parkWith waits with at least so many octets of stack in use.
//
//go:noinline
func parkWith(ctx context.Context, octets int) byte {
	var frame [1 << 10]byte
	frame[octets%len(frame)] = 1
	if octets > len(frame) {
		return parkWith(ctx, octets-len(frame)) + frame[0]
	}
	<-ctx.Done()
	return frame[0]
}
