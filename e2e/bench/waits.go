package main

import "time"

// wait is the time at which the request with an id has waited for too long.
type wait struct {
	id    uint16
	until time.Duration
}

// waits is a queue of them, the oldest first. They nearly always end in that order, as all last for the same
// time; one that lasts longer keeps back those behind it.
type waits struct {
	list []wait
	head int
}

func (q *waits) push(w wait) { q.list = append(q.list, w) }

// due takes out the oldest wait if it has ended, and those before it that nobody waits for any more.
func (q *waits) due(now time.Duration, waiting func(wait) bool) (wait, bool) {
	for q.head < len(q.list) {
		w := q.list[q.head]
		alive := waiting(w)
		if alive && w.until > now {
			break
		}
		q.head++
		if alive {
			return w, true
		}
	}
	const room = 1 << 16
	if q.head > room || q.head == len(q.list) {
		q.list = append(q.list[:0], q.list[q.head:]...)
		q.head = 0
	}
	return wait{}, false
}
