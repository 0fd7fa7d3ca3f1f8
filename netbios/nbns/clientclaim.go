package nbns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/nameward/nameward/netbios"
)

// ErrEndNodeChallenge is the error of a registration whose sender is asked to challenge the owner itself,
// RFC 1002, Section 4.2.7: nothing is granted. The result beside it has the owner's addresses.
var ErrEndNodeChallenge = errors.New("the owner is to be challenged by the node itself")

// errNoClaim is for the programmer.
var errNoClaim = errors.New("no registration, refresh or release of one name")

// ClaimResult is the answer to a claim.
type ClaimResult struct {
	Name   netbios.Name      // as claimed
	Addrs  []netbios.Address // as answered: at least one; in a negative answer usually the owner's or those claimed
	TTL    time.Duration     // granted; 0 means that the name does not expire
	Wacked bool              // the server sent a WACK before its answer
	RTT    time.Duration     // from the first packet sent
	From   netip.AddrPort    // who answered
}

// Claim sends one server a registration, multihomed registration, overwrite, refresh or release as
// package netbios makes it, with a transaction id of its own in place of the message's:
//
//	c.Claim(ctx, server, netbios.NewRegistration(0, name, ttl, addr))
//
// It is one method, for the packet is all that differs: the constructors know the flags of each form,
// and whoever tests a server can send it what they would not.
//
// A negative answer is a *NegativeError, one with RA clear ErrEndNodeChallenge; the result beside these
// two says what else was in the answer. A WACK ends the resending and sets the time to wait, once.
// If nobody answers in time, the error wraps os.ErrDeadlineExceeded; if ctx ends first, that of ctx.
func (c *Client) Claim(ctx context.Context, server netip.AddrPort, m netbios.Message) (ClaimResult, error) {
	claim, ok := m.Claim()
	if !ok || len(m.Questions) != 1 || !isClaim(m.Form()) {
		return ClaimResult{}, errNoClaim
	}
	m.ID = newID()
	replies, err := c.exchange(ctx, c.unicast(m, server))
	if err != nil {
		return ClaimResult{}, fmt.Errorf("%s of %s at %s: %w", m.Form(), claim.Name, server, err)
	}
	result := claimResult(claim.Name, replies[0])
	if replies[0].msg.Form() == netbios.FormEndNodeChallenge {
		return result, fmt.Errorf("%s of %s at %s: %w", m.Form(), claim.Name, server, ErrEndNodeChallenge)
	}
	return result, refusal(replies[0])
}

func isClaim(form netbios.Form) bool {
	return answers(form, netbios.FormPositiveRegistration) || answers(form, netbios.FormPositiveRelease)
}

func claimResult(name netbios.Name, r reply) ClaimResult {
	granted, _ := r.msg.Claim()
	return ClaimResult{
		Name:   name,
		Addrs:  granted.Addrs,
		TTL:    time.Duration(granted.TTL) * time.Second,
		Wacked: r.wacked,
		RTT:    r.rtt,
		From:   r.from,
	}
}
