package nameward

import (
	"math/rand/v2"
	"net"

	"github.com/miekg/dns"
)

// addresses is what an address query is answered from.
type addresses struct {
	a, aaaa []net.IP
	ttl     uint32 // seconds
	rotated bool   // start the list at a random place, so that clients spread
}

// answerBuffer is a reply with room for the usual number of records: one allocation for all of them.
type answerBuffer struct {
	msg      dns.Msg
	question [1]dns.Question
	rrs      [2]dns.RR
	a        [2]dns.A
}

// reply starts an authoritative reply to a query.
func reply(r *dns.Msg) *dns.Msg {
	b := &answerBuffer{}
	return b.start(r)
}

func (b *answerBuffer) start(r *dns.Msg) *dns.Msg {
	b.msg.MsgHdr = dns.MsgHdr{
		Id: r.Id, Response: true, Opcode: r.Opcode, Authoritative: true,
		RecursionDesired: r.RecursionDesired, CheckingDisabled: r.CheckingDisabled,
	}
	b.question[0] = r.Question[0]
	b.msg.Question = b.question[:]
	return &b.msg
}

// reply returns the answer to an A or AAAA query, nil if there is no such address. Records are owned by
// the name as it was asked, so that the case of the question is kept (the 0x20 bits).
func (as addresses) reply(r *dns.Msg) *dns.Msg {
	q := r.Question[0]
	ips := as.a
	if q.Qtype == dns.TypeAAAA {
		ips = as.aaaa
	}
	if len(ips) == 0 {
		return nil
	}
	start := 0
	if as.rotated {
		start = rand.IntN(len(ips))
	}
	b := &answerBuffer{}
	m := b.start(r)
	m.Answer = b.rrs[:0]
	hdr := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: as.ttl}
	for i := range ips {
		ip := ips[(start+i)%len(ips)]
		switch {
		case q.Qtype == dns.TypeAAAA:
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: hdr, AAAA: ip})
		case i < len(b.a):
			b.a[i] = dns.A{Hdr: hdr, A: ip}
			m.Answer = append(m.Answer, &b.a[i])
		default:
			m.Answer = append(m.Answer, &dns.A{Hdr: hdr, A: ip})
		}
	}
	return m
}

// minimalAny is the answer to ANY: RFC 8482, Section 4.2.
func minimalAny(r *dns.Msg) *dns.Msg {
	m := reply(r)
	m.Answer = []dns.RR{&dns.HINFO{
		Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: anyTTL},
		Cpu: "RFC8482",
	}}
	return m
}

// anyTTL is in seconds. RFC 8482, Section 4.2, leaves it to the server; an hour keeps repeaters quiet.
const anyTTL = 3600
