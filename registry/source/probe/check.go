package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nameward/nameward/registry/config"
)

// Target is one address and what is asked of it.
type Target struct {
	Addr  netip.Addr
	Probe *config.Probe
}

// maxBody bounds what is read of an HTTP response.
const maxBody = 64 << 10

// maxBanner bounds an SMTP greeting: RFC 5321, Section 4.5.3.1.5, for each of a few lines.
const maxBanner = 16 * 512

// Check asks the target once. It returns nil when the target serves.
func Check(ctx context.Context, t Target) error {
	ctx, cancel := context.WithTimeout(ctx, t.Probe.Timeout)
	defer cancel()
	switch t.Probe.Kind {
	case config.ProbeTCP:
		conn, err := dial(ctx, t)
		if err != nil {
			return err
		}
		return conn.Close()
	case config.ProbeSMTP:
		return checkSMTP(ctx, t)
	case config.ProbeHTTP:
		return checkHTTP(ctx, t)
	}
	return fmt.Errorf("there is no probe of kind %q", t.Probe.Kind)
}

func dial(ctx context.Context, t Target) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(t.Addr, t.Probe.Port).String())
	if err != nil {
		return nil, plain(err)
	}
	return conn, nil
}

// plain leaves out of a network error what status says beside it: the address and the call.
func plain(err error) error {
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.As(err, &errno):
		return errno
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// checkSMTP waits for a greeting of 220 and takes its leave: RFC 5321, Sections 3.1 and 4.1.1.10.
func checkSMTP(ctx context.Context, t Target) error {
	conn, err := dial(ctx, t)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	in := bufio.NewReaderSize(io.LimitReader(conn, maxBanner), 1024)
	if err := reply(in, "220"); err != nil {
		return err
	}
	_, _ = io.WriteString(conn, "QUIT\r\n")
	_ = reply(in, "221") // the verdict stands, but a server that is cut off logs it
	return nil
}

// reply reads one reply, which may have several lines (RFC 5321, Section 4.2.1), and compares its code.
func reply(in *bufio.Reader, want string) error {
	for {
		line, err := in.ReadString('\n')
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the connection was closed before the SMTP greeting")
		case err != nil:
			return plain(err)
		case len(line) < 4 || !strings.HasPrefix(line, want):
			return fmt.Errorf("the SMTP greeting is %s, want 220", code(line))
		case line[3] != '-':
			return nil
		}
	}
}

// code is the reply code of a line; what else a stranger says is not shown.
func code(line string) string {
	if len(line) < 3 || strings.Trim(line[:3], "0123456789") != "" {
		return "no SMTP reply"
	}
	return line[:3]
}

func checkHTTP(ctx context.Context, t Target) error {
	p := t.Probe
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL(t.Addr), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "nameward")
	req.Host = p.HTTP.Host
	res, err := client(p).Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return plain(err)
	}
	defer func() { _ = res.Body.Close() }()
	if !slices.Contains(p.HTTP.Status, res.StatusCode) {
		return fmt.Errorf("HTTP status %d, want %s", res.StatusCode, statuses(p.HTTP.Status))
	}
	if p.HTTP.Body == "" {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if bytes.Contains(body, []byte(p.HTTP.Body)) {
		return nil
	}
	if err != nil {
		return plain(err)
	}
	return fmt.Errorf("the HTTP response does not contain %q", p.HTTP.Body)
}

func statuses(codes []int) string {
	words := make([]string, len(codes))
	for i, c := range codes {
		words[i] = fmt.Sprint(c)
	}
	return strings.Join(words, " or ")
}

// client makes a client of its own for each check: a connection that is kept alive would tell that it
// lives, not that a new one would be accepted. It follows no redirect and asks no proxy.
func client(p *config.Probe) *http.Client {
	name := p.HTTP.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxBody,
			TLSClientConfig:        &tls.Config{ServerName: name, InsecureSkipVerify: p.HTTP.InsecureTLS},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
