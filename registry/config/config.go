package config

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/yamlat"
)

// Config is a configuration file that was found right.
type Config struct {
	World   *registry.World
	Sources map[string]SourceSpec // by role name; a role that only an operator moves has none
	NetBIOS NetBIOS
	Updates Updates
	Push    Push
	Control Control
	Store   Store
	Log     Log
	Answers Answers
	Policy  string // path of the file with the registration rules; "" for the built-in ones
}

// Kinds of sources, as in SourceSpec and registry.Source. The third is registry.SourceOperator.
const (
	SourceFile  = "file"
	SourceProbe = "probe"
)

// SourceSpec is what the source of one role needs to know.
type SourceSpec struct {
	Kind  string   // SourceFile or SourceProbe
	Files []string // file: the claim files, one for each claimant
	Probe *Probe   // probe; roles may share one
}

// Kinds of probes.
const (
	ProbeTCP  = "tcp"  // the connection is accepted
	ProbeHTTP = "http" // a GET gives one of Status, and Body if there is one
	ProbeSMTP = "smtp" // the banner is 220, RFC 5321, Section 4.2.1
)

// Probe asks every node of a role whether it serves.
type Probe struct {
	Kind     string
	Class    string // the address class whose addresses are asked
	Port     uint16
	Interval time.Duration // from one start to the next
	Timeout  time.Duration // of one check, at most Interval
	Rise     int           // good checks in sequence that make a node healthy
	Fall     int           // bad checks in sequence that make it unhealthy
	HTTP     HTTPProbe     // for ProbeHTTP
}

// HTTPProbe is the rest of an HTTP probe. The URL is Scheme, the node's address, the port and Path.
type HTTPProbe struct {
	Scheme      string // "http" or "https"
	Path        string // with the query, begins with a slash
	Status      []int  // the good ones, at least one
	Body        string // text that must be in the answer; "" for any answer
	Host        string // Host header and TLS server name; "" for the node's address
	InsecureTLS bool   // the certificate is not verified
}

// NetBIOS is the name service. It is off without listeners.
type NetBIOS struct {
	Name        string // nameward's own name in node status, upper case, 1 to 15 octets
	Listen      []Listen
	Forward     []netip.AddrPort // WINS servers that are asked for other names
	NodeStatus  NodeStatus
	WINS        WINS
	Replication Replication
}

// Listen is one place that the name service listens at: an address or an interface.
type Listen struct {
	Address   netip.AddrPort // not valid when Interface is set
	Interface string         // all its IPv4 addresses, port 137
	Broadcast []string       // interfaces whose broadcasts are answered
}

// NodeStatus says who gets which node status response.
type NodeStatus struct {
	Full   []netip.Prefix // askers that get every name
	Others string         // "short": nameward's own name only; "off": no response
}

// Control is the control API.
type Control struct{ Socket string }

// Store is where state is kept, in a file each: roles, owned zones, what of updates was not published, and how far
// the targets of changes are. With Etcd the roles are there, and not in Bolt.
type Store struct {
	Bolt, Zones, Updates, Push string
	Etcd                       Etcd
}

// Log is how logs are written: Level debug, info, warn or error; Format json or console.
type Log struct{ Level, Format string }

// Load reads the configuration file at path. The error is a [yamlat.Problems], or another one when the
// file cannot be read at all.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse reads data, the content of the configuration file named file. The error is a
// [yamlat.Problems].
func Parse(file string, data []byte) (*Config, error) {
	d, root := yamlat.Parse(file, data)
	if yamlat.Empty(root) {
		if d.Err() == nil {
			d.Problemf(yamlat.At{Line: 1, Col: 1}, "the file is empty, write at least clusters")
		}
		return nil, d.Err()
	}
	var r rawConfig
	fileShape.Decode(d, root, &r)
	roles := 0
	for _, cl := range r.clusters {
		roles += len(cl.roles)
	}
	c := newChecker(d, file, roles).config(&r)
	if err := d.Err(); err != nil {
		return nil, err
	}
	return c, nil
}
