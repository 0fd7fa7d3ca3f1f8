package winsclient

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry/push"
)

// Patience implements push.Patient.
func (*Driver) Patience() time.Duration { return patience }

// Push implements push.Driver.
func (d *Driver) Push(ctx context.Context, items []*push.Item) {
	for _, it := range items {
		it.Sent()
	}
	d.each(ctx, items, (*round).deliver, func(it *push.Item, jobs []*job) {
		for _, j := range jobs {
			if j.err != nil {
				it.Fail(j.err)
				return
			}
		}
		it.Acked()
	})
}

// deliver takes what is wrong away and registers what is right.
func (r *round) deliver(ctx context.Context, j *job) error {
	if err := r.query(ctx, j); err != nil {
		return err
	}
	before := j.found
	if f := j.foreign(); len(f) > 0 && !r.repair {
		return fmt.Errorf("%s has %s at %s, which is no node's and was not told from here: with repair: true it is written over", r.server, j.name, spell(f))
	}
	wrong := j.wrong()
	for _, a := range wrong {
		if err := r.release(ctx, j, a); err != nil {
			return err
		}
	}
	if err := r.registerAll(ctx, j); err != nil || len(wrong) == 0 && len(j.want) < 2 {
		return err
	}
	return r.settled(ctx, j, before)
}

// release gives back one address. A refusal is not the end: the server may not know it any more, or give it away
// after a challenge.
func (r *round) release(ctx context.Context, j *job, addr netip.Addr) error {
	_, err := r.claim(ctx, j, addr, func(id uint16, name netbios.Name, _ uint32, addrs ...netbios.Address) netbios.Message {
		return netbios.NewRelease(id, name, addrs...)
	})
	if negative := (*nbns.NegativeError)(nil); errors.As(err, &negative) {
		return nil
	}
	return err
}

// registerAll registers each address.
func (r *round) registerAll(ctx context.Context, j *job) error {
	form := netbios.NewRegistration
	if len(j.want) > 1 && j.name.Suffix() != internetGroup {
		form = netbios.NewMultihomed
	}
	// What the server has already comes first, for it is asked to confirm the others.
	order := slices.Concat(without(j.want, j.missing()), j.missing())
	var least time.Duration
	for _, a := range order {
		granted, err := r.register(ctx, j, a, form)
		if err != nil {
			return err
		}
		least = sooner(least, granted.TTL)
		j.found = append(j.found, a)
	}
	r.grant(j.name, len(order) > 0, least)
	return nil
}

func (r *round) register(ctx context.Context, j *job, addr netip.Addr, form func(uint16, netbios.Name, uint32, ...netbios.Address) netbios.Message) (nbns.ClaimResult, error) {
	result, err := r.claim(ctx, j, addr, form)
	if errors.Is(err, nbns.ErrEndNodeChallenge) {
		result, err = r.challenge(ctx, j, addr, result.Addrs)
	}
	negative := (*nbns.NegativeError)(nil)
	if !errors.As(err, &negative) {
		return result, err
	}
	switch owners := without(j.found, []netip.Addr{addr}); {
	case len(j.want) > 1 && len(owners) > 0:
		err = fmt.Errorf("%w, for it has the name at %s: nobody there confirms several addresses; let nameward answer NetBIOS at each of them, or write addresses: first", err, spell(owners))
	case negative.Rcode == netbios.RcodeActive && len(owners) > 0:
		err = fmt.Errorf("%w: the host at %s says that the name is its own, or the entry is static; let nameward answer NetBIOS there, or take the name off that host", err, spell(owners))
	default:
		err = fmt.Errorf("%w, when %s is registered: look whether the server has a static entry or a group of that name", err, addr)
	}
	return result, err
}

// challenge asks the owners in place of the server, and writes over what none of them defends: RFC 1002,
// Section 5.1.1.2.
func (r *round) challenge(ctx context.Context, j *job, addr netip.Addr, owners []netbios.Address) (nbns.ClaimResult, error) {
	j.found = nil
	for _, o := range owners {
		j.found = append(j.found, o.Addr)
	}
	conn, err := r.listen(ctx, netip.Addr{})
	if err != nil {
		return nbns.ClaimResult{}, err
	}
	defer conn.Close()
	answers, err := (&nbns.Client{Conn: conn}).Challenge(ctx, j.name, without(j.found, j.want))
	if err != nil {
		return nbns.ClaimResult{}, err
	}
	for _, a := range answers {
		if a.Stance == nbns.OwnerConfirms && !slices.ContainsFunc(a.Addrs, func(b netbios.Address) bool { return b.Addr == addr }) {
			return nbns.ClaimResult{}, &nbns.NegativeError{Name: j.name, Rcode: netbios.RcodeActive, From: netip.AddrPortFrom(a.Owner, netbios.Port)}
		}
	}
	return r.claim(ctx, j, addr, netbios.NewOverwrite)
}

// settled asks whether the server did as it said: it confirms releases that it does not carry out, and may keep one
// address of several.
func (r *round) settled(ctx context.Context, j *job, before []netip.Addr) error {
	if err := r.query(ctx, j); err != nil {
		return err
	}
	switch kept, missing := j.wrong(), j.missing(); {
	case len(kept) > 0 && len(without(kept, before)) == 0:
		return fmt.Errorf("%s keeps %s at %s: it takes a release from that host only; run nameward there too, or wait until the entry has ended, for nobody here refreshes it", r.server, j.name, spell(kept))
	case len(kept) > 0:
		return fmt.Errorf("%s has %s at %s again: somebody else registers it", r.server, j.name, spell(kept))
	case len(missing) > 0:
		return fmt.Errorf("%s does not keep %s at %s as well: let nameward answer NetBIOS at each address, or write addresses: first", r.server, j.name, spell(missing))
	}
	return nil
}

func spell(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}
