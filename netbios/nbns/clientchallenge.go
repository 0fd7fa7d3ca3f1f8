package nbns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios"
)

// The retries of a challenge, about as the name servers of Windows and Samba have them: the claimant waits
// meanwhile, and RFC 1002, Section 6 would let it wait for 15 seconds. Three tries take a little less than
// 3 s, so that a dead owner's name has changed hands by then, the writing included.
const (
	DefaultChallengeTries   = 3
	DefaultChallengeTimeout = 950 * time.Millisecond
)

// maxOwners limits the packets of one challenge. A name has up to 25 addresses, and a replication packet
// has room for 255.
const maxOwners = 255

// Stance is what an owner says when it is challenged.
type Stance uint8

// The stances.
const (
	OwnerSilent   Stance = iota // nothing in time
	OwnerDenies                 // that the name is not its own
	OwnerConfirms               // that the name is its own
)

// String returns the stance in one word.
func (s Stance) String() string {
	switch s {
	case OwnerDenies:
		return "denies"
	case OwnerConfirms:
		return "confirms"
	}
	return "silent"
}

// OwnerAnswer is what came of challenging one address.
type OwnerAnswer struct {
	Owner  netip.Addr // as challenged
	Stance Stance
	Addrs  []netbios.Address // of an owner that confirms: where it says that it has the name, with its flags
	Rcode  netbios.Rcode     // of one that denies
	RTT    time.Duration     // from the first packet sent; 0 if it is silent
	Err    error             // why a silent one could not be asked the last time, or nil
}

// Challenge asks the recorded owners of a name whether it is still theirs, as a name server does before it
// gives the name to somebody else: a unicast query with RD clear, RFC 1002, Sections 4.2.12 and 5.1.4.1.
// All are asked at the same time, each up to ChallengeTries times with ChallengeTimeout between.
//
// There is one answer for each address, in the order given, an address that is given twice counting
// once. The first owner that confirms ends the challenge, and leaves those silent that have not spoken:
// its list of addresses settles whether the claimant is one of the owner's own. So does the word of
// the last one. An answer counts only with the id that this one address was asked with, and from it and
// its port. On a socket of its own, with Conn nil, a stranger has to guess the port too.
//
// An unreachable port or host is silence. With an error nothing is known, and nobody may be taken for
// gone: no socket, the end of ctx.
func (c *Client) Challenge(ctx context.Context, name netbios.Name, owners []netip.Addr) ([]OwnerAnswer, error) {
	answers, err := c.challenge(ctx, name, owners)
	if err != nil {
		return nil, fmt.Errorf("challenge of the owners of %s: %w", name, err)
	}
	return answers, nil
}

func (c *Client) challenge(ctx context.Context, name netbios.Name, owners []netip.Addr) ([]OwnerAnswer, error) {
	if len(owners) > maxOwners {
		return nil, fmt.Errorf("%d addresses, at most %d can be asked", len(owners), maxOwners)
	}
	ch := challenge{ignored: &c.ignored}
	for _, a := range owners {
		if err := ch.add(name, netip.AddrPortFrom(a.Unmap(), orDefault(c.ChallengePort, netbios.Port))); err != nil {
			return nil, err
		}
	}
	if len(ch.owners) == 0 {
		return nil, nil
	}
	conn, done, err := c.conn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	defer endReads(ctx, conn)()
	tries := orDefault(c.ChallengeTries, DefaultChallengeTries)
	return ch.run(ctx, conn, tries, orDefault(c.ChallengeTimeout, DefaultChallengeTimeout))
}

// challenge is one in progress.
type challenge struct {
	owners  []owner
	answers []OwnerAnswer // of each of them
	ignored *ignoredCounters
	begin   time.Time
}

// owner is one address that is asked. Each has an id of its own, or the first could speak for the second.
type owner struct {
	exchange
	packet []byte
}

func (ch *challenge) add(name netbios.Name, to netip.AddrPort) error {
	if ch.index(to) >= 0 {
		return nil
	}
	query := netbios.NewQuery(newID(), name)
	query.Flags &^= netbios.FlagRecursionDesired
	packet, err := query.Append(nil)
	if err != nil {
		return err
	}
	ch.owners = append(ch.owners, owner{exchange{request: query, to: to}, packet})
	ch.answers = append(ch.answers, OwnerAnswer{Owner: to.Addr()})
	return nil
}

func (ch *challenge) index(a netip.AddrPort) int {
	return slices.IndexFunc(ch.owners, func(o owner) bool { return o.to == a })
}

func (ch *challenge) run(ctx context.Context, conn net.PacketConn, tries int, timeout time.Duration) ([]OwnerAnswer, error) {
	ch.begin = time.Now()
	buf := make([]byte, maxReceived)
	for range tries {
		if err := ch.ask(conn); err != nil {
			return nil, err
		}
		deadline := time.Now().Add(timeout)
		if err := receive(ctx, conn, buf, &deadline, ch.take); err != nil {
			return nil, err
		}
		if ch.settled() {
			break
		}
	}
	return ch.answers, nil
}

// ask asks those that have not spoken. An address that cannot be sent to does not keep the others from
// being asked, and is tried again.
func (ch *challenge) ask(conn net.PacketConn) error {
	for i, o := range ch.owners {
		if ch.answers[i].Stance != OwnerSilent {
			continue
		}
		_, err := conn.WriteTo(o.packet, net.UDPAddrFromAddrPort(o.to))
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		ch.answers[i].Err = err
	}
	return nil
}

// take looks at one packet. It is done when the challenge is settled.
func (ch *challenge) take(b []byte, from netip.AddrPort) (done bool, err error) {
	i := ch.index(from)
	if i < 0 {
		ch.ignored.source.Add(1)
		return false, nil
	}
	m, v := ch.owners[i].judge(b, from, ch.ignored)
	if v == verdictIgnore || ch.answers[i].Stance != OwnerSilent {
		return false, nil
	}
	if !ch.answers[i].note(m) {
		ch.ignored.mismatch.Add(1)
		return false, nil
	}
	ch.answers[i].RTT = time.Since(ch.begin)
	return ch.settled(), nil
}

// note takes down what an owner says, and reports false if that is nothing of its own names: a WACK, or a
// redirect.
func (a *OwnerAnswer) note(m netbios.Message) bool {
	switch m.Form() {
	case netbios.FormPositiveQuery:
		claim, _ := m.Claim()
		a.Stance, a.Addrs = OwnerConfirms, claim.Addrs
	case netbios.FormNegativeQuery:
		a.Stance, a.Rcode = OwnerDenies, m.Rcode
	default:
		return false
	}
	a.Err = nil
	return true
}

// settled reports whether an owner has confirmed, or all have spoken.
func (ch *challenge) settled() bool {
	spoken := 0
	for _, a := range ch.answers {
		if a.Stance == OwnerConfirms {
			return true
		}
		if a.Stance != OwnerSilent {
			spoken++
		}
	}
	return spoken == len(ch.answers)
}
