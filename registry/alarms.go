package registry

import (
	"container/heap"
	"time"
)

// alarms wakes the writer when time alone changes a role's state: a lease that runs out, the end of a
// ttl_changing window. An alarm that was moved stays in the heap and is passed over when it comes up.
type alarms struct {
	heap alarmHeap
	at   map[int32]time.Time
}

type alarm struct {
	at   time.Time
	role int32
}

// set moves the role's alarm; the zero time takes it away.
func (a *alarms) set(role int32, at time.Time) {
	if at.IsZero() {
		delete(a.at, role)
		return
	}
	if a.at == nil {
		a.at = map[int32]time.Time{}
	}
	if a.at[role].Equal(at) {
		return
	}
	a.at[role] = at
	if len(a.heap) >= 2*len(a.at)+minAlarms {
		a.compact()
		return
	}
	heap.Push(&a.heap, alarm{at, role})
}

// minAlarms keeps a small heap from being rebuilt again and again.
const minAlarms = 64

// compact drops the alarms that were moved: a lease of a day that is renewed each second would leave
// tens of thousands.
func (a *alarms) compact() {
	a.heap = a.heap[:0]
	for role, at := range a.at {
		a.heap = append(a.heap, alarm{at, role})
	}
	heap.Init(&a.heap)
}

func (a *alarms) next() (time.Time, bool) {
	a.drop()
	if len(a.heap) == 0 {
		return time.Time{}, false
	}
	return a.heap[0].at, true
}

// due takes the roles whose alarm has come. Whoever takes them sets their alarms anew.
func (a *alarms) due(now time.Time) []int32 {
	var out []int32
	for {
		at, ok := a.next()
		if !ok || now.Before(at) {
			return out
		}
		top := heap.Pop(&a.heap).(alarm)
		delete(a.at, top.role)
		out = append(out, top.role)
	}
}

func (a *alarms) drop() {
	for len(a.heap) > 0 {
		if at, ok := a.at[a.heap[0].role]; ok && at.Equal(a.heap[0].at) {
			return
		}
		heap.Pop(&a.heap)
	}
}

type alarmHeap []alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarmHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *alarmHeap) Push(x any)        { *h = append(*h, x.(alarm)) }
func (h *alarmHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
