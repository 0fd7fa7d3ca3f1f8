package netbios

import "fmt"

// ParseQuestion reads the header and the one question of a request without allocating, unless the name
// has a scope. It is meant for queries, where the question is all there is; for the other requests it
// checks the counts and leaves the additional record unread.
//
// The header is set beside every error except ErrShort for want of a header, so that a server can
// answer by opcode. Type and class are the server's to judge.
func ParseQuestion(b []byte) (Header, Question, error) {
	h, c, err := parseHeader(b)
	if err != nil {
		return h, Question{}, err
	}
	if err := checkRequest(h, c); err != nil {
		return h, Question{}, err
	}
	q, _, err := decodeQuestion(b, headerLen)
	return h, q, err
}

// checkRequest checks the parts of a request that its header shows. Both counts of Sections 4.2.2 to
// 4.2.18 of RFC 1002 are fixed: one question, and one additional record in all but queries.
func checkRequest(h Header, c counts) error {
	if h.IsResponse() {
		return ErrResponse
	}
	want := counts{1, 0, 0, 1}
	switch h.Opcode {
	case OpQuery:
		want = counts{1, 0, 0, 0}
	case OpRegistration, OpRelease, OpRefresh, OpRefreshAlt, OpMultihomed:
	default:
		return ErrHeader
	}
	if c != want {
		return ErrCounts
	}
	return nil
}

// ParseRequest reads a request as a server takes it: Parse, and the counts of its form. In a
// registration, overwrite, refresh or release the additional record must be an NB record of class IN
// for the name in question, with at least one address; Message.Claim returns it.
func ParseRequest(b []byte) (Message, error) {
	h, c, err := parseHeader(b)
	if err != nil {
		return Message{}, err
	}
	if err := checkRequest(h, c); err != nil {
		return Message{Header: h}, err
	}
	m, err := Parse(b)
	if err != nil || h.Opcode == OpQuery {
		return m, err
	}
	if err := m.checkClaim(); err != nil {
		return Message{Header: h}, fmt.Errorf("additional record: %w", err)
	}
	return m, nil
}

func (m Message) checkClaim() error {
	q, r := m.Questions[0], m.Additional[0]
	if q.Type != TypeNB || r.Type != TypeNB || q.Class != ClassIN || r.Class != ClassIN || r.Name != q.Name {
		return ErrRecord
	}
	if addrs, ok := r.Data.(NB); !ok || len(addrs) == 0 {
		return ErrRData
	}
	return nil
}

// Claim is what a registration, overwrite, refresh or release says of a name, or what the response to
// it grants.
type Claim struct {
	Name  Name
	TTL   uint32 // seconds; 0 means that it does not expire
	Addrs []Address
}

// Claim returns what the message claims or grants: from the additional record of a request, from the
// answer of a response. It reports false if the message has no such record.
func (m Message) Claim() (Claim, bool) {
	records := m.Additional
	if m.IsResponse() {
		records = m.Answers
	}
	if len(records) == 0 {
		return Claim{}, false
	}
	addrs, ok := records[0].Data.(NB)
	return Claim{Name: records[0].Name, TTL: records[0].TTL, Addrs: addrs}, ok
}
