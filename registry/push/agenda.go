package push

import (
	"container/heap"
	"time"
)

// agenda has the tasks that wait for their time, the earliest first. A map would do for few of them; but to look through
// one costs what it held at its largest, and after a start that is every role.
type agenda []*task

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due.Before(a[j].due) }

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	t := x.(*task)
	*a = append(*a, t)
	t.place = len(*a)
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	t := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	t.place = 0
	return t
}

func (a *agenda) add(t *task)  { heap.Push(a, t) }
func (a *agenda) drop(t *task) { heap.Remove(a, t.place-1) }

// first is when the earliest task is due; zero without any, and for one that has not been tried yet.
func (a agenda) first() (at time.Time, is bool) {
	if len(a) == 0 {
		return at, false
	}
	return a[0].due, true
}

// take takes out what is due, at most so many.
func (a *agenda) take(now time.Time, most int) (due []*task) {
	for len(*a) > 0 && len(due) < most && !(*a)[0].due.After(now) {
		due = append(due, heap.Pop(a).(*task))
	}
	return due
}
