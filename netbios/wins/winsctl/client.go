package winsctl

import (
	"context"
	"net/http"

	"github.com/nameward/nameward/registry/control"
)

// Client asks a running nameward about its WINS server, over the socket of a control client.
type Client struct{ *control.Client }

const registrations = "/v1/wins/registrations"

// Registrations calls each with what the filter leaves, until that returns an error.
func (c Client) Registrations(ctx context.Context, f Filter, each func(Registration) error) error {
	return control.Lines(ctx, c.Client, registrations+"?"+f.query(), each)
}

// Add makes static records.
func (c Client) Add(ctx context.Context, r AddRequest) (reply AddReply, err error) {
	return reply, c.Call(ctx, http.MethodPost, registrations+"/add", r, &reply)
}

// Remove takes records out, or one address of them.
func (c Client) Remove(ctx context.Context, r RemoveRequest) (reply RemoveReply, err error) {
	return reply, c.Call(ctx, http.MethodPost, registrations+"/remove", r, &reply)
}

// Forget takes out what is held of the names.
func (c Client) Forget(ctx context.Context, r RemoveRequest) (reply RemoveReply, err error) {
	return reply, c.Call(ctx, http.MethodPost, registrations+"/forget", r, &reply)
}

// Import brings records of another database, at most 10,000 at a time.
func (c Client) Import(ctx context.Context, r ImportRequest) (reply ImportReply, err error) {
	return reply, c.Call(ctx, http.MethodPost, registrations+"/import", r, &reply)
}

// Partners fetches how the exchange of records with other servers stands.
func (c Client) Partners(ctx context.Context) (p Partners, err error) {
	return p, c.Call(ctx, http.MethodGet, "/v1/wins/partners", nil, &p)
}

// Report fetches the report on who uses which names.
func (c Client) Report(ctx context.Context, f ReportFilter) (r Report, err error) {
	return r, c.Call(ctx, http.MethodGet, "/v1/wins/report?"+f.query(), nil, &r)
}
