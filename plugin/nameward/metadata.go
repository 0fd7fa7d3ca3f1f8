package nameward

import (
	"context"
	"strconv"
	"strings"

	"github.com/coredns/coredns/plugin/metadata"
	"github.com/coredns/coredns/request"

	"github.com/nameward/nameward/registry"
)

// Metadata implements metadata.Provider: nameward/role, nameward/holder, nameward/epoch and
// nameward/state of the role whose name is asked for.
func (h *Handler) Metadata(ctx context.Context, state request.Request) context.Context {
	snap := h.State.Snapshot()
	e, ok := snap.Lookup(state.Name())
	if !ok || e.Kind != registry.KindRole {
		return ctx
	}
	s := snap.RoleOf(e)
	metadata.SetValueFunc(ctx, "nameward/role", func() string { return s.Role.Name })
	metadata.SetValueFunc(ctx, "nameward/holder", func() string { return strings.Join(s.ServedNames(), ",") })
	metadata.SetValueFunc(ctx, "nameward/epoch", func() string { return strconv.FormatUint(s.Epoch, 10) })
	metadata.SetValueFunc(ctx, "nameward/state", s.State.String)
	return ctx
}
