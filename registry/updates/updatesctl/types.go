package updatesctl

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/zone"
)

// Held is what an update asked for and what is not, or not of itself, published.
type Held struct {
	Zone      string     `json:"zone"`
	Name      string     `json:"name"`
	What      string     `json:"what"` // "add" or "delete"
	Type      string     `json:"type"` // "A"; "ANY" for a whole name
	Data      string     `json:"data,omitempty"`
	Fate      string     `json:"fate"` // "parked", "quarantined", "refused" or "ignored"
	Source    netip.Addr `json:"source,omitzero"`
	Principal string     `json:"principal,omitempty"` // who signed the update
	Role      string     `json:"role,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Rule      string     `json:"rule,omitempty"`
	Decision  string     `json:"decision,omitempty"` // 16 hexadecimal digits
	Alert     bool       `json:"alert,omitempty"`
	First     time.Time  `json:"first"`
	Last      time.Time  `json:"last"`
	Count     uint64     `json:"count"`
}

// Record is a registered record of an owned zone.
type Record struct {
	Zone string `json:"zone"`
	Name string `json:"name"`
	Type string `json:"type"`
	TTL  uint32 `json:"ttl"`
	Data string `json:"data"`
	// Source is where the update came from that registered it, Principal who signed it.
	Source    netip.Addr `json:"source,omitzero"`
	Principal string     `json:"principal,omitempty"`
	At        time.Time  `json:"at,omitzero"`
	Decision  string     `json:"decision,omitempty"`
}

// RemoveRequest takes the records of a name out, those of one type, or one of them.
type RemoveRequest struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
	Data string `json:"data,omitempty"`
	By   string `json:"by,omitempty"` // for the log
}

// RemoveReply tells what was taken out.
type RemoveReply struct {
	Zone    string   `json:"zone"`
	Serial  uint32   `json:"serial"` // of the zone without them
	Removed []Record `json:"removed"`
}

// ForgetReply tells how many entries were forgotten.
type ForgetReply struct {
	Forgotten int `json:"forgotten"`
}

func heldOf(h *updates.Held) Held {
	what := "add"
	if h.Deletes {
		what = "delete"
	}
	return Held{
		Zone: h.Zone, Name: h.Name, What: what, Type: dns.Type(h.Type).String(), Data: h.Data, Fate: h.Fate.String(), Source: h.Source,
		Principal: h.Principal, Role: h.Role, Reason: h.Reason, Rule: h.Rule, Decision: decision(h.Decision), Alert: h.Alert,
		First: h.First, Last: h.Last, Count: h.Count,
	}
}

func recordOf(zone string, r zone.Record) Record {
	h := r.RR.Header()
	out := Record{Zone: zone, Name: h.Name, Type: dns.Type(h.Rrtype).String(), TTL: h.Ttl, Data: dataOf(r.RR)}
	if by := r.By; by != nil {
		out.Source, out.Principal, out.Decision = by.Source, by.Principal, decision(by.Decision)
		if by.At != 0 {
			out.At = time.Unix(by.At, 0).UTC()
		}
	}
	return out
}

// dataOf is RDATA in presentation form.
func dataOf(rr dns.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }

func decision(id uint64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", id)
}
