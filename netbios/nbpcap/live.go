package nbpcap

import (
	"context"
	"fmt"
	"iter"
)

// Live reads the messages that pass an interface. Make one with Follow.
type Live struct {
	socket  *socket
	decoder *decoder
	number  int
	stats   Stats
}

// Stats counts the frames of the name services on an interface.
type Stats struct {
	Received uint64 // by the kernel, with those dropped
	Dropped  uint64 // by the kernel, for want of room
}

// Follow opens the interface, on Linux, which needs root or CAP_NET_RAW. The kernel drops what is of no
// name service; what passes waits until it is read, in both directions.
func Follow(iface string, opts ...Option) (*Live, error) {
	d := newDecoder(opts)
	s, err := openSocket(iface, d.dns)
	if err != nil {
		return nil, fmt.Errorf("following interface %q: %w", iface, err)
	}
	return &Live{socket: s, decoder: d}, nil
}

// All returns the messages until ctx ends, which ends the Live too; the last pair has an error if the
// interface is lost.
func (l *Live) All(ctx context.Context) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		defer context.AfterFunc(ctx, l.socket.unblock)()
		for ctx.Err() == nil {
			f, err := l.socket.next()
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(Packet{}, &FrameError{Number: l.number + 1, Err: err})
				return
			}
			l.number++
			f.number = l.number
			l.decoder.decode(f)
			if !l.yield(yield) {
				return
			}
		}
	}
}

func (l *Live) yield(yield func(Packet, error) bool) bool {
	for {
		p, ok := l.decoder.pop()
		if !ok {
			return true
		}
		if !yield(p, nil) {
			return false
		}
	}
}

// Stats returns what was counted so far.
func (l *Live) Stats() (Stats, error) {
	received, dropped, err := l.socket.stats()
	l.stats.Received += received
	l.stats.Dropped += dropped
	return l.stats, err
}

// Close closes the interface. To end All, end its context.
func (l *Live) Close() error { return l.socket.close() }
