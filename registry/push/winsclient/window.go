package winsclient

import (
	"context"
	"sync"
	"time"
)

const (
	// maxOutstanding is the number of requests that the server has to answer at one time. Its receive buffer holds
	// about 160 if nobody made it larger, and there may be another guard.
	maxOutstanding   = 64
	firstOutstanding = 8
	leastOutstanding = 2
	// calm is how much longer an answer may take than the fastest one did. A server that writes every change to its
	// disk takes longer for each the more there are, and others want to ask it too.
	calm = 100 * time.Millisecond
	// mostExpected bounds what a slow server is given for an answer before it is told again.
	mostExpected = 1500 * time.Millisecond
)

// window bounds the requests that are not answered: by as many as the server answers soon.
type window struct {
	mu      sync.Mutex
	limit   float64
	out     int
	waiting []chan struct{} // one for each who waits, the first first
	fastest time.Duration   // answer; 0: none was seen
	usual   time.Duration   // answer to what is written down
	shrunk  time.Time
}

// expected is how long an answer takes at the most, if nothing is lost. To be asked twice costs a server little. To be
// told twice it may write it to its disk twice, and be slower for it.
func (w *window) expected(told bool) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.fastest + calm + calm/2
	if told {
		d = max(d, 2*w.usual)
	}
	return min(d, mostExpected)
}

// wrote takes note of how long the answer to what is written down took.
func (w *window) wrote(took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.usual += (took - w.usual) / 8
}

// take waits for its turn.
func (w *window) take(ctx context.Context) error {
	w.mu.Lock()
	if ctx.Err() == nil && w.out < int(w.limit) {
		w.out++
		w.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	w.waiting = append(w.waiting, turn)
	w.mu.Unlock()
	select {
	case <-turn:
		if ctx.Err() == nil {
			return nil
		}
		w.give(0, false)
	case <-ctx.Done():
		w.leave(turn)
	}
	return context.Cause(ctx)
}

// leave gives a turn up that may have come meanwhile.
func (w *window) leave(turn chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.waiting {
		if other == turn {
			w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
			return
		}
	}
	w.next()
}

// give ends a turn that took so long; 0 says nothing of the server.
func (w *window) give(took time.Duration, answered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answered && (w.fastest == 0 || took < w.fastest) {
		w.fastest = took
	}
	switch now := time.Now(); {
	case (took > w.fastest+calm || took > 0 && !answered) && now.Sub(w.shrunk) > took: // those that were under way then are no more news
		w.limit, w.shrunk = max(leastOutstanding, w.limit*3/4), now
	case answered && took <= w.fastest+calm:
		w.limit = min(maxOutstanding, w.limit+0.5)
	}
	w.next()
}

// next ends a turn and begins those that there is room for.
func (w *window) next() {
	w.out--
	for len(w.waiting) > 0 && w.out < int(w.limit) {
		close(w.waiting[0])
		w.waiting = w.waiting[1:]
		w.out++
	}
}
