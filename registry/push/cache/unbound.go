package cache

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/nameward/nameward/registry/push/said"
	"github.com/nameward/nameward/registry/trust"
)

// unbound is told over the channel of unbound-control: one command for a connection, which it closes behind its answer.
type unbound struct {
	socket        string         // path; "" if addr is set
	addr          netip.AddrPort // over TLS if there are keys
	key, cert, ca string         // paths
}

func (u *unbound) flush(ctx context.Context, names []string) []error {
	conf, err := u.tls()
	if err != nil {
		return all(names, err)
	}
	// A name's A, AAAA, PTR and others are forgotten by one command.
	return each(ctx, names, func(name string) error { return u.command(ctx, conf, "flush "+name) })
}

// tls is nil for a channel without.
func (u *unbound) tls() (*tls.Config, error) {
	if u.key == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(u.cert, u.key)
	if err != nil {
		return nil, err
	}
	pool, err := trust.Pool(u.ca)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
		// No session is resumed, although each name is a connection: unbound 1.17 ends such a handshake with an alert.
		// The certificate that unbound-control-setup makes names no host. It, or one that it has signed, must be there.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		},
	}, nil
}

// unboundMagic begins a command of version 1 of the channel.
const unboundMagic = "UBCT1 "

func (u *unbound) command(ctx context.Context, conf *tls.Config, command string) error {
	network, addr := "unix", u.socket
	if u.addr.IsValid() {
		network, addr = "tcp", u.addr.String()
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return cause(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if conf != nil {
		conn = tls.Client(conn, conf)
	}
	if _, err := io.WriteString(conn, unboundMagic+command+"\n"); err != nil {
		return cause(ctx, err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, said.Most))
	switch {
	case err != nil:
		return cause(ctx, err)
	case len(answer) > 0:
		return unboundSays(answer, command)
	}
	return errors.New("unbound closes the connection without a word: is control over TLS, and has it the right certificates?")
}

// unboundSays is nil for an answer of "ok".
func unboundSays(answer []byte, command string) error {
	line, _, _ := bytes.Cut(answer, []byte("\n"))
	if string(line) == "ok" {
		return nil
	}
	return fmt.Errorf("%s: unbound says: %s", command, said.Line(line))
}
