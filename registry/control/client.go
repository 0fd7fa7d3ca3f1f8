package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/nameward/nameward/registry"
)

// Client talks to the control API of a running nameward.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client for the Unix socket at path.
func NewClient(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}
	return c
}

// RefusedError is the server's word that it did not do what was asked; nothing was changed.
type RefusedError struct {
	Text string
	// Stopping: it ends, or starts again, and did not look at what was asked.
	Stopping bool
}

func (e *RefusedError) Error() string { return e.Text }

// Status fetches the whole state.
func (c *Client) Status(ctx context.Context) (st Status, err error) {
	return st, c.Call(ctx, http.MethodGet, "/v1/status", nil, &st)
}

// Explain asks why a name is answered as it is.
func (c *Client) Explain(ctx context.Context, name string) (e Explanation, err error) {
	return e, c.Call(ctx, http.MethodGet, "/v1/explain?name="+url.QueryEscape(name), nil, &e)
}

// Switch hands roles over.
func (c *Client) Switch(ctx context.Context, r registry.SwitchRequest) (m registry.Moves, err error) {
	return m, c.Call(ctx, http.MethodPost, "/v1/switch", r, &m)
}

// LowerTTL lowers the TTLs of roles for a while.
func (c *Client) LowerTTL(ctx context.Context, r registry.LowerRequest) (t registry.TTLs, err error) {
	return t, c.Call(ctx, http.MethodPost, "/v1/ttl/lower", r, &t)
}

// RaiseTTL gives roles their own TTLs back.
func (c *Client) RaiseTTL(ctx context.Context, r registry.RaiseRequest) (t registry.TTLs, err error) {
	return t, c.Call(ctx, http.MethodPost, "/v1/ttl/raise", r, &t)
}

// SetOverride forces a role.
func (c *Client) SetOverride(ctx context.Context, r OverrideRequest) (m registry.Moves, err error) {
	return m, c.Call(ctx, http.MethodPost, "/v1/override/set", r, &m)
}

// ClearOverride hands a role back to its source.
func (c *Client) ClearOverride(ctx context.Context, r OverrideRequest) (m registry.Moves, err error) {
	return m, c.Call(ctx, http.MethodPost, "/v1/override/clear", r, &m)
}

// Drain takes a node out of service.
func (c *Client) Drain(ctx context.Context, r DrainRequest) (m registry.Moves, err error) {
	return m, c.Call(ctx, http.MethodPost, "/v1/drain", r, &m)
}

// Undrain puts a node back into service.
func (c *Client) Undrain(ctx context.Context, r DrainRequest) (m registry.Moves, err error) {
	return m, c.Call(ctx, http.MethodPost, "/v1/undrain", r, &m)
}

// Reload has the configuration file read again.
func (c *Client) Reload(ctx context.Context) (s ConfigStatus, err error) {
	return s, c.Call(ctx, http.MethodPost, "/v1/reload", nil, &s)
}

// Watch calls each with every event until ctx ends, the connection breaks or each returns an error.
func (c *Client) Watch(ctx context.Context, each func(Event) error) error {
	var enough error
	err := Lines(ctx, c, "/v1/watch", func(ev Event) error {
		enough = each(ev)
		return enough
	})
	switch {
	case enough != nil:
		return enough
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return fmt.Errorf("watching %s: %w", c.path, io.ErrUnexpectedEOF)
	}
	return err
}

// Lines gets a stream of one JSON object a line and calls each with every one, until the stream ends or
// each returns an error. A stream that breaks off is an error.
func Lines[T any](ctx context.Context, c *Client, path string, each func(T) error) error {
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var line T
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the answer of %s: %w", c.path, err)
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// Call sends a request, with in as its body unless that is nil, and reads the answer into out.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.path, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://nameward"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no nameward answers at %s: %w; is it running, and is --socket right?", c.path, rootOf(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var refused errorReply
	if err := json.NewDecoder(resp.Body).Decode(&refused); err != nil {
		return nil, fmt.Errorf("%s answered %s", c.path, resp.Status)
	}
	return nil, &RefusedError{refused.Error, resp.StatusCode == http.StatusServiceUnavailable}
}

// rootOf strips the URL that http puts around an error, which means nothing to a person here.
func rootOf(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
