package nameward

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/tsig"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/nameward/nameward/plugin/nameward/front"
	"github.com/nameward/nameward/registry/config"
)

// isTKEY reports the queries by which clients agree on a key: RFC 2930, Section 4.
func isTKEY(r *dns.Msg) bool {
	return r.Opcode == dns.OpcodeQuery && len(r.Question) == 1 && r.Question[0].Qtype == dns.TypeTKEY
}

// serveTKEY agrees with a client on a key, or lets the client agree with the primary of a gate whose updates
// are passed on with the client's signature.
func (s *updateService) serveTKEY(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	req, ok := front.From(ctx)
	if !ok {
		return dns.RcodeRefused, nil // what is signed with the key could not be verified
	}
	return s.agree(ctx, w, r, req.Raw)
}

// agree answers a query, which came as raw.
func (s *updateService) agree(ctx context.Context, w dns.ResponseWriter, r *dns.Msg, raw []byte) (int, error) {
	cur := s.cur.Load()
	behind := cur.primaryFor(dns.CanonicalName(r.Question[0].Name))
	if cur.acceptor != nil {
		state := request.Request{W: w, Req: r}
		source, _ := netip.ParseAddr(state.IP())
		reply, res := cur.acceptor.Answer(r, source, signer(ctx, w, r))
		e := s.log.Debug()
		if res.Err != nil {
			e = s.sampled.Info().Err(res.Err)
		}
		e.Str("outcome", string(res.Outcome)).Stringer("source", source).Str("principal", res.Principal).Msg("GSS-TSIG negotiation")
		switch {
		case reply == nil:
			return dns.RcodeFormatError, nil
		case res.Err == nil || behind == nil:
			withOPT(reply, r)
			return dns.RcodeSuccess, w.WriteMsg(reply)
		}
	}
	if behind == nil {
		return dns.RcodeRefused, nil
	}
	response, err := behind.Relay(ctx, raw)
	if err != nil {
		s.sampled.Warn().Err(err).Str("zone", behind.Zone).Msg("GSS-TSIG negotiation with the primary")
		return dns.RcodeServerFailure, nil
	}
	if state := (request.Request{W: w, Req: r}); state.Proto() == "udp" && len(response) > len(raw) {
		// Anybody may have sent the query, so that no more goes back than came; a client asks again over TCP.
		short := new(dns.Msg).SetReply(r)
		short.Truncated = true
		return dns.RcodeSuccess, w.WriteMsg(short)
	}
	_, err = w.Write(response)
	return dns.RcodeSuccess, err
}

// withOPT answers EDNS with EDNS. CoreDNS would do so behind the signature, which has to be the last record:
// RFC 8945, Section 5.1.
func withOPT(reply, r *dns.Msg) {
	if r.IsEdns0() == nil {
		return
	}
	t := reply.IsTsig()
	if t != nil {
		reply.Extra = reply.Extra[:len(reply.Extra)-1]
	}
	reply.SetEdns0(dns.DefaultMsgSize, false)
	if t != nil {
		reply.Extra = append(reply.Extra, t)
	}
}

// signer is the name of the key that a message was proved to be signed by, "" for none.
func signer(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) string {
	if key, ok := tsig.ValidatedKeyName(ctx); ok {
		return key
	}
	if t := r.IsTsig(); t != nil && w.TsigStatus() == nil {
		return t.Hdr.Name
	}
	return ""
}

// primaryFor is the gate through which a client agrees on a key of that name with a primary. Some clients put
// the primary's name into it; else it is the first such gate by name.
func (s *updateSettings) primaryFor(key string) *gate {
	var first, fitting *gate
	for _, g := range s.gates {
		if g.Signed != config.GatePass {
			continue
		}
		if first == nil || g.Zone < first.Zone {
			first = g
		}
		if dns.IsSubDomain(g.Zone, key) && (fitting == nil || len(g.Zone) > len(fitting.Zone)) {
			fitting = g
		}
	}
	if fitting != nil {
		return fitting
	}
	return first
}

// reaches says what is wrong when the tsig plugin, which stands before this one, refuses what is to be passed on
// with a signature that only the primary knows.
func (s *updateSettings) reaches(before plugin.Handler) error {
	t, ok := before.(*tsig.TSIGServer)
	if !ok {
		return nil
	}
	for zone, g := range s.gates {
		if g.Signed == config.GatePass && plugin.Zones(t.Zones).Contains(zone) {
			return fmt.Errorf("the tsig plugin refuses keys that it does not know, and the gate of %s is to pass them on (signed: pass): "+
				"name the zones that tsig is for, without this one; the keys in it count for this one all the same", zone)
		}
	}
	return nil
}
