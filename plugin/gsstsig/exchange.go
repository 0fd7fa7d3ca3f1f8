package gsstsig

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// Exchange sends a query and gives the reply. A TSIG in the reply is to be verified with the provider, on
// the octets as they came; an error of its is to be returned.
type Exchange func(ctx context.Context, query *dns.Msg, tsig dns.TsigProvider) (*dns.Msg, error)

// exchangeTimeout bounds each of connecting, writing and reading.
const exchangeTimeout = 5 * time.Second

// TCP exchanges with a server, "ADDRESS:PORT", over a connection for each query.
func TCP(server string) Exchange {
	return func(ctx context.Context, query *dns.Msg, tsig dns.TsigProvider) (*dns.Msg, error) {
		c := &dns.Client{Net: "tcp", Timeout: exchangeTimeout, TsigProvider: tsig}
		reply, _, err := c.ExchangeContext(ctx, query, server)
		return reply, err
	}
}

// listener is a provider that keeps what a reply's TSIG signs: it comes before the key is known.
type listener struct {
	msg  []byte
	tsig *dns.TSIG
}

func (l *listener) Generate([]byte, *dns.TSIG) ([]byte, error) { return nil, dns.ErrSecret }

func (l *listener) Verify(msg []byte, t *dns.TSIG) error {
	l.msg, l.tsig = msg, t
	return nil
}
