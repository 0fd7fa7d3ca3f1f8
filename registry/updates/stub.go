package updates

import (
	"context"
	"net/netip"
	"time"
)

type Fate uint8

const (
	Parked Fate = iota + 1
	Quarantined
	Refused
	Ignored
)

type Held struct {
	Zone, Name         string
	Type               uint16
	Deletes            bool
	Data               string
	Source             netip.Addr
	Principal          string
	Fate               Fate
	Role, Reason, Rule string
	Decision           uint64
	Alert              bool
	First, Last        time.Time
	Count              uint64
}

type Book struct{}

func (b *Book) Note(Held) bool              { return true }
func (b *Book) Flush(context.Context) error { return nil }

type Limits struct{}

var DefaultLimits Limits

func Open(j any, l Limits, log any) (*Book, error) { return &Book{}, nil }
func (b *Book) Run(ctx context.Context) error      { <-ctx.Done(); return nil }
