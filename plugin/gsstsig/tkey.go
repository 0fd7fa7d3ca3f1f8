package gsstsig

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/miekg/dns"
)

// Modes of TKEY (RFC 2930, Section 2.5).
const (
	modeGSS    = 3
	modeDelete = 5
)

// fudge is that of our signatures, in seconds (RFC 8945, Section 10).
const fudge = 300

func (a *Acceptor) answer(req *dns.Msg, from netip.Addr, signer string) (*dns.Msg, Result) {
	if req.Response || req.Opcode != dns.OpcodeQuery {
		return nil, Result{Outcome: Ignored, Err: errors.New("not a query")}
	}
	query, err := tkeyOf(req)
	if err != nil {
		return new(dns.Msg).SetRcode(req, dns.RcodeFormatError), Result{Outcome: Malformed, Err: err}
	}
	res := Result{KeyName: dns.CanonicalName(query.Hdr.Name)}
	record := &dns.TKEY{
		Hdr:       dns.RR_Header{Name: query.Hdr.Name, Rrtype: dns.TypeTKEY, Class: dns.ClassANY},
		Algorithm: query.Algorithm, Inception: query.Inception, Expiration: query.Expiration, Mode: query.Mode,
	}
	switch {
	case query.Mode == modeGSS && isGSS(query.Algorithm):
		err = a.negotiate(query, record, from, &res)
	case query.Mode == modeDelete && isGSS(query.Algorithm):
		err = a.delete(signer, &res)
	case query.Mode == modeGSS || query.Mode == modeDelete:
		// The name is not sent back: one that was compressed would make the reply larger than the query.
		record.Algorithm = Algorithm
		err = refuse(BadAlgorithm, "algorithm %s: %s is served", query.Algorithm, Algorithm)
	default:
		record.Algorithm = Algorithm
		err = refuse(BadMode, "mode %d: 3 (GSS-API) and 5 (delete) are served", query.Mode)
	}
	if err != nil {
		res.Outcome, res.Err, record.Error = outcomeOf(err), err, codeOf(outcomeOf(err))
	}
	reply := new(dns.Msg).SetReply(req)
	reply.Compress = true
	reply.Answer = []dns.RR{record}
	if err == nil {
		reply.SetTsig(query.Hdr.Name, query.Algorithm, fudge, time.Now().Unix())
	}
	return reply, res
}

// tkeyOf gives the one TKEY record of a query. It belongs into the additional section (RFC 2930, Section
// 4); Windows 2000 puts it into that of the answer.
func tkeyOf(req *dns.Msg) (*dns.TKEY, error) {
	if len(req.Question) != 1 || req.Question[0].Qtype != dns.TypeTKEY {
		return nil, errors.New("not one question for TKEY")
	}
	var found *dns.TKEY
	for _, section := range [][]dns.RR{req.Extra, req.Answer} {
		for _, rr := range section {
			if t, ok := rr.(*dns.TKEY); ok {
				if found != nil {
					return nil, errors.New("more than one TKEY record")
				}
				found = t
			}
		}
	}
	if found == nil {
		return nil, errors.New("no TKEY record")
	}
	if dns.CanonicalName(found.Hdr.Name) != dns.CanonicalName(req.Question[0].Name) {
		return nil, errors.New("the TKEY record is not of the name that is asked for")
	}
	return found, nil
}

func isGSS(algorithm string) bool {
	name := dns.CanonicalName(algorithm)
	return name == Algorithm || name == AlgorithmMS
}

func outcomeOf(err error) Outcome {
	if r := new(refusal); errors.As(err, &r) {
		return r.outcome
	}
	return BadToken
}

// codeOf is the error field of TKEY (RFC 2930, Section 2.6; RFC 3645, Section 4.1). The rcode of the
// message is NOERROR.
func codeOf(o Outcome) uint16 {
	switch o {
	case BadMode:
		return dns.RcodeBadMode
	case BadAlgorithm:
		return dns.RcodeBadAlg
	case BadName:
		return dns.RcodeBadName
	case Unsigned:
		return dns.RcodeBadSig
	}
	return dns.RcodeBadKey
}

// negotiate is RFC 3645, Section 4.1.
func (a *Acceptor) negotiate(query, record *dns.TKEY, from netip.Addr, res *Result) error {
	now := time.Now()
	if err := a.checkName(res.KeyName, now); err != nil {
		return err
	}
	token, err := hex.DecodeString(query.Key)
	if err != nil {
		return err
	}
	o, err := parseOffer(token)
	if err != nil {
		return err
	}
	p, answer, err := a.services.Load().accept(o.token, now)
	if err != nil {
		return err
	}
	c := &agreed{name: res.KeyName, peer: p, client: from, ends: a.end(p, query, now), seen: newMemory(p)}
	if answer, err = o.complete(answer, c); err != nil {
		return err
	}
	res.Principal, res.Service, res.Ends = p.client, p.service, c.ends
	if err := a.add(c, now); err != nil {
		return err
	}
	res.Outcome = Accepted
	record.Inception, record.Expiration = uint32(now.Unix()), uint32(c.ends.Unix())
	record.Key, record.KeySize = hex.EncodeToString(answer), uint16(len(answer))
	return nil
}

// newMemory is for the messages of a client.
func newMemory(p *peer) memory {
	if p.keys.base.KeyType == etypeID.RC4_HMAC {
		return new(recent)
	}
	return &window{first: p.theirSeq}
}

// complete puts the answer into SPNEGO if the client speaks that. A client that signed its list of
// mechanisms has it signed in return (RFC 4178, Section 5).
func (o offer) complete(answer []byte, c *agreed) ([]byte, error) {
	if !o.spnego {
		return answer, nil
	}
	resp := negTokenResp{State: stateCompleted, Mech: o.mech, Token: answer}
	if len(o.mic) > 0 {
		id, err := c.peer.keys.verify(o.mechs, o.mic, false)
		if err != nil || !c.seen.take(id) {
			return nil, errors.New("NegTokenInit: the signature of the mechanisms does not verify")
		}
		if resp.MIC, err = c.peer.keys.sign(o.mechs, c.peer.ourSeq, true); err != nil {
			return nil, err
		}
		c.peer.ourSeq++
	}
	return encodeResp(resp), nil
}

// end is when a context ends: with the ticket, when the client says, or at our limit.
func (a *Acceptor) end(p *peer, query *dns.TKEY, now time.Time) time.Time {
	ends := now.Add(a.config.MaxLifetime)
	// Ring arithmetic, RFC 2930, Section 2.3. Clients that do not care send a time that is over.
	if wanted := time.Duration(int32(query.Expiration-uint32(now.Unix()))) * time.Second; wanted > 0 && now.Add(wanted).Before(ends) {
		ends = now.Add(wanted)
	}
	if p.ends.Before(ends) {
		ends = p.ends
	}
	return ends
}

func (a *Acceptor) checkName(name string, now time.Time) error {
	reserved := name == "." || a.config.Reserved != nil && a.config.Reserved(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	if reserved || a.table.live(name, now) != nil {
		return refuse(BadName, "the key name %s is taken", name)
	}
	return nil
}

// add makes the context known, if its name is still free and its authenticator new.
func (a *Acceptor) add(c *agreed, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.replays.take(c.peer.id, now) {
		return refuse(Replayed, "the authenticator of %s was used before", c.peer.client)
	}
	if a.table.live(c.name, now) != nil {
		return refuse(BadName, "the key name %s is taken", c.name)
	}
	a.table.add(c, now)
	return nil
}

// lastWords is how long the reply to a deletion may still be signed.
const lastWords = 5 * time.Second

// delete is RFC 2930, Section 4.2: whoever has the key may give it up.
func (a *Acceptor) delete(signer string, res *Result) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	c := a.table.live(res.KeyName, now)
	if c == nil || c.deleted.Load() {
		return refuse(BadName, "there is no key %s", res.KeyName)
	}
	if signer != res.KeyName {
		return refuse(Unsigned, "the deletion of %s is not signed with it", res.KeyName)
	}
	c.deleted.Store(true)
	if limit := now.Add(lastWords); limit.Before(c.ends) {
		c.ends = limit
	}
	res.Outcome, res.Principal, res.Service = Deleted, c.peer.client, c.peer.service
	return nil
}
