package nbns

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nameward/nameward/netbios"
)

// The retries of RFC 1002, Section 6.
const (
	DefaultUnicastTries     = 3                      // UCAST_REQ_RETRY_COUNT
	DefaultUnicastTimeout   = 5 * time.Second        // UCAST_REQ_RETRY_TIMEOUT
	DefaultBroadcastTries   = 3                      // BCAST_REQ_RETRY_COUNT
	DefaultBroadcastTimeout = 250 * time.Millisecond // BCAST_REQ_RETRY_TIMEOUT
)

// Client asks name servers and nodes. The zero Client is ready for use; it must not be copied after its
// first use, and the fields must not be changed.
type Client struct {
	// Conn is what the client sends and receives on, one request at a time; it sets the read deadline.
	// It stays the caller's to close. Nil: each request opens a socket of its own.
	Conn net.PacketConn

	UnicastTries     int           // packets sent to a server; 0 means DefaultUnicastTries
	UnicastTimeout   time.Duration // wait after each of them; 0 means DefaultUnicastTimeout
	UnicastFirst     time.Duration // wait after the first of them, doubled after each up to UnicastTimeout; 0 means UnicastTimeout
	BroadcastTries   int           // packets broadcast; 0 means DefaultBroadcastTries
	BroadcastTimeout time.Duration // wait after each of them; 0 means DefaultBroadcastTimeout
	ChallengeTries   int           // packets sent to an owner; 0 means DefaultChallengeTries
	ChallengeTimeout time.Duration // wait after each of them; 0 means DefaultChallengeTimeout
	ChallengePort    uint16        // of every owner; 0 means netbios.Port

	// Wacked, if it is set, is called when a server has asked for time with a WACK: from now on nothing is sent
	// until its answer.
	Wacked func()

	once    sync.Once
	turn    chan struct{} // holds one token during an exchange on Conn
	ignored ignoredCounters
}

// QueryResult is the positive answer to a name query.
type QueryResult struct {
	Name  netbios.Name      // as asked
	Addrs []netbios.Address // each with the flags of the name there
	TTL   time.Duration     // 0 means that the answer does not expire
	RTT   time.Duration     // from the first packet sent
	From  netip.AddrPort    // who answered
}

// StatusResult is the answer to a node status request.
type StatusResult struct {
	Name   netbios.Name // as asked
	Status netbios.NodeStatus
	RTT    time.Duration  // from the first packet sent
	From   netip.AddrPort // who answered
}

// Query asks one server for a name, with RD set, RFC 1002, Section 4.2.12. The server is usually at
// netbios.Port.
//
// A negative answer is a *NegativeError, a redirect a *RedirectError. If nobody answers in time, the
// error wraps os.ErrDeadlineExceeded; if ctx ends first, that of ctx.
func (c *Client) Query(ctx context.Context, server netip.AddrPort, name netbios.Name) (QueryResult, error) {
	x := c.unicast(netbios.NewQuery(newID(), name), server)
	replies, err := c.exchange(ctx, x)
	if err != nil {
		return QueryResult{}, fmt.Errorf("query %s at %s: %w", name, server, err)
	}
	if err := refusal(replies[0]); err != nil {
		return QueryResult{}, err
	}
	return queryResult(name, replies[0]), nil
}

// QueryBroadcast broadcasts a query for a name to an address such as 192.0.2.255:137. It returns every
// node that answers until the end of the wait in which the first one does, each once; several answers
// for a unique name mean a conflict or a forgery. Errors are those of Query; negative answers are
// ignored.
func (c *Client) QueryBroadcast(ctx context.Context, bcast netip.AddrPort, name netbios.Name) ([]QueryResult, error) {
	x := exchange{
		request:   netbios.NewQuery(newID(), name).Broadcast(),
		to:        bcast,
		tries:     orDefault(c.BroadcastTries, DefaultBroadcastTries),
		timeout:   orDefault(c.BroadcastTimeout, DefaultBroadcastTimeout),
		broadcast: true,
	}
	replies, err := c.exchange(ctx, x)
	if err != nil {
		return nil, fmt.Errorf("query %s by broadcast to %s: %w", name, bcast, err)
	}
	results := make([]QueryResult, len(replies))
	for i, r := range replies {
		results[i] = queryResult(name, r)
	}
	return results, nil
}

// NodeStatus asks a node for the names that it has, RFC 1002, Section 4.2.17. The name is usually the
// wildcard '*'. Errors are those of Query.
func (c *Client) NodeStatus(ctx context.Context, node netip.AddrPort, name netbios.Name) (StatusResult, error) {
	x := c.unicast(netbios.NewNodeStatusRequest(newID(), name), node)
	replies, err := c.exchange(ctx, x)
	if err != nil {
		return StatusResult{}, fmt.Errorf("node status of %s at %s: %w", name, node, err)
	}
	r := replies[0]
	if err := refusal(r); err != nil {
		return StatusResult{}, err
	}
	status, _ := r.msg.Answers[0].Data.(netbios.NodeStatus)
	return StatusResult{Name: name, Status: status, RTT: r.rtt, From: r.from}, nil
}

// unicast returns the exchange of a request with one server.
func (c *Client) unicast(request netbios.Message, server netip.AddrPort) exchange {
	return exchange{
		request: request,
		to:      server,
		tries:   orDefault(c.UnicastTries, DefaultUnicastTries),
		timeout: orDefault(c.UnicastTimeout, DefaultUnicastTimeout),
		first:   c.UnicastFirst,
	}
}

func queryResult(name netbios.Name, r reply) QueryResult {
	claim, _ := r.msg.Claim()
	return QueryResult{
		Name:  name,
		Addrs: claim.Addrs,
		TTL:   time.Duration(claim.TTL) * time.Second,
		RTT:   r.rtt,
		From:  r.from,
	}
}

// newID returns a transaction id that a stranger cannot foresee.
func newID() uint16 { return uint16(rand.Uint32()) }

// orDefault returns v, or def if v is zero or less.
func orDefault[T int | uint16 | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// Ignored counts the packets that a client received and did not take for an answer.
type Ignored struct {
	Source    uint64 // from another address or port than the request went to
	ID        uint64 // with another transaction id
	Request   uint64 // without the response bit
	Malformed uint64
	Mismatch  uint64 // for another name, or of a form that does not answer the request
}

// ignoredCounters is Ignored while it is being counted.
type ignoredCounters struct {
	source, id, request, malformed, mismatch atomic.Uint64
}

// Ignored returns the counts since the first use of the client.
func (c *Client) Ignored() Ignored {
	return Ignored{
		Source:    c.ignored.source.Load(),
		ID:        c.ignored.id.Load(),
		Request:   c.ignored.request.Load(),
		Malformed: c.ignored.malformed.Load(),
		Mismatch:  c.ignored.mismatch.Load(),
	}
}
