package nameward

import (
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/push/stream"
)

// answerSession answers an ordinary question that came in a session of DNS Push. Nobody is asked for what is not
// answered here: nil.
func (g *Guard) answerSession(r *dns.Msg) *dns.Msg {
	m, outcome := now{g.Snapshot(), g.zones.db}.answer(r)
	responses[outcome].Inc()
	return m
}

// streamStatus is that of the server of DNS Push, nil when there is none.
func (g *Guard) streamStatus() *control.StreamStatus {
	at := g.stream.Addr()
	if at == nil {
		return nil
	}
	st := g.stream.Stats()
	return &control.StreamStatus{
		Listen: at.String(), Sessions: st.Sessions, Subscriptions: st.Subscriptions, Names: st.Names,
		Turned: st.Connections[stream.Full] + st.Connections[stream.Crowded],
	}
}

// collectStream reports the server of DNS Push, if there is one.
func (g *Guard) collectStream(gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string)) {
	if g.stream.Addr() == nil {
		return
	}
	st := g.stream.Stats()
	gauge(streamSessionsDesc, float64(st.Sessions))
	gauge(streamSubscriptionsDesc, float64(st.Subscriptions))
	counter(streamPushesDesc, st.Pushes)
	for _, o := range stream.Outcomes {
		counter(streamConnectionsDesc, st.Connections[o], o.String())
	}
	for _, r := range stream.Reasons {
		counter(streamEndedDesc, st.Ended[r], r.String())
	}
}
