package pushctl

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nameward/nameward/registry/control"
)

// Client asks a running nameward about its targets, over the socket of a control client.
type Client struct{ *control.Client }

// Status returns how the targets are.
func (c Client) Status(ctx context.Context, f Filter) (st Status, err error) {
	q := url.Values{"target": {f.Target}, "role": {f.Role}, "done": {strconv.FormatBool(f.Done)}, "history": {strconv.Itoa(f.History)}}
	return st, c.Call(ctx, http.MethodGet, "/v1/push?"+q.Encode(), nil, &st)
}

// Wait returns when so many targets have the roles as they are since a change, or when limit is over.
func (c Client) Wait(ctx context.Context, r WaitRequest, limit time.Duration) (reply WaitReply, err error) {
	until := time.Now().Add(limit)
	for {
		r.Timeout = max(0, min(longest/2, time.Until(until)))
		reply = WaitReply{}
		if err = c.Call(ctx, http.MethodPost, "/v1/push/wait", r, &reply); err != nil || reply.Done || !time.Now().Before(until) {
			return reply, err
		}
	}
}

// Retry has targets told now.
func (c Client) Retry(ctx context.Context, r RetryRequest) (reply RetryReply, err error) {
	return reply, c.Call(ctx, http.MethodPost, "/v1/push/retry", r, &reply)
}
