package updatesctl

import (
	"context"
	"net/http"

	"github.com/nameward/nameward/registry/control"
)

// Client asks a running nameward about updates, over the socket of a control client.
type Client struct{ *control.Client }

// Updates calls each with what the filter leaves of that which is held, until that returns an error.
func (c Client) Updates(ctx context.Context, f Filter, each func(Held) error) error {
	return control.Lines(ctx, c.Client, "/v1/updates?"+f.query(), each)
}

// Forget takes out what is held.
func (c Client) Forget(ctx context.Context, f Filter) (reply ForgetReply, err error) {
	return reply, c.Call(ctx, http.MethodPost, "/v1/updates/forget", f, &reply)
}

// Records calls each with the registered records that the filter leaves, until that returns an error.
func (c Client) Records(ctx context.Context, f RecordFilter, each func(Record) error) error {
	return control.Lines(ctx, c.Client, "/v1/records?"+f.query(), each)
}

// Remove takes registered records out.
func (c Client) Remove(ctx context.Context, r RemoveRequest) (reply RemoveReply, err error) {
	return reply, c.Call(ctx, http.MethodPost, "/v1/records/remove", r, &reply)
}
