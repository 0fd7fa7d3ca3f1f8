package winsctl

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/nameward/nameward/registry/control"
)

// Partners is how the exchange of records with other WINS servers stands.
type Partners struct {
	Address  netip.Addr `json:"address"` // by which partners know this server
	Version  uint64     `json:"version"` // of this server's records
	Turned   uint64     `json:"turned"`  // connections of strangers, which were turned away
	Partners []Partner  `json:"partners"`
}

// Partner is one of them. A time that is not there is never.
type Partner struct {
	Name        string     `json:"name"`
	Address     netip.Addr `json:"address"`
	Push        bool       `json:"push"`        // it is told of changes
	Pull        bool       `json:"pull"`        // it is asked for its records
	Version     uint64     `json:"version"`     // of this server's records that it has, as far as is known
	Owners      int        `json:"owners"`      // whose records it had when it was asked last
	Connections int        `json:"connections"` // that it has opened and that are open
	Pulled      time.Time  `json:"pulled,omitzero"`
	PullError   string     `json:"pull_error,omitempty"` // of the last try
	Pushed      time.Time  `json:"pushed,omitzero"`
	PushError   string     `json:"push_error,omitempty"` // of the last try
	News        time.Time  `json:"news,omitzero"`        // when a record of it was taken last
	Records     Applied    `json:"records"`
}

// Applied counts what became of a partner's records since the start.
type Applied struct {
	Stored     int `json:"stored"`
	Merged     int `json:"merged"`
	Kept       int `json:"kept"`
	Raised     int `json:"raised"`
	Challenged int `json:"challenged"`
	Held       int `json:"held"`
}

// unreached says of partners why they cannot be told or asked.
func (p *Partners) unreached() map[string]string {
	out := map[string]string{}
	for i := range p.Partners {
		if why := cmp.Or(p.Partners[i].PushError, p.Partners[i].PullError); why != "" {
			out[p.Partners[i].Name] = why
		}
	}
	return out
}

var errNoPartners = errors.New("this nameward exchanges no WINS records with others: write netbios.wrepl into its configuration")

func (s *Server) partners(w http.ResponseWriter, _ *http.Request) {
	if s.Partners != nil {
		if p, ok := s.Partners(); ok {
			control.Reply(w, p)
			return
		}
	}
	control.Fail(w, http.StatusConflict, errNoPartners)
}
