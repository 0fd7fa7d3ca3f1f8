package control

import (
	"net/netip"
	"time"

	"github.com/nameward/nameward/registry"
)

// Status is the whole state as people and scripts see it.
type Status struct {
	Version string                    `json:"version"`
	Started time.Time                 `json:"started"`
	Change  uint64                    `json:"change"`
	Config  ConfigStatus              `json:"config"`
	Policy  PolicyStatus              `json:"policy"`
	Store   StoreStatus               `json:"store"`
	Listen  Listen                    `json:"listen"`
	Roles   []Role                    `json:"roles"`
	Nodes   []Node                    `json:"nodes"`
	Drained map[string]registry.Drain `json:"drained,omitempty"`
	Zones   []Zone                    `json:"zones,omitempty"`
	Checks  []Check                   `json:"checks,omitempty"`
	Claims  map[string]uint64         `json:"claims"` // by outcome, since the start
	WINS    *WINSStatus               `json:"wins,omitempty"`
	Updates *UpdatesStatus            `json:"updates,omitempty"`
	Push    *PushStatus               `json:"push,omitempty"`
	Stream  *StreamStatus             `json:"stream,omitempty"`
}

// ConfigStatus tells which configuration is in force and whether a newer one was refused.
type ConfigStatus struct {
	File     string    `json:"file"`
	Loaded   time.Time `json:"loaded"`            // when the one in force was taken
	Error    string    `json:"error,omitempty"`   // what is wrong with the file as it is now
	Rejected time.Time `json:"rejected,omitzero"` // since when
}

// PolicyStatus tells which registration rules are in force and whether newer ones were refused.
type PolicyStatus struct {
	File     string    `json:"file"`              // "" for the built-in rules alone
	Rules    int       `json:"rules"`             // in the file
	Loaded   time.Time `json:"loaded"`            // when those in force were taken
	Error    string    `json:"error,omitempty"`   // what is wrong with the file as it is now
	Rejected time.Time `json:"rejected,omitzero"` // since when
}

// WINSStatus tells how the WINS server is.
type WINSStatus struct {
	Records map[string]int `json:"records"` // by state; static ones are active too
	Static  int            `json:"static"`
	Held    map[string]int `json:"held"` // what was asked for and is not, or not yet, published: by what became of it
	// Dropped is how many entries of what is held were given up for want of room, since the start.
	Dropped    uint64 `json:"dropped"`
	Queue      int    `json:"queue"`      // requests that wait for the disk
	Challenges int    `json:"challenges"` // owners that are being asked
	Outbox     int    `json:"outbox"`     // words that the server behind has still to be told
	Version    uint64 `json:"version"`    // the highest version given out
	Partners   int    `json:"partners"`   // servers that records are exchanged with
	// Unreached says of partners why they cannot be told or asked, by name.
	Unreached map[string]string `json:"unreached,omitempty"`
	Error     string            `json:"error,omitempty"`
}

// UpdatesStatus tells how dynamic updates are taken.
type UpdatesStatus struct {
	Records int            `json:"records"` // that they put into owned zones
	Held    map[string]int `json:"held"`    // what was asked for and is not published, by what became of it
	Dropped uint64         `json:"dropped"` // entries of that given up for want of room, since the start
	Queue   int            `json:"queue"`   // updates that wait for the disk
	Gates   int            `json:"gates"`   // zones of other servers
	Keys    int            `json:"keys"`    // agreed on with clients by Kerberos
	Error   string         `json:"error,omitempty"`
}

// PushStatus tells whether the targets of push have what the roles publish.
type PushStatus struct {
	Targets int            `json:"targets"`
	Lacks   map[string]int `json:"lacks"`             // how many roles a target has not yet, by its name; without those that have all
	Standby bool           `json:"standby,omitempty"` // another guard tells the targets
	Error   string         `json:"error,omitempty"`   // why the ledger cannot be saved
}

// StreamStatus tells who follows names with DNS Push.
type StreamStatus struct {
	Listen        string `json:"listen"`
	Sessions      int    `json:"sessions"`
	Subscriptions int    `json:"subscriptions"`
	Names         int    `json:"names"`  // that are subscribed to
	Turned        uint64 `json:"turned"` // connections that found no room since the start
}

// StoreStatus tells where the state is kept.
type StoreStatus struct {
	Path  string `json:"path"`
	Error string `json:"error,omitempty"`
}

// Listen tells where questions are answered, each as ADDRESS:PORT.
type Listen struct {
	DNS     []string `json:"dns"`
	NetBIOS []string `json:"netbios"`
}

// Node is a cluster member.
type Node struct {
	Node    string       `json:"node"`
	Cluster string       `json:"cluster"`
	Site    string       `json:"site,omitempty"`
	Public  []netip.Addr `json:"public"`
}

// Role is one role's state.
type Role struct {
	Role      string             `json:"role"`
	Cluster   string             `json:"cluster"`
	Nodes     []string           `json:"nodes"` // its members, in written order
	Mode      string             `json:"mode"`
	State     string             `json:"state"`
	Why       string             `json:"why,omitempty"`
	Holder    []string           `json:"holder"` // who holds the claim in force
	Epoch     uint64             `json:"epoch"`
	Since     time.Time          `json:"since,omitzero"`
	Expires   time.Time          `json:"expires,omitzero"`
	Source    string             `json:"source"`
	Origin    string             `json:"origin,omitempty"`
	Rivals    []string           `json:"rivals,omitempty"`
	Forced    *registry.Override `json:"forced,omitempty"`
	Served    []string           `json:"served"`    // nodes whose addresses are answered
	Addresses []netip.Addr       `json:"addresses"` // what is answered
	TTL       uint32             `json:"ttl"`       // of answers now, seconds
	OwnTTL    uint32             `json:"own_ttl"`   // the role's own, seconds: TTL is that or shorter
	Lowered   *registry.Lowered  `json:"lowered,omitempty"`
	DNS       []string           `json:"dns,omitempty"`
	NetBIOS   []string           `json:"netbios,omitempty"`
}

// Zone is an owned zone.
type Zone struct {
	Zone     string `json:"zone"`
	Serial   uint32 `json:"serial"`
	Negative uint32 `json:"negative"` // seconds for which "no such record" may be kept, RFC 2308, Section 4
}

// Check is the last verdict of a health check.
type Check struct {
	Role    string    `json:"role"`
	Node    string    `json:"node"`
	Target  string    `json:"target"`
	Verdict string    `json:"verdict"` // "up", "down" or "unknown"
	Since   time.Time `json:"since,omitzero"`
	Error   string    `json:"error,omitempty"`
}

// Event is one line of the watch stream: the roles that differ from the line before. The first line
// has all of them.
type Event struct {
	Time   time.Time `json:"time"`
	Change uint64    `json:"change"`
	Config string    `json:"config_error,omitempty"`
	Policy string    `json:"policy_error,omitempty"`
	Store  string    `json:"store_error,omitempty"`
	Roles  []Role    `json:"roles"`
}

// OverrideRequest sets or clears an override.
type OverrideRequest struct {
	Role   string   `json:"role"`
	Nodes  []string `json:"nodes,omitempty"` // set only
	By     string   `json:"by,omitempty"`
	Reason string   `json:"reason,omitempty"`
}

// DrainRequest drains or undrains a node.
type DrainRequest struct {
	Node   string `json:"node"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	Force  bool   `json:"force,omitempty"` // drain the last served node too
}

type errorReply struct {
	Error string `json:"error"`
}

// RoleOf puts a role's state into words.
func RoleOf(s *registry.RoleState) Role {
	r := Role{
		Role: s.Role.Name, Cluster: s.Role.Cluster, Mode: s.Role.Mode.String(), State: s.State.String(), Why: s.Why,
		Holder: s.Holder, Epoch: s.Epoch, Since: s.Since, Expires: s.Expires, Source: s.Role.Source.String(), Origin: s.Origin,
		Rivals: s.Rivals, Forced: s.Forced, Served: s.ServedNames(), Addresses: s.Addrs(), DNS: s.Role.DNS,
		TTL: s.TTL, OwnTTL: uint32(s.Role.TTL / time.Second), Lowered: s.Lowered,
	}
	if r.Holder == nil {
		r.Holder = []string{}
	}
	for _, n := range s.Role.Nodes {
		r.Nodes = append(r.Nodes, n.Name)
	}
	for _, n := range s.Role.NetBIOS {
		r.NetBIOS = append(r.NetBIOS, n.String())
	}
	return r
}
