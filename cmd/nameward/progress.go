package main

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// longSource is from how many octets on reading takes long enough for a bar.
const longSource = 8 << 20

// bar is the progress bar that is shown, nil when there is none.
var bar atomic.Pointer[progressbar.ProgressBar]

// behindBar is a terminal, perhaps, on which a bar stands in the way of what is written.
type behindBar struct{ io.Writer }

// Write takes the bar away first; it comes back with its next step.
func (w behindBar) Write(b []byte) (int, error) {
	if shown := bar.Load(); shown != nil && isTerminal(w.Writer) {
		_ = shown.Clear()
	}
	return w.Writer.Write(b)
}

// progress shows a bar on a terminal while a long source is read. The function that it returns ends it.
func progress(out io.Writer, name string, size int64, offset func() int64) func() {
	if !isTerminal(out) || size < longSource {
		return func() {}
	}
	shown := progressbar.NewOptions64(size, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(name),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
	bar.Store(shown)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = shown.Set64(offset())
			case <-stop:
				bar.Store(nil)
				_ = shown.Clear()
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}
