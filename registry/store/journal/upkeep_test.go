package journal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestUpkeep: a checkpoint when the log has too many batches or octets, as many as a large base has, and a word
// about one that fails, but not about the end.
func TestUpkeep(t *testing.T) {
	for name, tt := range map[string]struct {
		batches, octets int
		size            int64
		fails           bool
		want            int // checkpoints
	}{
		"little":                      {batches: 9, octets: 1, want: 0},
		"many batches":                {batches: 10, octets: 1, want: 1},
		"many octets":                 {batches: 5, octets: 20, want: 1},
		"many octets, but more in it": {batches: 5, octets: 20, size: 101, want: 0},
		"as many as are in it":        {batches: 5, octets: 20, size: 100, want: 1},
		"it fails":                    {batches: 10, octets: 1, fails: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, checkpoints, failures := &Memory{}, 0, 0
				for range tt.batches {
					if _, err := log.Append(make([]byte, tt.octets)); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					Upkeep{
						Log: log, Batches: 10, Octets: 100, Size: func() int64 { return tt.size },
						Checkpoint: func(ctx context.Context) error {
							checkpoints++
							if tt.fails {
								return errors.New("the disk is full")
							}
							return ctx.Err()
						},
						Failed: func(error) { failures++ },
					}.Run(ctx)
				}()
				time.Sleep(UpkeepEvery + time.Second)
				cancel()
				<-done
				if checkpoints != tt.want || (failures > 0) != tt.fails {
					t.Errorf("%d checkpoints, %d failures", checkpoints, failures)
				}
			})
		})
	}
}
