package audit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"
)

const transferScheme = "axfr://"

// transferURL is axfr://server[:port]/zone taken apart.
type transferURL struct {
	server string // host:port
	zone   string // lower case and fully qualified
}

func parseTransfer(name string) (transferURL, error) {
	wrong := func(what string) (transferURL, error) {
		return transferURL{}, fmt.Errorf("%q: %s, axfr://server[:port]/zone would be right", name, what)
	}
	u, err := url.Parse(name)
	switch {
	case err != nil:
		return wrong("this is no URL")
	case u.Hostname() == "":
		return wrong("the server is missing")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return wrong("only a server and a zone can be given")
	}
	zone := strings.TrimPrefix(u.Path, "/")
	if _, ok := dns.IsDomainName(zone); !ok || zone == "" {
		return wrong("the zone is missing or is no domain name")
	}
	port := u.Port()
	if port == "" {
		port = "53"
	}
	return transferURL{net.JoinHostPort(u.Hostname(), port), dns.CanonicalName(zone)}, nil
}

// transfer is one transfer of a zone.
type transfer struct {
	x     *reading
	from  transferURL
	sets  rrsets
	taken int // records
}

func (x *reading) readTransfer(ctx context.Context, offset *atomic.Int64) {
	from, err := parseTransfer(x.file)
	if err != nil {
		x.fatal("%w", err)
		return
	}
	t := &transfer{x: x, from: from, sets: rrsets{x: x, zone: from.zone}}
	t.run(ctx, offset)
}

// run asks for the zone. The connection is closed and its reader has ended when run returns.
func (t *transfer) run(ctx context.Context, offset *atomic.Int64) {
	dialer := net.Dialer{Timeout: t.x.opts.timeout()}
	conn, err := dialer.DialContext(ctx, "tcp", t.from.server)
	if err != nil {
		t.x.fatal("the server cannot be reached: %w", err)
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	answers, err := t.ask(&countingConn{conn, offset})
	if err != nil {
		t.x.fatal("the server cannot be asked: %w", err)
		return
	}
	for answer := range answers {
		if !t.x.stopped {
			t.take(ctx, answer)
		}
		if t.x.stopped { // the transfer's goroutine has ended when its channel is closed
			_ = conn.Close()
		}
	}
	t.sets.flush()
}

func (t *transfer) ask(conn net.Conn) (chan *dns.Envelope, error) {
	timeout := t.x.opts.timeout()
	in := &dns.Transfer{Conn: &dns.Conn{Conn: conn}, ReadTimeout: timeout, WriteTimeout: timeout}
	question := new(dns.Msg).SetAxfr(t.from.zone)
	if key := t.x.opts.TSIG; !key.IsZero() {
		in.TsigSecret = key.Secrets()
		key.Sign(question)
	}
	return in.In(question, t.from.server)
}

func (t *transfer) take(ctx context.Context, answer *dns.Envelope) {
	if answer.Error != nil {
		t.sets.flush()
		t.fail(ctx, answer.Error)
		return
	}
	for _, rr := range answer.RR {
		t.sets.add(rr, 0)
	}
	t.taken += len(answer.RR)
}

// fail says what to do about a transfer that the server denied or that ended too early.
func (t *transfer) fail(ctx context.Context, err error) {
	switch rcode := transferRcode(err); {
	case ctx.Err() != nil:
		t.x.fatal("the transfer was stopped after %d records: %w", t.taken, ctx.Err())
	case errors.Is(err, dns.ErrAuth):
		t.x.fatal("the server does not take the TSIG key, or has not the zone %s (NOTAUTH): compare the key's name, algorithm and secret with those of the server, and the clocks", t.from.zone)
	case errors.Is(err, dns.ErrNoSig):
		t.x.fatal("the server's answer is not signed although the request was, so it cannot be trusted: the server may not know the key")
	case errors.Is(err, dns.ErrSig), errors.Is(err, dns.ErrTime), errors.Is(err, dns.ErrKeyAlg):
		t.x.fatal("the server's signature is not right: compare the key's name, algorithm and secret with those of the server, and the clocks: %w", err)
	case rcode == dns.RcodeRefused:
		t.x.fatal("the server refuses the transfer (REFUSED): allow it there for this address or for a TSIG key, and give the key")
	case rcode == dns.RcodeNotAuth:
		t.x.fatal("the server has not the zone %s or does not know the key (NOTAUTH): ask one of the zone's own servers, with a TSIG key that it knows", t.from.zone)
	case rcode > 0:
		t.x.fatal("the server denies the transfer of %s (%s)", t.from.zone, rcodeName(rcode))
	case t.taken > 0:
		t.x.fatal("the transfer was cut off after %d records: %w", t.taken, err)
	default:
		t.x.fatal("the server gave no transfer of %s: %w", t.from.zone, err)
	}
}

// transferRcode takes the response code out of the text of the dns package, which has no type for it.
func transferRcode(err error) int {
	var rcode int
	if _, scanErr := fmt.Sscanf(err.Error(), "dns: bad xfr rcode: %d", &rcode); scanErr != nil {
		return 0
	}
	return rcode
}

func rcodeName(rcode int) string {
	if name, ok := dns.RcodeToString[rcode]; ok {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}

// countingConn counts the octets that come.
type countingConn struct {
	net.Conn
	offset *atomic.Int64
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.offset.Add(int64(n))
	return n, err
}
