package config

import (
	"net/url"
	"strings"

	"github.com/nameward/nameward/registry/yamlat"
)

// Etcd is the store that several guards share; without endpoints it is not used.
type Etcd struct {
	Endpoints []string // http:// or https://, with port
	Prefix    string   // of all keys, begins and ends with a slash

	CA          string // path of the certificates that servers are checked by; "" for those of the system
	Certificate string // path of the guard's own; "" for none
	Key         string // path of its key
	User        string // "" for none
	Password    string // path of the file with the password
}

type rawEtcd struct {
	at        at
	endpoints texts
	prefix    text
	ca        text
	cert, key text
	user      text
	password  text
}

const defaultPrefix = "/nameward/"

var etcdShape = yamlat.Shape[rawEtcd]{
	What: "etcd",
	Fields: []yamlat.Field[rawEtcd]{
		{Key: "endpoints", Required: true, Set: func(d *decoder, n *node, e *rawEtcd) {
			e.endpoints = yamlat.ListOf(d, n, endpoint)
			if e.endpoints.Written == 0 {
				d.Badf(e.endpoints.At, "the list is empty, write where etcd answers: [\"https://192.0.2.61:2379\"]")
			}
		}},
		{Key: "prefix", Set: func(d *decoder, n *node, e *rawEtcd) {
			if e.prefix = d.String(n); e.prefix.OK && (!strings.HasPrefix(e.prefix.Value, "/") || len(strings.Trim(e.prefix.Value, "/")) == 0) {
				d.Badf(e.prefix.At, "%q is no prefix of keys, write one such as /nameward/", e.prefix.Value)
				e.prefix.OK = false
			}
		}},
		{Key: "ca", Set: func(d *decoder, n *node, e *rawEtcd) { e.ca = path(d, n) }},
		{Key: "certificate", Set: func(d *decoder, n *node, e *rawEtcd) { e.cert = path(d, n) }},
		{Key: "key", Set: func(d *decoder, n *node, e *rawEtcd) { e.key = path(d, n) }},
		{Key: "user", Set: func(d *decoder, n *node, e *rawEtcd) { e.user = d.String(n) }},
		{Key: "password_file", Set: func(d *decoder, n *node, e *rawEtcd) { e.password = path(d, n) }},
	},
}

// endpoint reads where a member of etcd answers.
func endpoint(d *decoder, n *node) text {
	t := d.String(n)
	if !t.OK {
		return t
	}
	u, err := url.Parse(t.Value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		d.Badf(t.At, "%q is not where etcd answers, write one such as https://192.0.2.61:2379", t.Value)
		t.OK = false
	}
	return t
}

func (c *checker) etcd(r *rawEtcd) Etcd {
	if !r.at.IsSet() {
		return Etcd{}
	}
	file := func(t text) string {
		if !t.OK {
			return ""
		}
		return relativeTo(c.file, t.Value)
	}
	both := func(a, b text, name, other string) {
		if a.At.IsSet() && !b.At.IsSet() {
			c.d.Problemf(a.At, "%s without %s, one is of no use without the other: write %s too", name, other, other)
		}
	}
	both(r.cert, r.key, "certificate", "key")
	both(r.key, r.cert, "key", "certificate")
	both(r.user, r.password, "user", "password_file")
	both(r.password, r.user, "password_file", "user")
	return Etcd{
		Endpoints: distinct(c.d, r.endpoints, ""), Prefix: strings.TrimSuffix(r.prefix.Or(defaultPrefix), "/") + "/",
		CA: file(r.ca), Certificate: file(r.cert), Key: file(r.key), User: r.user.Value, Password: file(r.password),
	}
}
