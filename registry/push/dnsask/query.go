package dnsask

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push"
	"github.com/nameward/nameward/registry/tsig"
)

// Options are how a server is asked. The zero value asks an authoritative server.
type Options struct {
	Recurse bool                      // the server is a cache: it is asked with RD, and what it answers need not be its own
	Zone    string                    // Ask: only names at or below this one, lower case and fully qualified; "": all
	Names   func(*push.Item) []string // Ask: the names that it asks for, in place of those of the role and of Zone; nil: those
	Key     tsig.Key                  // signs the questions and must have signed the replies; zero: none
}

// Reply is what a server said to one question.
type Reply struct {
	Question dns.Question
	Msg      *dns.Msg // nil if Err is set
	Err      error
	recursed bool
}

// atMost bounds a call whose context has no end.
const atMost = 10 * time.Second

var errNoReply = errors.New("it does not reply")

// job is one question on its way.
type job struct {
	Reply
	done  bool
	id    uint16
	wire  []byte
	mac   string    // of the question's signature
	tries int       // over UDP
	due   time.Time // then it is sent once more
}

// asker asks one server.
type asker struct {
	Options
	server netip.AddrPort
}

// Query asks a server many questions at once and returns the replies in their order.
func Query(ctx context.Context, server netip.AddrPort, questions []dns.Question, opts Options) []Reply {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	a := &asker{opts, server}
	jobs := make([]*job, len(questions))
	for i, q := range questions {
		jobs[i] = &job{Reply: Reply{Question: q, recursed: opts.Recurse}}
	}
	rest := a.overUDP(ctx, jobs)
	err := a.overTCP(ctx, rest)
	replies := make([]Reply, len(jobs))
	for i, j := range jobs {
		if !j.done {
			j.Msg, j.Err = nil, fmt.Errorf("%s at %s: %w", j.Question.Name, server, err)
		}
		replies[i] = j.Reply
	}
	return replies
}

// pack writes a job's question under a random ID that none of those under way has.
func (a *asker) pack(j *job, underWay map[uint16]*job) (err error) {
	for j.id = uint16(rand.Uint32()); underWay[j.id] != nil; {
		j.id = uint16(rand.Uint32())
	}
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Id: j.id, RecursionDesired: a.Recurse}, Question: []dns.Question{j.Question}}
	if a.Key.IsZero() {
		j.wire, err = m.Pack()
		return err
	}
	a.Key.Sign(m)
	j.wire, j.mac, err = dns.TsigGenerateWithProvider(m, a.Key.Provider(), "", false)
	return err
}

// take finds the job that a packet is the reply to; nil if it is none.
func (a *asker) take(wire []byte, underWay map[uint16]*job) (*job, *dns.Msg) {
	m := new(dns.Msg)
	if m.Unpack(wire) != nil || !m.Response || m.Opcode != dns.OpcodeQuery {
		return nil, nil
	}
	j := underWay[m.Id]
	if j == nil || !isAbout(m, j.Question) || !a.isSigned(wire, m, j) {
		return nil, nil
	}
	return j, m
}

// isAbout reports whether a response repeats the question. Errors come without it from some servers.
func isAbout(m *dns.Msg, q dns.Question) bool {
	if len(m.Question) == 0 {
		return m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError
	}
	r := m.Question[0]
	return len(m.Question) == 1 && r.Qtype == q.Qtype && r.Qclass == q.Qclass && strings.EqualFold(r.Name, q.Name)
}

func (a *asker) isSigned(wire []byte, m *dns.Msg, j *job) bool {
	if a.Key.IsZero() {
		return true
	}
	return m.IsTsig() != nil && dns.TsigVerifyWithProvider(wire, a.Key.Provider(), j.mac, false) == nil
}

func (j *job) answered(m *dns.Msg) { j.Msg, j.Err, j.done = m, nil, true }
