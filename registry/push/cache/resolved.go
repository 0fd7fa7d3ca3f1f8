package cache

import (
	"context"

	"github.com/godbus/dbus/v5"
)

// resolved is told over the system bus.
type resolved struct {
	bus string // path of the bus's socket
}

// org.freedesktop.resolve1(5).
const (
	resolvedName   = "org.freedesktop.resolve1"
	resolvedPath   = dbus.ObjectPath("/org/freedesktop/resolve1")
	resolvedMethod = "org.freedesktop.resolve1.Manager.FlushCaches"
)

func (r *resolved) flush(ctx context.Context, names []string) []error {
	return all(names, cause(ctx, r.flushAll(ctx)))
}

// flushAll returns when the caches are empty.
func (r *resolved) flushAll(ctx context.Context) error {
	conn, err := dbus.Connect("unix:path="+dbus.EscapeBusAddressValue(r.bus), dbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Object(resolvedName, resolvedPath).CallWithContext(ctx, resolvedMethod, 0).Err
}
