package stream

import (
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/push/dso"
)

// handle answers one message, or does what it says. An error ends the session.
func (s *session) handle(msg []byte) error {
	if dso.OpcodeOf(msg) != dso.Opcode {
		return s.query(msg)
	}
	m, err := dso.Parse(msg)
	switch {
	case m.Response:
		return errFatal("a response to what nobody asked") // RFC 8490, Section 5.4.2
	case err != nil && m.IsRequest():
		s.touch(false)
		return s.respond(&m, dns.RcodeFormatError)
	case err != nil:
		return errFatal(err.Error())
	}
	s.touch(m.Primary() == dso.TypeKeepalive)
	if _, pads := m.Find(dso.TypePadding); pads {
		s.mu.Lock()
		s.padding = true
		s.mu.Unlock()
	}
	if m.IsRequest() {
		return s.request(&m)
	}
	return s.notice(&m)
}

// request answers a DSO request.
func (s *session) request(m *dso.Message) error {
	if s.isActive(m.ID) {
		return errFatal("the ID of a subscription that is active") // RFC 8490, Section 5.4.3
	}
	switch t := m.Primary(); t {
	case dso.TypeKeepalive:
		return s.keepalive(m)
	case dso.TypeSubscribe:
		return s.takeSubscribe(m)
	case dso.TypePadding:
		return s.respond(m, dns.RcodeFormatError) // it is additional only: RFC 8490, Section 7.3
	case dso.TypeRetryDelay, dso.TypePush, dso.TypeUnsubscribe, dso.TypeReconfirm:
		// RFC 8490, Section 7.2.1; RFC 8765, Sections 6.3.1, 6.4.1 and 6.5.1.
		return errFatal(fmt.Sprintf("a request with a %s TLV", t))
	}
	return s.respond(m, dns.RcodeStatefulTypeNotImplemented)
}

// notice takes a unidirectional message. One that is not known is fatal: RFC 8490, Section 5.4.5.
func (s *session) notice(m *dso.Message) error {
	s.mu.Lock()
	established := s.established
	s.mu.Unlock()
	if !established {
		return errFatal("a unidirectional message before the session was established") // RFC 8490, Section 5.1
	}
	switch t := m.Primary(); t {
	case dso.TypeUnsubscribe:
		id, err := dso.ParseUnsubscribe(m.TLVs[0].Data)
		if err != nil {
			return errFatal(err.Error())
		}
		s.unsubscribe(id)
		return nil
	case dso.TypeReconfirm:
		// What is served here is the truth; there is nobody to be asked again.
		if _, _, err := dso.ParseReconfirm(m.TLVs[0].Data); err != nil {
			return errFatal(err.Error())
		}
		return nil
	default:
		return errFatal(fmt.Sprintf("a unidirectional message with a %s TLV", t))
	}
}

// keepalive grants the timers that a client asks for, as far as they are no longer than ours: RFC 8490, Section 7.1.
func (s *session) keepalive(m *dso.Message) error {
	_, interval, err := dso.ParseKeepalive(m.TLVs[0].Data)
	if err != nil {
		return s.respond(m, dns.RcodeFormatError)
	}
	granted := min(max(interval, dso.LeastKeepalive), s.srv.settings().keepalive)
	s.establish(granted)
	return s.sendDSO(&dso.Message{ID: m.ID, Response: true, TLVs: []dso.TLV{dso.Keepalive(dso.DefaultTimeout, granted)}}, true)
}

// establish is called when a request is granted. It reports whether that made a session of the connection.
func (s *session) establish(interval time.Duration) (isNew bool) {
	s.mu.Lock()
	isNew = !s.established
	s.established, s.interval = true, interval
	s.mu.Unlock()
	s.nudge()
	return isNew
}

// takeSubscribe answers a SUBSCRIBE: RFC 8765, Section 6.2.2.
func (s *session) takeSubscribe(m *dso.Message) error {
	q, err := dso.ParseSubscribe(m.TLVs[0].Data)
	if err != nil {
		return s.respond(m, dns.RcodeFormatError)
	}
	q = lower(q)
	if s.has(q) {
		return errFatal("a subscription that is there already") // RFC 8765, Section 6.2.1
	}
	if rcode := s.srv.hub.judge(q); rcode != dns.RcodeSuccess {
		return s.respond(m, rcode)
	}
	if !s.admit() {
		return s.respond(m, dns.RcodeRefused)
	}
	s.mu.Lock()
	interval, isNew := s.interval, !s.established
	s.mu.Unlock()
	s.establish(interval)
	if err := s.respond(m, dns.RcodeSuccess); err != nil {
		s.srv.subscribed(-1)
		return err
	}
	if isNew && interval != dso.DefaultTimeout {
		// The client has not asked for the timers and takes them for the defaults: RFC 8490, Section 6.2.
		if err := s.sendDSO(&dso.Message{TLVs: []dso.TLV{dso.Keepalive(dso.DefaultTimeout, interval)}}, true); err != nil {
			s.srv.subscribed(-1)
			return err
		}
	}
	s.subscribe(m.ID, q)
	return nil
}

// admit counts a subscription, if there is room for one more.
func (s *session) admit() bool {
	s.mu.Lock()
	own := len(s.subs)
	s.mu.Unlock()
	limits := s.srv.settings()
	if own >= limits.PerSession {
		return false
	}
	if s.srv.subscribed(1) > int64(limits.Subscriptions) {
		s.srv.subscribed(-1)
		return false
	}
	return true
}

func (s *session) isActive(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subs[id] != nil
}

// delays say when what was refused may be asked for again. RFC 8765, Section 6.2.2, wants some delay; a wrong name may
// be right after a reload.
var delays = map[int]time.Duration{
	dns.RcodeFormatError:                5 * time.Minute,
	dns.RcodeRefused:                    time.Minute,
	dns.RcodeNotAuth:                    5 * time.Minute,
	dns.RcodeStatefulTypeNotImplemented: time.Hour,
}

// respond answers a request without a primary TLV.
func (s *session) respond(m *dso.Message, rcode int) error {
	r := &dso.Message{ID: m.ID, Response: true, Rcode: uint8(rcode)}
	if delay := delays[rcode]; delay > 0 {
		r.TLVs = []dso.TLV{dso.RetryDelay(delay)}
	}
	return s.sendDSO(r, false)
}

// query answers an ordinary question, RFC 8765, Section 4: a client need not have another connection for those.
func (s *session) query(msg []byte) error {
	r := new(dns.Msg)
	err := r.Unpack(msg)
	s.touch(false)
	switch {
	case msg[2]&0x80 != 0:
		return errFatal("a response to what nobody asked")
	case err != nil:
		// What stands behind the header is not to be trusted.
		return s.reply(&dns.Msg{MsgHdr: dns.MsgHdr{Id: uint16(msg[0])<<8 | uint16(msg[1]), Response: true, Opcode: dso.OpcodeOf(msg), Rcode: dns.RcodeFormatError}})
	case s.isHeldOpen(r):
		return errFatal("a TCP keepalive option in a session") // RFC 8490, Section 5.2.1 with RFC 7828
	case r.Opcode != dns.OpcodeQuery:
		return s.reply(new(dns.Msg).SetRcode(r, dns.RcodeNotImplemented))
	case len(r.Question) != 1:
		return s.reply(new(dns.Msg).SetRcode(r, dns.RcodeFormatError))
	}
	return s.reply(finished(r, s.srv.answer(r)))
}

// isHeldOpen reports the option that says how long a connection is kept, which is not for sessions.
func (s *session) isHeldOpen(r *dns.Msg) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.established && option(r, dns.EDNS0TCPKEEPALIVE) != nil
}

func option(m *dns.Msg, code uint16) dns.EDNS0 {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if o.Option() == code {
				return o
			}
		}
	}
	return nil
}

// finished gives an answer the OPT record that who asked with one is owed (RFC 6891, Section 6.1.1), padded if the
// question was (RFC 7830, Section 4).
func finished(r, m *dns.Msg) *dns.Msg {
	if m == nil {
		m = new(dns.Msg).SetRcode(r, dns.RcodeRefused)
	}
	if r.IsEdns0() == nil {
		return m
	}
	m.Extra = append(m.Extra[:0:0], m.Extra...) // an answer may share its records with others
	if m.IsEdns0() == nil {
		m.SetEdns0(dns.DefaultMsgSize, r.IsEdns0().Do())
	}
	if option(r, dns.EDNS0PADDING) != nil {
		opt := m.IsEdns0()
		n := (padBlock - (m.Len()+4)%padBlock) % padBlock
		opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, n)})
	}
	return m
}

// reply sends an ordinary answer.
func (s *session) reply(m *dns.Msg) error {
	m.Compress = true
	wire, err := m.Pack()
	if err != nil || len(wire) > dns.MaxMsgSize {
		bare := &dns.Msg{MsgHdr: m.MsgHdr, Question: m.Question}
		bare.Rcode = dns.RcodeServerFailure
		if wire, err = bare.Pack(); err != nil {
			return err
		}
	}
	return s.write(false, func(dst []byte) []byte {
		return dso.AppendFrame(dst, func(dst []byte) []byte { return append(dst, wire...) })
	})
}
