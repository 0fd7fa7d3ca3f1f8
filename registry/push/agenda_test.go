package push

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestAgenda has tasks come, go and change their time at random, and compares with a list.
func TestAgenda(t *testing.T) {
	var a agenda
	begin, random := time.Now(), rand.New(rand.NewPCG(1, 2))
	in := map[*task]bool{}
	for range 5000 {
		switch random.IntN(4) {
		case 0, 1:
			k := &task{due: begin.Add(time.Duration(random.IntN(1000)))}
			a.add(k)
			in[k] = true
		case 2:
			for k := range in {
				k.due = begin.Add(time.Hour) // as plan finds it, with another time than it was put there with
				a.drop(k)
				delete(in, k)
				break
			}
		case 3:
			now, most := begin.Add(time.Duration(random.IntN(1000))), random.IntN(5)
			var due []time.Time
			for k := range in {
				if !k.due.After(now) {
					due = append(due, k.due)
				}
			}
			slices.SortFunc(due, time.Time.Compare)
			var got []time.Time
			for _, k := range a.take(now, most) {
				if !in[k] || k.place != 0 {
					t.Fatalf("a task comes out twice, or says that it is still in, at %d", k.place)
				}
				delete(in, k)
				got = append(got, k.due)
			}
			check(t, "due", fmt.Sprint(due[:min(most, len(due))]), fmt.Sprint(got))
		}
		if len(a) != len(in) {
			t.Fatalf("%d tasks wait, want %d", len(a), len(in))
		}
	}
}

// TestStanding: the stages that are counted are those of the rows, also after a restart, without a role and without a
// target.
func TestStanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, world("mail", "web"))
		a, b := &peer{}, &peer{down: true}
		counted := func(what string) {
			t.Helper()
			want := map[string]map[Stage]int{}
			for _, w := range l.pusher.current() {
				want[w.Name] = map[Stage]int{}
			}
			for _, d := range l.ledger.Rows(nil) {
				want[d.Target][d.Stage]++
			}
			got := map[string]map[Stage]int{}
			for _, s := range l.pusher.Standing() {
				got[s.Name] = s.Stages
			}
			check(t, what, want, got)
		}
		targets := []Target{{Name: "a", Driver: a}, {Name: "b", Driver: b}, {Name: "c", Driver: mute{&peer{}}}}
		l.start(targets...)
		time.Sleep(time.Second)
		check(t, "one is down", "map[failed:2]", fmt.Sprint(l.pusher.Standing()[1].Stages))
		counted("one is down")
		l.move("mail", "n2")
		time.Sleep(time.Second)
		counted("after a change")
		l.kill()
		b.setDown(false)
		l.start(targets...)
		counted("right after a start")
		time.Sleep(time.Minute)
		counted("after a start")
		l.pusher.Configure(targets[:2])
		time.Sleep(time.Second)
		counted("without a target")
		l.end()
	})
}
