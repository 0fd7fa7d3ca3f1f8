package main

import (
	"testing"
	"time"
)

func TestWaits(t *testing.T) {
	var q waits
	over := map[uint16]bool{}
	alive := func(w wait) bool { return !over[w.id] }
	for id := range uint16(4) {
		q.push(wait{id, time.Duration(id) * time.Second})
	}
	over[1] = true
	for _, want := range []uint16{0, 2} {
		if w, ok := q.due(2*time.Second, alive); !ok || w.id != want {
			t.Errorf("due %+v, %v, want id %d", w, ok, want)
		}
	}
	if w, ok := q.due(2*time.Second, alive); ok {
		t.Errorf("%+v is due before its time", w)
	}
	if w, ok := q.due(3*time.Second, alive); !ok || w.id != 3 {
		t.Errorf("due %+v, %v", w, ok)
	}
	if _, ok := q.due(time.Hour, alive); ok || len(q.list) != 0 {
		t.Errorf("the queue still has %v", q.list)
	}
}

// TestWaitsMany shows that those which nobody waits for take no room.
func TestWaitsMany(t *testing.T) {
	var q waits
	for i := range 1 << 20 {
		q.push(wait{uint16(i), time.Duration(i)})
		if _, ok := q.due(-1, func(w wait) bool { return w.until == time.Duration(i) }); ok {
			t.Fatalf("number %d is due", i)
		}
	}
	if cap(q.list) > 1<<18 {
		t.Errorf("room for %d waits", cap(q.list))
	}
}
