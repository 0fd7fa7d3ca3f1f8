package nameward

import (
	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// UpdateOutcome is what became of a dynamic update. Its words are metric labels.
type UpdateOutcome uint8

// The outcomes of an update.
const (
	UpdateApplied     UpdateOutcome = iota // all of it, as far as roles do not decide
	UpdateStripped                         // without what the policy holds back
	UpdateQuarantined                      // quietly accepted, nothing was changed
	UpdateRelayed                          // passed on whole, with the client's own signature
	UpdateUnmet                            // a prerequisite, or the primary, says no
	UpdateRefused                          // by the policy
	UpdateUnsigned                         // refused: it is not signed, and the policy names no such source
	UpdateUnproved                         // refused: its signature is not right, or the key not known
	UpdateForeign                          // refused: no zone whose updates are taken
	UpdateMalformed
	UpdateFailed // the disk or the primary
	updateOutcomes
)

func (o UpdateOutcome) String() string {
	return [...]string{
		"applied", "stripped", "quarantined", "relayed", "unmet", "refused", "unsigned", "unproved", "foreign", "malformed", "failed",
	}[o]
}

var updateResponses = func() (c [updateOutcomes]prometheus.Counter) {
	vec := promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: "nameward", Name: "updates_total",
		Help: "Dynamic updates, by outcome.",
	}, []string{"outcome"})
	for o := range updateOutcomes {
		c[o] = vec.WithLabelValues(o.String())
	}
	return c
}()
