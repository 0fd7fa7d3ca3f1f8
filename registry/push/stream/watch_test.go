package stream

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/push/watch"
)

// A client that is cut off comes back and has the state of now, whatever happened meanwhile.
func TestWatchThroughOutages(t *testing.T) {
	bubble(t, func(l *lab) {
		var mu sync.Mutex
		var conn net.Conn
		var last []string
		ctx, cancel := context.WithCancel(context.Background())
		c := &watch.Client{
			Questions: []dso.Question{{Name: "mail.corp.example.", Type: dns.TypeA, Class: dns.ClassINET}},
			Tell: func(e watch.Event) {
				mu.Lock()
				defer mu.Unlock()
				switch e.Kind {
				case watch.Added:
					last = append(last, e.Record.(*dns.A).A.String())
				case watch.Removed:
					last = append(last, "-"+e.Record.(*dns.A).A.String())
				case watch.Lost:
					last = nil
				}
			},
			Dial: func(context.Context) (net.Conn, error) {
				ours, theirs := net.Pipe()
				l.srv.tasks.Go(func() { l.srv.talk(l.ctx, theirs) })
				mu.Lock()
				defer mu.Unlock()
				conn = theirs
				return ours, nil
			},
		}
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		has := func(want string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(last, " "); got != want {
				t.Fatalf("told: %q, want %q", got, want)
			}
		}
		has("192.0.2.11")
		l.switchTo("ex2")
		has("192.0.2.11 -192.0.2.11 198.51.100.12")
		for _, node := range []string{"ex1", "ex2"} {
			mu.Lock()
			_ = conn.Close()
			mu.Unlock()
			l.switchTo(node)
			has("")
			time.Sleep(time.Second)
			has(map[string]string{"ex1": "192.0.2.11", "ex2": "198.51.100.12"}[node])
		}
		time.Sleep(time.Hour) // it is kept alive
		if st := l.srv.Stats(); st.Subscriptions != 1 || st.Ended[Silent]+st.Ended[Inactive]+st.Ended[Broken] != 0 {
			t.Errorf("%+v", st)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
