package nameward

import (
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/plugin/gsstsig"
	"github.com/nameward/nameward/plugin/nameward/front"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/held"
	"github.com/nameward/nameward/registry/push"
)

func init() { prometheus.MustRegister(collector{}) }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, "nameward", name), help, labels, nil)
}

// Labels are small closed sets, never an address or a name but that of a target, of which the configuration has a few.
var (
	rolesDesc               = desc("roles", "Roles by state.", "state")
	changesDesc             = desc("changes_total", "Number of the change in force; survives restarts.")
	claimsDesc              = desc("claims_total", "Claims by outcome.", "outcome")
	commitsDesc             = desc("store_commits_total", "Commits to the store by result.", "result")
	storeDesc               = desc("store_failing", "1 while the state cannot be saved.")
	loadedDesc              = desc("config_loaded_timestamp_seconds", "When the configuration in force was taken.")
	rejectedDesc            = desc("config_rejected", "1 while the configuration file is bad and the last good one is in force.")
	policyDesc              = desc("policy_rejected", "1 while the policy file is bad and the last good one is in force.")
	policyAtDesc            = desc("policy_loaded_timestamp_seconds", "When the policy in force was taken.")
	rulesDesc               = desc("policy_rules", "Rules of the policy file in force; those behind them that are built in are not counted.")
	reloadsDesc             = desc("config_reloads_total", "Configurations read while running, by result.", "result")
	packetsDesc             = desc("nbns_packets_total", "Packets of the NetBIOS name service by outcome.", "outcome")
	notifiesDesc            = desc("notifies_total", "NOTIFYs to secondaries by result.", "result")
	recordsDesc             = desc("wins_records", "Records of the WINS database by state.", "state")
	heldDesc                = desc("wins_held", "What was asked for and is not a record, by fate: parked, or others (quarantined, refused, ignored).", "fate")
	requestsDesc            = desc("wins_requests_total", "Registrations, refreshes and releases by operation and outcome.", "op", "outcome")
	queueDesc               = desc("wins_queued_requests", "Requests that wait for the disk.")
	outboxDesc              = desc("wins_outbox_queued", "What the WINS servers behind have still to be told.")
	unsavedDesc             = desc("wins_failing", "1 while registrations cannot be saved.")
	updateQueueDesc         = desc("updates_queued", "Dynamic updates that wait for the disk.")
	updateHeldDesc          = desc("updates_held", "What dynamic updates asked for and is not published, by fate.", "fate")
	updateDroppedDesc       = desc("updates_held_dropped_total", "Entries of that which had to go for newer ones.")
	registeredDesc          = desc("zone_records", "Records that dynamic updates put into owned zones.")
	zonesDesc               = desc("zones_failing", "1 while owned zones cannot be saved: updates are refused, roles are followed in memory.")
	frontDesc               = desc("front_requests_total", "Requests that came over the guard's own sockets, by transport and outcome.", "transport", "outcome")
	contextsDesc            = desc("gss_contexts", "Keys that were agreed on with clients (GSS-TSIG) and are alive.")
	negotiatedDesc          = desc("gss_negotiations_total", "GSS-TSIG negotiations by outcome.", "outcome")
	unnotedDesc             = desc("wins_usage_dropped_total", "Requests that the report of who uses WINS has not counted.")
	deliveriesDesc          = desc("push_deliveries", "Deliveries of roles to targets, by target and by how far they are.", "target", "stage")
	supersededDesc          = desc("push_superseded_total", "Deliveries that something newer overtook.", "target")
	pushFailuresDesc        = desc("push_failures_total", "Tries that did not bring the target the state of a role.", "target")
	deliveredDesc           = desc("push_delivered_seconds", "From a change until the target was verified, or has acknowledged where it cannot be asked.", "target")
	convergedDesc           = desc("push_stale_seconds", "From a change until the last stale answer that was seen at the target.", "target")
	streamSessionsDesc      = desc("push_stream_sessions", "Connections to the server of DNS Push.")
	streamSubscriptionsDesc = desc("push_stream_subscriptions", "What clients of DNS Push subscribed to.")
	streamPushesDesc        = desc("push_stream_pushes_total", "PUSH messages to clients of DNS Push.")
	streamConnectionsDesc   = desc("push_stream_connections_total", "Connections to the server of DNS Push by outcome.", "outcome")
	streamEndedDesc         = desc("push_stream_ended_total", "Sessions of DNS Push that have ended, by reason.", "reason")
	ledgerDesc              = desc("push_failing", "1 while the ledger of deliveries cannot be saved.")
	drainedDesc             = desc("nodes_drained", "Nodes that an operator took out of service.")
)

// collector reads the running guards when Prometheus asks, so that counting costs the packets nothing.
type collector struct{}

func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		rolesDesc, changesDesc, claimsDesc, commitsDesc, storeDesc, loadedDesc, rejectedDesc, reloadsDesc, packetsDesc, notifiesDesc, drainedDesc,
		recordsDesc, heldDesc, requestsDesc, queueDesc, outboxDesc, unsavedDesc, unnotedDesc,
		policyDesc, policyAtDesc, rulesDesc,
		deliveriesDesc, supersededDesc, pushFailuresDesc, deliveredDesc, convergedDesc, ledgerDesc,
		streamSessionsDesc, streamSubscriptionsDesc, streamPushesDesc, streamConnectionsDesc, streamEndedDesc,
		updateQueueDesc, updateHeldDesc, updateDroppedDesc, registeredDesc, zonesDesc, frontDesc, contextsDesc, negotiatedDesc,
	} {
		ch <- d
	}
}

// Collect reports one guard. A Corefile may name several files, but their numbers would collide; the
// first one by path is reported.
func (collector) Collect(ch chan<- prometheus.Metric) {
	g := guards.first()
	if g == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	snap := g.Snapshot()
	states, drained := census(snap)
	for _, s := range registry.States {
		gauge(rolesDesc, float64(states[s]), s.String())
	}
	gauge(drainedDesc, float64(drained))
	counter(changesDesc, snap.Change)
	gauge(storeDesc, oneIf(snap.StoreErr != nil))
	counts, status, reloads := g.reg.Counts(), g.configStatus(), g.reloadCounts()
	for _, o := range registry.Outcomes {
		counter(claimsDesc, counts.Claims[o], o.String())
	}
	counter(commitsDesc, counts.Commits, "ok")
	counter(commitsDesc, counts.CommitErrors, "error")
	gauge(loadedDesc, float64(status.Loaded.UnixMilli())/1000)
	gauge(rejectedDesc, oneIf(status.Error != ""))
	rules := g.policyStatus()
	gauge(policyDesc, oneIf(rules.Error != ""))
	gauge(policyAtDesc, float64(rules.Loaded.UnixMilli())/1000)
	gauge(rulesDesc, float64(rules.Rules))
	counter(reloadsDesc, reloads.good, "ok")
	counter(reloadsDesc, reloads.bad, "rejected")
	acknowledged, failed := g.notify.Counts()
	counter(notifiesDesc, acknowledged, "acknowledged")
	counter(notifiesDesc, failed, "failed")
	for _, o := range nbns.Outcomes() {
		counter(packetsDesc, g.netbios.server.Counters.Get(o), o.String())
	}
	g.updates.collect(gauge, counter)
	g.push.collect(ch)
	g.collectStream(gauge, counter)
	if g.wins != nil {
		g.wins.collect(gauge, counter)
	}
}

// collect reports how the targets are.
func (s *pushService) collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(ledgerDesc, prometheus.GaugeValue, oneIf(s.Ledger.Err() != nil))
	for _, t := range s.Standing() {
		for _, stage := range push.Stages {
			if stage != push.Superseded {
				ch <- prometheus.MustNewConstMetric(deliveriesDesc, prometheus.GaugeValue, float64(t.Stages[stage]), t.Name, stage.String())
			}
		}
		ch <- prometheus.MustNewConstMetric(supersededDesc, prometheus.CounterValue, float64(t.Counts.Superseded), t.Name)
		ch <- prometheus.MustNewConstMetric(pushFailuresDesc, prometheus.CounterValue, float64(t.Counts.Failures), t.Name)
		ch <- histogramOf(deliveredDesc, &t.Counts.Delivered, t.Name)
		ch <- histogramOf(convergedDesc, &t.Counts.Stale, t.Name)
	}
}

func histogramOf(d *prometheus.Desc, h *push.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(push.Buckets))
	for i, b := range push.Buckets {
		buckets[b] = h.Counts[i]
	}
	return prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), buckets, labels...)
}

// collect reports dynamic updates, as far as they are taken at all.
func (s *updateService) collect(gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string)) {
	gauge(zonesDesc, oneIf(s.zones.Err() != nil))
	cur := s.settings()
	if !cur.taken {
		return
	}
	gauge(registeredDesc, float64(s.registered()))
	gauge(updateQueueDesc, float64(s.zones.Waiting()))
	fates := s.book.Counts()
	for _, f := range held.Fates {
		gauge(updateHeldDesc, float64(fates[f]), f.String())
	}
	counter(updateDroppedDesc, s.book.Dropped())
	for _, n := range front.Networks {
		for _, o := range front.Outcomes {
			counter(frontDesc, s.front.Count(n, o), n, o.String())
		}
	}
	if cur.acceptor != nil {
		status := cur.acceptor.Status()
		gauge(contextsDesc, float64(status.Contexts))
		for _, o := range gsstsig.Outcomes {
			counter(negotiatedDesc, status.Outcomes[o], string(o))
		}
	}
}

// collect reports the WINS server.
func (s *winsService) collect(gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string)) {
	snap, held, load := s.db.Snapshot(), s.db.HeldCounts(), s.db.Load()
	count := snap.Count(wins.StampOf(time.Now()))
	gauge(recordsDesc, float64(count.Active), wins.Active.String())
	gauge(recordsDesc, float64(count.Released), wins.Released.String())
	gauge(recordsDesc, float64(count.Tombstone), wins.Tombstone.String())
	gauge(heldDesc, float64(held.Parked), "parked")
	gauge(heldDesc, float64(held.Others), "others")
	for _, op := range wins.Ops {
		for _, o := range wins.Outcomes() {
			counter(requestsDesc, s.db.Count(op, o), op.String(), o.String())
		}
	}
	gauge(queueDesc, float64(load.Queue))
	gauge(outboxDesc, float64(load.Outbox))
	gauge(unsavedDesc, oneIf(snap.Err != nil))
	counter(unnotedDesc, s.usage.Dropped())
}

func census(snap *registry.Snapshot) (states map[registry.State]int, drained int) {
	states = map[registry.State]int{}
	for s := range snap.Roles() {
		states[s.State]++
	}
	for _, n := range snap.World.Nodes {
		if _, is := snap.Drained(n.Name); is {
			drained++
		}
	}
	return states, drained
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
