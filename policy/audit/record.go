package audit

import (
	"time"

	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/finding"
)

// Record is one thing that a source publishes, or wants to be published.
type Record struct {
	policy.Request
	Place  finding.Place
	Since  time.Time // when it was registered, seen or last refreshed; zero: the source does not tell
	Static bool      // entered by hand
	Group  bool      // a NetBIOS group name
	Ends   time.Time // when it runs out; zero: never, or the source does not tell in a form that is understood
	Node   string    // type of the node that registered a NetBIOS name: "b", "p", "m", "h"; "" if not known
	Zone   string    // the zone that a DNS name stands in, lower case and fully qualified; "" if not known
	Detail string    // what else tells where to mend it: the interface of a .reg file, the owner of a WINS record
}
