package nameward

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
)

// TestParkedStacksEnd: they wait, and end with their owner.
func TestParkedStacksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		parkStacks(ctx, &tasks)
		ended := make(chan struct{})
		go func() { tasks.Wait(); close(ended) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("nobody waits")
		default:
		}
		cancel()
		<-ended
	})
}
