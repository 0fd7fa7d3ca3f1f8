package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/nameward/nameward/registry/push/said"
	"github.com/nameward/nameward/registry/trust"
)

// powerDNS is told over the HTTP API of the recursor.
type powerDNS struct {
	url string
	key string // path of the file with the API key
	ca  string // path; "": the system's
}

func (p *powerDNS) flush(ctx context.Context, names []string) []error {
	key, err := trust.Secret(p.key)
	if err != nil {
		return all(names, err)
	}
	client, err := trust.Client(p.ca)
	if err != nil {
		return all(names, err)
	}
	defer client.CloseIdleConnections()
	return each(ctx, names, func(name string) error { return cause(ctx, p.forget(ctx, client, key, name)) })
}

// maxPowerDNS is how much of an answer is read, in octets.
const maxPowerDNS = 4096

func (p *powerDNS) forget(ctx context.Context, client *http.Client, key, name string) error {
	where := p.url + "/api/v1/servers/localhost/cache/flush?domain=" + url.QueryEscape(name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, where, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", key)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPowerDNS))
	if err != nil {
		return err
	}
	return powerDNSSays(resp.StatusCode, text, name)
}

// powerDNSSays is nil for an answer that has flushed something or found nothing to flush.
func powerDNSSays(status int, text []byte, name string) error {
	var answer struct {
		Count  *int
		Error  string
		Result string
	}
	err := json.Unmarshal(bytes.TrimSpace(text), &answer)
	switch {
	case status == http.StatusUnauthorized:
		return errors.New("powerdns does not take the API key")
	case err == nil && answer.Error != "":
		return fmt.Errorf("flush of %s: powerdns says: %s", name, said.Line([]byte(answer.Error)))
	case status != http.StatusOK || err != nil || answer.Count == nil:
		return fmt.Errorf("flush of %s: powerdns says %d: %s", name, status, said.Line(text))
	}
	return nil
}
