package nameward

import (
	"github.com/miekg/dns"
)

// scrubber stands behind the next plugins: what they answer goes through it. Each RRset in it passes the
// policy, and what it says of guarded names is replaced by what is live. An answer that needs no change is
// passed on as it is. The cache stands behind, and never holds what was changed here.
type scrubber struct {
	dns.ResponseWriter
	h *Handler
	r *dns.Msg // the query
}

// WriteMsg implements dns.ResponseWriter.
func (w *scrubber) WriteMsg(m *dns.Msg) error {
	if clean, outcome := w.h.review(w.r).scrub(m); clean != nil {
		scrubbed[outcome].Inc()
		m = clean
	}
	return w.ResponseWriter.WriteMsg(m)
}

// Write implements dns.ResponseWriter for plugins that pack their answers themselves.
func (w *scrubber) Write(b []byte) (int, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return 0, err
	}
	return len(b), w.WriteMsg(m)
}

// scrub returns a message without what must not be published, or nil if m has nothing of that kind. It
// does not write to m, which may be the cache's.
func (v review) scrub(m *dns.Msg) (*dns.Msg, ScrubOutcome) {
	if !v.suspects(m) {
		return nil, 0
	}
	c := newCleaning(v, m)
	out := c.clean()
	if out == nil {
		return nil, 0
	}
	c.log()
	return out, c.outcome
}
