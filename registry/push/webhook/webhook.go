package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/push/dnsask"
	"github.com/nameward/nameward/registry/push/notice"
	"github.com/nameward/nameward/registry/push/said"
	"github.com/nameward/nameward/registry/trust"
)

// Driver sends the POSTs. It implements push.Driver.
type Driver struct {
	url, secret, ca string
	timeout         time.Duration

	notBefore time.Time // what Retry-After has said
	client    func(ca string) (*http.Client, error)
}

// New makes the driver of a target.
func New(c *config.Webhook) push.Driver { return dnsask.With(newDriver(c), c.Verify.DNS) }

func newDriver(c *config.Webhook) *Driver {
	return &Driver{url: c.URL, secret: c.Secret, ca: c.CA, timeout: c.Timeout, client: trust.Client}
}

// Content implements push.Driver.
func (*Driver) Content(_ *registry.Snapshot, role *registry.RoleState) string {
	return notice.Content(role)
}

// Patience implements push.Patient.
func (d *Driver) Patience() time.Duration { return d.timeout + time.Second }

// Push sends one POST for all items.
func (d *Driver) Push(ctx context.Context, items []*push.Item) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("no answer within %s", d.timeout))
	defer cancel()
	for _, it := range items {
		it.Sent()
	}
	err := d.post(ctx, notice.ID(items), notice.New(items).JSON())
	for _, it := range items {
		if err != nil {
			it.Fail(err)
		} else {
			it.Acked()
		}
	}
}

// maxRetryAfter bounds how long a service may put deliveries off.
const maxRetryAfter = time.Minute

func (d *Driver) post(ctx context.Context, id string, body []byte) error {
	if wait := time.Until(d.notBefore); wait > 0 {
		return fmt.Errorf("the service asks to be left alone for another %s (Retry-After)", wait.Round(time.Second))
	}
	req, err := d.request(ctx, id, body)
	if err != nil {
		return err
	}
	client, err := d.client(d.ca)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return plain(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return nil // what else it says, and how slowly, does not matter
	}
	if wait := retryAfter(resp.Header.Get("Retry-After"), time.Now()); wait > 0 {
		d.notBefore = time.Now().Add(min(wait, maxRetryAfter))
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, said.Most)) // it is an extra
	return errors.New(strings.TrimRight(fmt.Sprintf("the service says %s: %s", resp.Status, said.Line(text)), ": "))
}

// plain is the error of a client without the URL: some have a secret in it.
func plain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if with := (*url.Error)(nil); errors.As(err, &with) {
		return with.Err
	}
	return err
}

func (d *Driver) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	text, err := trust.Secret(d.secret)
	if err != nil {
		return nil, err
	}
	secret, err := parseSecret(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.secret, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "nameward")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", sign(secret, id, now, body))
	return req, nil
}

// retryAfter reads seconds or a date, RFC 9110, Section 10.2.3; 0 for anything else.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now)
	}
	return 0
}
