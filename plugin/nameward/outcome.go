package nameward

import (
	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Outcome is what became of a DNS query. Its words are metric labels.
type Outcome uint8

// The outcomes of a query.
const (
	Answered  Outcome = iota // with records
	NoData                   // the name exists, the type does not
	NameError                // the name does not exist in an owned zone
	NotReady                 // no holder was ever known
	Any                      // minimal answer to ANY
	Referred                 // the name lies in a zone that is delegated
	Aliased                  // with an alias that leads elsewhere
	Passed                   // not ours: the next plugin answers
	outcomes
)

func (o Outcome) String() string {
	return [...]string{"answered", "nodata", "nxdomain", "not-ready", "any", "referral", "alias", "passed"}[o]
}

var responses = func() (c [outcomes]prometheus.Counter) {
	vec := promauto.NewCounterVec(prometheus.CounterOpts{
		Namespace: plugin.Namespace, Subsystem: "nameward", Name: "dns_queries_total",
		Help: "DNS queries seen by the plugin, by outcome.",
	}, []string{"outcome"})
	for o := range outcomes {
		c[o] = vec.WithLabelValues(o.String())
	}
	return c
}()

// scrubbed counts the answers of the next plugins that held something that must not be published.
var scrubbed = promauto.NewCounter(prometheus.CounterOpts{
	Namespace: plugin.Namespace, Subsystem: "nameward", Name: "upstream_scrubbed_answers_total",
	Help: "Answers of the next plugins that were changed because they held filtered addresses or addresses of guarded names.",
})
