package wins

import (
	"sync"
	"sync/atomic"
)

// queue holds the requests that wait for the writer, those of each source in a lane of its own. The
// writer takes from all lanes in turn, so that a flood from one address does not starve the others.
type queue struct {
	mu      sync.Mutex
	lanes   map[IPv4]*lane
	turn    []*lane // those that have something
	len     int
	waiting atomic.Int64  // len, for those who only want to know
	wake    chan struct{} // has a token when there is something
	spare   []*lane
}

type lane struct {
	source IPv4
	list   []*Request
}

// quantum is how many requests are taken from a lane before the next one has its turn.
const quantum = 8

func newQueue() *queue {
	return &queue{lanes: map[IPv4]*lane{}, wake: make(chan struct{}, 1)}
}

// push adds a request, or reports false when there is no room. One source has half of the room at the
// most. When several have filled it, there is as much again for those who have less than their share.
func (q *queue) push(r *Request, limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	source := IPv4Of(r.Source.Addr())
	l := q.lanes[source]
	share := limit / 2
	if q.len >= limit {
		share = limit / (len(q.lanes) + 1)
	}
	if q.len-limit >= limit || l != nil && len(l.list) >= max(1, share) {
		return false
	}
	if l == nil {
		l = q.lane(source)
	}
	l.list = append(l.list, r)
	q.len++
	q.waiting.Store(int64(q.len))
	q.signal()
	return true
}

func (q *queue) lane(source IPv4) *lane {
	l := &lane{}
	if n := len(q.spare); n > 0 {
		l, q.spare = q.spare[n-1], q.spare[:n-1]
	}
	l.source = source
	q.lanes[source] = l
	q.turn = append(q.turn, l)
	return l
}

// take appends up to limit requests to dst, in turns. What it leaves wakes the writer again.
func (q *queue) take(dst []*Request, limit int) []*Request {
	q.mu.Lock()
	defer q.mu.Unlock()
	for limit > 0 && len(q.turn) > 0 {
		l := q.turn[0]
		n := min(quantum, limit, len(l.list))
		dst = append(dst, l.list[:n]...)
		clear(l.list[:n])
		limit, q.len = limit-n, q.len-n
		if n < len(l.list) {
			l.list = l.list[n:]
			q.turn = append(q.turn[1:], l)
			continue
		}
		q.turn = q.turn[1:]
		delete(q.lanes, l.source)
		if len(q.spare) < 256 {
			l.list = l.list[:0]
			q.spare = append(q.spare, l)
		}
	}
	q.waiting.Store(int64(q.len))
	if q.len > 0 {
		q.signal()
	}
	return dst
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
