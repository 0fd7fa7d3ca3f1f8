package config

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

type rawSource struct {
	at      at
	kind    text
	initial text  // operator
	files   texts // file
	probe   *rawProbe
}

type rawProbe struct {
	at                at
	kind              text // of the one that is written; the key's place
	port              number
	url               yamlat.Item[*url.URL]
	status            yamlat.List[int]
	body, host        text
	insecure          yamlat.Item[bool]
	class             text
	interval, timeout span
	rise, fall        number
}

// source reads the word operator or a mapping with one of the kinds.
func source(d *decoder, n *node) *rawSource {
	s := new(rawSource)
	if !yamlat.IsMapping(n) {
		switch word := d.String(n); {
		case word.OK && word.Value == registry.SourceOperator:
			s.at, s.kind = word.At, word
		case word.OK:
			d.Badf(word.At, "%q is not a source, write operator, {operator: {initial: NODE}}, {file: PATH} or {probe: {tcp: PORT}}", word.Value)
		}
		return s
	}
	s.at, _ = sourceShape.Decode(d, n, s)
	if !s.kind.At.IsSet() {
		d.Problemf(s.at, "the source is empty, write one of %s", strings.Join(sourceShape.Keys(), ", "))
	}
	return s
}

var sourceShape = yamlat.Shape[rawSource]{
	What: "a source",
	Fields: []yamlat.Field[rawSource]{
		{Key: registry.SourceOperator, Set: func(d *decoder, n *node, s *rawSource) {
			s.is(d, n, registry.SourceOperator)
			operatorShape.Decode(d, n, s)
		}},
		{Key: SourceFile, Set: func(d *decoder, n *node, s *rawSource) {
			s.is(d, n, SourceFile)
			if yamlat.IsList(n) {
				s.files = yamlat.ListOf(d, n, path)
				if s.files.Written == 0 {
					d.Badf(s.files.At, "the list is empty, write the path of a claim file")
				}
			} else if p := path(d, n); p.OK {
				s.files = texts{At: p.At, Items: []text{p}, Written: 1}
			}
		}},
		{Key: SourceProbe, Set: func(d *decoder, n *node, s *rawSource) {
			s.is(d, n, SourceProbe)
			s.probe = new(rawProbe)
			var ok bool
			if s.probe.at, ok = probeShape.Decode(d, n, s.probe); ok && !s.probe.kind.At.IsSet() {
				d.Badf(s.probe.at, "the probe asks nothing, write one of tcp, http, smtp")
			}
		}},
	},
}

// is notes the kind of the source, which may be written once only.
func (s *rawSource) is(d *decoder, n *node, kind string) { only(d, n, &s.kind, kind, "source") }

func only(d *decoder, n *node, have *text, kind, what string) {
	place := at{Line: int32(n.Line), Col: int32(n.Column)}
	if have.At.IsSet() {
		d.Problemf(place, "%s beside %s at %s, a %s has one of them: take one out", kind, have.Value, have.At, what)
		have.OK = false
		return
	}
	*have = text{At: place, OK: true, Value: kind}
}

var operatorShape = yamlat.Shape[rawSource]{
	What: "operator",
	Fields: []yamlat.Field[rawSource]{
		{Key: "initial", Set: func(d *decoder, n *node, s *rawSource) { s.initial = d.String(n) }},
	},
}

const (
	defaultInterval = 2 * time.Second
	defaultTimeout  = time.Second
	defaultRise     = 2
	defaultFall     = 2
	maxRise         = 100
)

var probeShape = yamlat.Shape[rawProbe]{
	What: "a probe",
	Fields: []yamlat.Field[rawProbe]{
		{Key: ProbeTCP, Set: func(d *decoder, n *node, p *rawProbe) { p.is(d, n, ProbeTCP); p.port = port(d, n) }},
		{Key: ProbeHTTP, Set: func(d *decoder, n *node, p *rawProbe) { p.is(d, n, ProbeHTTP); p.url = probeURL(d, n) }},
		{Key: ProbeSMTP, Set: func(d *decoder, n *node, p *rawProbe) { p.is(d, n, ProbeSMTP); p.port = port(d, n) }},
		{Key: "status", Set: func(d *decoder, n *node, p *rawProbe) {
			p.status = yamlat.ListOf(d, n, func(d *decoder, n *node) number { return d.Int(n, 100, 599) })
			if p.status.Written == 0 {
				d.Badf(p.status.At, "the list is empty, write the status codes that are good")
			}
		}},
		{Key: "body", Set: func(d *decoder, n *node, p *rawProbe) { p.body = d.String(n) }},
		{Key: "host", Set: func(d *decoder, n *node, p *rawProbe) { p.host = hostHeader(d, n) }},
		{Key: "insecure_tls", Set: func(d *decoder, n *node, p *rawProbe) { p.insecure = d.Bool(n) }},
		{Key: "on", Set: func(d *decoder, n *node, p *rawProbe) {
			if p.class = d.String(n); p.class.OK {
				p.class.OK = checkClassName(d, p.class)
			}
		}},
		{Key: "interval", Set: func(d *decoder, n *node, p *rawProbe) {
			p.interval = d.Duration(n, 100*time.Millisecond, time.Hour, 0)
		}},
		{Key: "timeout", Set: func(d *decoder, n *node, p *rawProbe) {
			p.timeout = d.Duration(n, 10*time.Millisecond, time.Minute, 0)
		}},
		{Key: "rise", Set: func(d *decoder, n *node, p *rawProbe) { p.rise = d.Int(n, 1, maxRise) }},
		{Key: "fall", Set: func(d *decoder, n *node, p *rawProbe) { p.fall = d.Int(n, 1, maxRise) }},
	},
}

func (p *rawProbe) is(d *decoder, n *node, kind string) { only(d, n, &p.kind, kind, "probe") }

func port(d *decoder, n *node) number { return d.Int(n, 1, 65535) }

// probeURL reads a URL without a host.
func probeURL(d *decoder, n *node) yamlat.Item[*url.URL] {
	t := d.String(n)
	bad := yamlat.Item[*url.URL]{At: t.At}
	if !t.OK {
		return bad
	}
	u, err := url.Parse(t.Value)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		d.Badf(t.At, "%q is not an HTTP URL, write one such as \"http://:8080/health\"", t.Value)
	case u.Hostname() != "" || u.User != nil:
		u.Host, u.User = strings.TrimPrefix(u.Host, u.Hostname()), nil
		if i := strings.LastIndexByte(u.Host, ':'); i >= 0 {
			u.Host = u.Host[i:]
		}
		d.Badf(t.At, "%q has a host, each node's address is put there: write %q, and the key host for the Host header", t.Value, u)
	case u.Fragment != "":
		u.Fragment, u.RawFragment = "", ""
		d.Badf(t.At, "%q has a fragment, which is never sent: write %q", t.Value, u)
	case u.Port() != "" && !isPort(u.Port()) || u.Host == ":":
		d.Badf(t.At, "the port in %q is not 1 to 65535, write one such as \"http://:8080/health\"", t.Value)
	default:
		return yamlat.Item[*url.URL]{At: t.At, OK: true, Value: u}
	}
	return bad
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && 1 <= n && n <= 65535
}

// hostHeader reads HOST or HOST:PORT.
func hostHeader(d *decoder, n *node) text {
	t := d.String(n)
	if !t.OK {
		return t
	}
	u, err := url.Parse("http://" + t.Value)
	if err != nil || u.Host != t.Value || u.Hostname() == "" || strings.ContainsAny(t.Value, " \t\r\n/") {
		d.Badf(t.At, "%q is not a host, write one such as www.corp.example", t.Value)
		t.OK = false
	}
	return t
}

// probe checks what the keys of a probe say together.
func (c *checker) probe(p *rawProbe) *Probe {
	out := &Probe{
		Kind:     p.kind.Value,
		Class:    p.class.Or(registry.PublicClass),
		Port:     uint16(p.port.Value),
		Interval: p.interval.Or(defaultInterval),
		Rise:     p.rise.Or(defaultRise),
		Fall:     p.fall.Or(defaultFall),
	}
	out.Timeout = p.timeout.Or(min(defaultTimeout, out.Interval))
	if out.Timeout > out.Interval {
		c.d.Problemf(p.timeout.At, "timeout %s is longer than the interval of %s, write at most that",
			yamlat.Span(out.Timeout), yamlat.Span(out.Interval))
	}
	if out.Kind == ProbeHTTP {
		c.httpProbe(p, out)
		return out
	}
	for _, k := range []struct {
		key string
		at  at
	}{{"status", p.status.At}, {"body", p.body.At}, {"host", p.host.At}, {"insecure_tls", p.insecure.At}} {
		if k.at.IsSet() && p.kind.At.IsSet() {
			c.d.Problemf(k.at, "%s is for http probes, this one is %s: take it out", k.key, out.Kind)
		}
	}
	return out
}

func (c *checker) httpProbe(p *rawProbe, out *Probe) {
	out.HTTP = HTTPProbe{Status: []int{http.StatusOK}, Body: p.body.Value, Host: p.host.Value, InsecureTLS: p.insecure.Value}
	if len(p.status.Items) > 0 {
		out.HTTP.Status = nil
		for _, s := range p.status.Items {
			if slices.Contains(out.HTTP.Status, s.Value) {
				c.d.Problemf(s.At, "status %d stands twice, take one out", s.Value)
			}
			out.HTTP.Status = append(out.HTTP.Status, s.Value)
		}
	}
	if !p.url.OK {
		return
	}
	u := p.url.Value
	out.HTTP.Scheme = u.Scheme
	out.HTTP.Path = u.RequestURI()
	out.Port = 80
	if u.Scheme == "https" {
		out.Port = 443
	} else if p.insecure.OK {
		c.d.Problemf(p.insecure.At, "insecure_tls is for https, the URL is http: take it out")
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		out.Port = uint16(n)
	}
}

// URL is what an HTTP probe of the node at addr asks for.
func (p *Probe) URL(addr netip.Addr) string {
	return p.HTTP.Scheme + "://" + netip.AddrPortFrom(addr, p.Port).String() + p.HTTP.Path
}

// String is what people are shown: "tcp 25", "http :8080/health".
func (p *Probe) String() string {
	s := p.Kind + " " + strconv.Itoa(int(p.Port))
	if p.Kind == ProbeHTTP {
		s = p.HTTP.Scheme + " :" + strconv.Itoa(int(p.Port)) + p.HTTP.Path
	}
	if p.Class != registry.PublicClass {
		s += " on " + p.Class
	}
	return s
}

// spec makes the source of roles from its written form. It is called once for a source that the
// roles of a cluster share.
func (c *checker) spec(s *rawSource) (SourceSpec, string) {
	switch s.kind.Value {
	case SourceFile:
		spec := SourceSpec{Kind: SourceFile}
		seen := make(map[string]at, len(s.files.Items))
		for _, f := range s.files.Items {
			p := relativeTo(c.file, f.Value)
			if first, ok := seen[p]; ok {
				c.d.Problemf(f.At, "claim file %s stands twice in the list, first at %s: take one out", f.Value, first)
			}
			seen[p] = f.At
			spec.Files = append(spec.Files, p)
		}
		return spec, strings.Join(spec.Files, ", ")
	case SourceProbe:
		p := c.probe(s.probe)
		return SourceSpec{Kind: SourceProbe, Probe: p}, p.String()
	}
	return SourceSpec{Kind: registry.SourceOperator}, ""
}
