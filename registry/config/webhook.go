package config

import (
	"time"

	"github.com/nameward/nameward/registry/yamlat"
)

// Webhook is a web service that is told of each change by a signed POST.
type Webhook struct {
	URL     string // https, or http to an address of this host
	Secret  string // path of the file with the secret that signs
	CA      string // path of the certificates that the server's is checked with; "": the system's
	Timeout time.Duration
	Verify  Verify
}

type rawWebhook struct {
	url, secret, ca text
	timeout         span
	verify          Verify
}

const defaultWebhookTimeout = 5 * time.Second

var webhookShape = yamlat.Shape[rawWebhook]{
	What: "webhook",
	Fields: []yamlat.Field[rawWebhook]{
		{Key: "url", Required: true, Set: func(d *decoder, n *node, r *rawWebhook) {
			if r.url = d.String(n); r.url.OK {
				if _, wrong := httpsURL(r.url.Value); wrong != "" {
					d.Badf(r.url.At, "%s", wrong)
					r.url.OK = false
				}
			}
		}},
		{Key: "secret", Required: true, Set: func(d *decoder, n *node, r *rawWebhook) { r.secret = path(d, n) }},
		{Key: "ca", Set: func(d *decoder, n *node, r *rawWebhook) { r.ca = path(d, n) }},
		{Key: "timeout", Set: func(d *decoder, n *node, r *rawWebhook) {
			r.timeout = d.Duration(n, 100*time.Millisecond, time.Minute, time.Millisecond)
		}},
		{Key: "verify", Set: func(d *decoder, n *node, r *rawWebhook) { r.verify = readVerify(d, n) }},
	},
}

func readWebhook(d *decoder, n *node) any {
	r := new(rawWebhook)
	webhookShape.Decode(d, n, r)
	return r
}

func (c *checker) webhook(raw any, t *Target) {
	r := raw.(*rawWebhook)
	t.Webhook = &Webhook{URL: r.url.Value, Secret: relativeTo(c.file, r.secret.Value), Timeout: r.timeout.Or(defaultWebhookTimeout), Verify: r.verify}
	if r.ca.OK {
		t.Webhook.CA = relativeTo(c.file, r.ca.Value)
	}
	if u, wrong := httpsURL(r.url.Value); r.ca.At.IsSet() && wrong == "" && u.Scheme == "http" {
		c.d.Problemf(r.ca.At, "ca is for https, the URL is http: take it out")
	}
}
