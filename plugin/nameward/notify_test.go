package nameward

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/nameward/nameward/registry"
)

func TestFollowSerials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := registry.Open(newWorld(), &registry.Memory{}, guards.log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		var told []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			followSerials(ctx, r.Snapshot, func(zone string) error {
				told = append(told, zone)
				return errors.New("nobody listens")
			})
		}()
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			if !slices.Equal(told, want) {
				t.Errorf("%s: told of %v, want %v", when, told, want)
			}
			told = nil
		}
		all := []string{"corp.example.", "sub.corp.example.", "2.0.192.in-addr.arpa."}
		expect("start", all...)
		claim(t, r, "sub", "ex1")
		expect("role with a PTR", "sub.corp.example.", "2.0.192.in-addr.arpa.")
		claim(t, r, "www", "web1")
		expect("role in one zone", "corp.example.")
		claim(t, r, "www", "web1")
		expect("nothing new")
		if _, err := r.Drain(t.Context(), "web3", registry.Drain{}, false); err != nil {
			t.Fatal(err)
		}
		expect("a change that no answer shows")
		if err := r.Configure(t.Context(), newWorld()); err != nil {
			t.Fatal(err)
		}
		expect("new world", all...)
		cancel()
		<-done
	})
}

// TestFollowSerialsEnds: a notifier whose secondary hangs ends with the zone that it is telling.
func TestFollowSerialsEnds(t *testing.T) {
	r := newRegistry(t)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	followSerials(ctx, r.Snapshot, func(string) error { n++; cancel(); return nil })
	if n != 1 {
		t.Errorf("told %d zones after the end", n)
	}
}
