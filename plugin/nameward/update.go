package nameward

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/tsig"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/plugin/nameward/front"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	keys "github.com/nameward/nameward/registry/tsig"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// updater takes dynamic updates (RFC 2136): those of owned zones into the store, those of gated zones on to
// their primary.
type updater struct {
	snapshot func() *registry.Snapshot
	policy   func() *policy.Policy
	zones    *zone.DB
	book     *updates.Book
	settings func() *updateSettings
	isShared func(key string) bool // it is a TSIG key of the server's
	readmit  *readmission
	log      zerolog.Logger
	sampled  zerolog.Logger // for what strangers can cause
}

// reportEvery is the time in which no more than some lines about failures are logged.
const reportEvery = 10 * time.Second

// updateResult is what became of an update.
type updateResult struct {
	outcome UpdateOutcome
	rcode   int
	ede     uint16 // RFC 8914, when there is something to explain
	why     string
	zone    string
	ruling  ruling
	raw     []byte // not nil: the primary's response, to be handed on as it is
}

// serve answers an update.
func (u *updater) serve(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	begin := time.Now()
	who, unproved := u.asker(ctx, w, r)
	res := u.update(ctx, &who, unproved, r)
	updateResponses[res.outcome].Inc()
	u.report(who, r, &res, time.Since(begin))
	var err error
	if res.raw != nil {
		_, err = w.Write(res.raw)
	} else {
		err = w.WriteMsg(u.reply(r, who, unproved, &res))
	}
	if err != nil {
		return dns.RcodeServerFailure, err
	}
	return dns.RcodeSuccess, nil
}

// asker finds out who sent the update, and why the signature could not be proved. One that the tsig plugin
// has proved is not in r any more.
func (u *updater) asker(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (who asker, unproved error) {
	state := request.Request{W: w, Req: r}
	who.source, _ = netip.ParseAddr(state.IP())
	who.source = who.source.Unmap().WithZone("") // no prefix contains an address with a zone
	key, _ := tsig.ValidatedKeyName(ctx)
	if t := r.IsTsig(); t != nil {
		if err := w.TsigStatus(); err != nil {
			who.claims = dns.CanonicalName(t.Hdr.Name)
			return who, err
		}
		key = t.Hdr.Name
	}
	if key == "" {
		return who, nil
	}
	key = plugin.Name(key).Normalize()
	if a := u.settings().acceptor; a != nil && !u.isShared(key) {
		// Clients choose the names of keys that they agree on with us, which are nobody's names.
		var ok bool
		if who.principal, ok = a.Principal(key); !ok {
			return who, dns.ErrSecret
		}
		return who, nil
	}
	who.principal = key
	return who, nil
}

// update decides about an update and carries it out. It notes in who whether the primary is to prove the
// signature.
func (u *updater) update(ctx context.Context, who *asker, unproved error, r *dns.Msg) updateResult {
	if len(r.Question) != 1 || r.Question[0].Qtype != dns.TypeSOA || r.Question[0].Qclass != dns.ClassINET {
		return updateResult{outcome: UpdateMalformed, rcode: dns.RcodeFormatError, why: "the zone section names no zone: RFC 2136, Section 3.1.1"}
	}
	name := dns.CanonicalName(r.Question[0].Name)
	snap := u.snapshot()
	g := u.settings().gates[name]
	switch z := snap.Zone(name); {
	case g != nil:
	case z == nil || z.Name != name:
		return updateResult{outcome: UpdateForeign, rcode: dns.RcodeNotAuth, zone: name, ede: dns.ExtendedErrorCodeNotAuthoritative, why: name + " is no zone whose updates are taken here"}
	case !z.Updates:
		return updateResult{outcome: UpdateForeign, rcode: dns.RcodeRefused, zone: name, ede: dns.ExtendedErrorCodeProhibited, why: "no updates of zone " + name + " are taken"}
	}
	request, isRaw := front.From(ctx)
	who.vouched = errors.Is(unproved, dns.ErrSecret) && g != nil && g.Signed == config.GatePass && isRaw
	if unproved != nil && !who.vouched {
		return updateResult{outcome: UpdateUnproved, rcode: dns.RcodeNotAuth, zone: name, why: "the signature cannot be proved: " + unproved.Error()}
	}
	if res := zone.Check(name, r.Answer, r.Ns); res.Rcode != 0 {
		return updateResult{outcome: UpdateMalformed, rcode: res.Rcode, zone: name, why: res.Why}
	}
	a := admission{snap: snap, pol: u.policy(), zone: name, who: *who, now: time.Now(), gated: g != nil}
	if g == nil {
		a.view = u.zones.View(name)
	}
	res := updateResult{zone: name, ruling: a.admit(r.Answer, r.Ns)}
	if h := res.ruling.refused; h != nil {
		return u.refuse(res, h)
	}
	switch {
	case g == nil:
		u.store(ctx, *who, r, &res)
		u.readmit.ifChanged(&a)
	case !who.vouched:
		u.send(ctx, g, r, &res)
	case !res.ruling.altered:
		u.relay(ctx, g, request.Raw, &res)
		return res
	default:
		// It cannot be changed, so that nothing of it is passed on.
		res.ruling.pass = nil
	}
	return u.hold(ctx, res)
}

func (u *updater) refuse(res updateResult, h *updates.Held) updateResult {
	res.outcome, res.rcode, res.ede = UpdateRefused, dns.RcodeRefused, dns.ExtendedErrorCodeProhibited
	if h.Reason == reasonUnsigned {
		// Clients that sign only when they are told to try this first, so that it is no news.
		res.outcome = UpdateUnsigned
	} else {
		u.book.Note(*h)
	}
	res.why = whyOf(h)
	return res
}

// store makes the changes in an owned zone.
func (u *updater) store(ctx context.Context, who asker, r *dns.Msg, res *updateResult) {
	by := &zone.By{Source: who.source, Principal: who.principal, At: time.Now().Unix()}
	done, err := u.zones.Do(ctx, zone.Update{Zone: res.zone, Prerequisites: r.Answer, Changes: res.ruling.pass, By: by, Decisions: res.ruling.by})
	if err != nil {
		done = zone.Result{Rcode: dns.RcodeServerFailure, Why: err.Error()}
	}
	res.rcode, res.why = done.Rcode, done.Why
}

// send passes the changes on to the primary of a gated zone. Without changes the primary is asked all the same
// when there are prerequisites, for they decide about the answer.
func (u *updater) send(ctx context.Context, g *gate, r *dns.Msg, res *updateResult) {
	if len(res.ruling.pass) == 0 && len(r.Answer) == 0 {
		return
	}
	m := new(dns.Msg).SetUpdate(res.zone)
	m.Answer, m.Ns = r.Answer, res.ruling.pass
	response, _, err := g.Exchange(ctx, m)
	if err != nil {
		res.outcome, res.rcode, res.ede, res.why = UpdateFailed, dns.RcodeServerFailure, dns.ExtendedErrorCodeNetworkError, err.Error()
		return
	}
	if res.rcode = response.Rcode; res.rcode != dns.RcodeSuccess {
		res.why = "the primary says " + dns.RcodeToString[res.rcode]
	}
}

// relay passes an update on to the primary as it is, with the client's signature, and its response back.
func (u *updater) relay(ctx context.Context, g *gate, raw []byte, res *updateResult) {
	var err error
	if res.raw, err = g.Relay(ctx, raw); err != nil {
		res.outcome, res.rcode, res.ede, res.why = UpdateFailed, dns.RcodeServerFailure, dns.ExtendedErrorCodeNetworkError, err.Error()
		return
	}
	res.outcome, res.rcode = UpdateRelayed, int(res.raw[3]&0x0f)
}

// hold notes what was not published, and says NOERROR when that is on stable storage.
func (u *updater) hold(ctx context.Context, res updateResult) updateResult {
	switch {
	case res.rcode == dns.RcodeServerFailure:
		res.outcome = UpdateFailed
		return res
	case res.rcode != dns.RcodeSuccess:
		res.outcome = UpdateUnmet
		return res
	case len(res.ruling.held) == 0:
		res.outcome = UpdateApplied
		return res
	}
	for _, h := range res.ruling.held {
		u.book.Note(h)
	}
	if err := u.book.Flush(ctx); err != nil && !errors.Is(err, context.Canceled) {
		u.log.Debug().Err(err).Msg("what was quarantined is in memory alone")
	}
	res.outcome, res.ede, res.why = UpdateQuarantined, dns.ExtendedErrorCodeFiltered, whyOf(&res.ruling.held[0])
	if len(res.ruling.pass) > 0 {
		res.outcome = UpdateStripped
	}
	return res
}

// reply makes the response: RFC 2136, Section 3.8.
func (u *updater) reply(r *dns.Msg, who asker, unproved error, res *updateResult) *dns.Msg {
	m := new(dns.Msg).SetRcode(r, res.rcode)
	if r.IsEdns0() != nil {
		m.SetEdns0(dns.DefaultMsgSize, false)
		if res.ede != 0 && u.settings().explains(who.source) {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: res.ede, ExtraText: clipped(res.why, maxExplained)})
		}
	}
	// With a key that the primary alone knows we cannot sign.
	if t := r.IsTsig(); t != nil && !who.vouched {
		m.SetTsig(t.Hdr.Name, t.Algorithm, keys.Fudge, time.Now().Unix())
		m.IsTsig().Error = tsigError(unproved)
		if m.IsTsig().Error == dns.RcodeBadTime {
			tellTime(m.IsTsig(), t)
		}
	}
	return m
}

// tellTime tells a client whose clock is wrong what time it is here, in a signature that counts by its own
// clock: RFC 8945, Section 5.2.3.
func tellTime(stub, request *dns.TSIG) {
	stub.OtherLen, stub.OtherData = 6, fmt.Sprintf("%012x", stub.TimeSigned)
	stub.TimeSigned = request.TimeSigned
}

// tsigError is the error in the signature of a response: RFC 8945, Section 5.2.
func tsigError(err error) uint16 {
	switch {
	case err == nil:
		return dns.RcodeSuccess
	case errors.Is(err, dns.ErrSecret), errors.Is(err, dns.ErrKeyAlg):
		return dns.RcodeBadKey
	case errors.Is(err, dns.ErrTime):
		return dns.RcodeBadTime
	}
	return dns.RcodeBadSig
}

// maxExplained bounds an extended error in octets: it has to fit beside the rest of a response over UDP.
const maxExplained = 200

func clipped(s string, octets int) string { return s[:min(len(s), octets)] }

// report logs an update. Strangers can send a lot of them: what is held is logged where it is noted, once.
func (u *updater) report(who asker, r *dns.Msg, res *updateResult, took time.Duration) {
	e := u.log.Debug()
	if res.outcome == UpdateFailed {
		e = u.sampled.Warn()
	}
	e.Stringer("outcome", res.outcome).Str("zone", res.zone).Stringer("source", who.source).
		Str("rcode", dns.RcodeToString[res.rcode]).Int("changes", len(r.Ns)).Dur("took", took)
	if who.principal != "" {
		e.Str("principal", who.principal)
	}
	if res.why != "" {
		e.Str("why", res.why)
	}
	e.Msg("update")
}
