package winsctl

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/nameward/nameward/netbios/wins/usage"
	"github.com/nameward/nameward/registry/control"
)

// Report tells who still uses which NetBIOS names, and what would take their place.
type Report struct {
	Since time.Time `json:"since"` // when counting began
	Until time.Time `json:"until"`
	// Count is of all requests, whatever was asked for in the report.
	usage.Count
	Names   usage.Estimate `json:"names"`
	Clients usage.Estimate `json:"clients"`
	// ByName is what was asked for, the latest use first, and the rows of each name the same way.
	ByName  []NameUse     `json:"by_name"`
	LeftOut usage.LeftOut `json:"left_out"`
}

// NameUse is how a name is used. The counts are of all its clients since counting began.
type NameUse struct {
	usage.NameUse
	Instead Instead `json:"instead"`
}

// ReportFilter says what of the report is wanted.
type ReportFilter struct {
	Name   string       // MAIL, MAIL<20>, or with * for anything; "" is all
	Client netip.Prefix // names that these used; the zero prefix is everybody
	Since  time.Time    // used since; zero is always
}

func (f *ReportFilter) query() string {
	v := url.Values{}
	if f.Name != "" {
		v.Set("name", f.Name)
	}
	if f.Client.IsValid() {
		v.Set("client", f.Client.String())
	}
	if !f.Since.IsZero() {
		v.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	return v.Encode()
}

func parseReportFilter(v url.Values) (f ReportFilter, err error) {
	f.Name = v.Get("name")
	if s := v.Get("client"); s != "" {
		if f.Client, err = ParseClient(s); err != nil {
			return f, err
		}
	}
	if s := v.Get("since"); s != "" {
		if f.Since, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return f, fmt.Errorf("since %q is no time as in 2026-12-31T18:00:00Z", s)
		}
	}
	return f, nil
}

// ParseClient reads an address or a prefix.
func ParseClient(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("client %q is no address, as in 192.0.2.1 or 192.0.2.0/24", s)
	}
	return p.Masked(), nil
}

var errNotCounted = errors.New("this nameward has no WINS server: write netbios.wins into its configuration")

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	var tracker *usage.Tracker
	if s.Usage != nil {
		tracker = s.Usage()
	}
	if tracker == nil {
		control.Fail(w, http.StatusConflict, errNotCounted)
		return
	}
	f, err := parseReportFilter(r.URL.Query())
	var p pattern
	if err == nil {
		p, err = parsePattern(f.Name)
	}
	if err != nil {
		control.Fail(w, http.StatusBadRequest, err)
		return
	}
	control.Reply(w, s.reportOf(tracker.Report(time.Now(), usage.View{Order: usage.ByLast}), f, p))
}

func (s *Server) reportOf(u usage.Report, f ReportFilter, p pattern) Report {
	out := Report{Since: u.Since, Until: u.Until, Count: u.Count, Names: u.Names, Clients: u.Clients, ByName: []NameUse{}, LeftOut: u.LeftOut}
	in := s.instead()
	for i := range u.ByName {
		n := &u.ByName[i]
		if n.Last.Before(f.Since) || !p.matches(n.Name) {
			continue
		}
		n.Rows = slices.DeleteFunc(n.Rows, func(r usage.Row) bool {
			return r.Last.Before(f.Since) || f.Client.IsValid() && !f.Client.Contains(r.Client)
		})
		if f.Client.IsValid() && len(n.Rows) == 0 {
			continue
		}
		out.ByName = append(out.ByName, NameUse{*n, in.of(n.Name)})
	}
	return out
}
