package cache

import (
	"context"
	"errors"
	"net/netip"

	"github.com/nameward/nameward/registry/push/cache/rndc"
	"github.com/nameward/nameward/registry/tsig"
)

// bind is told over the control channel of named.
type bind struct {
	addr netip.AddrPort
	key  string // path
	view string // "": all
}

func (b *bind) flush(ctx context.Context, names []string) []error {
	key, err := tsig.Read(b.key)
	if err != nil {
		return all(names, err)
	}
	conn, err := rndc.Dial(ctx, b.addr, key)
	if err != nil {
		return all(names, cause(ctx, err))
	}
	defer conn.Close()
	errs := make([]error, len(names))
	for i, name := range names {
		_, err := conn.Do(b.command(name))
		errs[i] = cause(ctx, err)
		if refused := (*rndc.Refused)(nil); err != nil && !errors.As(err, &refused) {
			copy(errs[i:], all(names[i:], errs[i]))
			break
		}
	}
	return errs
}

func (b *bind) command(name string) string {
	if b.view == "" {
		return "flushname " + name
	}
	return "flushname " + name + " " + b.view
}

// cause is err, or why ctx ended if that is the reason.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); err != nil && why != nil {
		return why
	}
	return err
}
