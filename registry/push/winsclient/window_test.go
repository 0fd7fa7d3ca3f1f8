package winsclient

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestWindow asks servers of several kinds for 2,000 answers.
func TestWindow(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name    string
		far     time.Duration // the way there and back
		work    time.Duration // for one request, one after the other
		in      time.Duration // at the most
		longest time.Duration // answer
	}{
		{"near, in memory", 0, 10 * time.Microsecond, 30 * ms, 5 * ms},
		{"far away, in memory", 200 * ms, 10 * time.Microsecond, 9 * time.Second, 210 * ms},
		{"near, with a disk", 0, 5 * ms, 2000*5*ms + ms, 230 * ms},
		{"far away, with a disk", 200 * ms, 5 * ms, 11 * time.Second, 520 * ms},
		{"very slow", 0, 150 * ms, 2000*150*ms + ms, 1300 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := window{limit: firstOutstanding}
				server := make(chan struct{}, 1) // a mutex would stop the clock
				var longest time.Duration
				begin := time.Now()
				var wg sync.WaitGroup
				for range 2000 {
					wg.Go(func() {
						if err := w.take(t.Context()); err != nil {
							t.Error(err)
							return
						}
						asked := time.Now()
						time.Sleep(tt.far)
						server <- struct{}{}
						time.Sleep(tt.work)
						took := time.Since(asked)
						longest = max(longest, took)
						<-server
						w.give(took, true)
					})
				}
				wg.Wait()
				if took := time.Since(begin); took > tt.in || longest > tt.longest {
					t.Errorf("took %s, want %s; the longest answer %s, want %s", took, tt.in, longest, tt.longest)
				}
			})
		})
	}
}

// TestWindowEnd has some who wait go away; their turns are not lost.
func TestWindowEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window{limit: 1}
		if err := w.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone, waiting := make(chan error), make(chan error)
		go func() { gone <- w.take(ctx) }()
		synctest.Wait()
		go func() { waiting <- w.take(t.Context()) }()
		synctest.Wait()
		cancel()
		if err := <-gone; err == nil {
			t.Error("a turn after the end")
		}
		w.give(0, false)
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		w.give(0, false)
		if w.out != 0 || len(w.waiting) != 0 {
			t.Errorf("%d turns are taken, %d wait", w.out, len(w.waiting))
		}
	})
}
