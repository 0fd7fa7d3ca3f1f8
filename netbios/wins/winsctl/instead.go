package winsctl

import (
	"strings"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/registry"
)

// Instead is what takes the place of a NetBIOS name in a network without them.
type Instead struct {
	DNS  string `json:"dns,omitempty"`  // a DNS name, fully qualified; "_ldap..." is that of SRV records
	Role string `json:"role,omitempty"` // that the name belongs to
	Note string `json:"note,omitempty"` // what else is to be said, or why nothing takes its place
}

// Suffixes whose names are not those of hosts; Microsoft, NetBIOS Suffixes (16th Character).
const (
	suffixWorkstation = 0x00
	suffixMessenger   = 0x03
	suffixServer      = 0x20
	suffixMaster      = 0x1b
	suffixControllers = 0x1c
	suffixBrowser     = 0x1d
	suffixElection    = 0x1e
	suffixBrowse      = 0x01
)

// replacer knows what takes the place of names.
type replacer struct {
	roles  *registry.Snapshot // or nil
	db     *wins.Snapshot     // or nil
	suffix string
}

func (s *Server) instead() *replacer {
	in := &replacer{roles: s.snapshot()}
	if db, err := s.database(); err == nil {
		in.db = db.Snapshot()
	}
	if s.DNSSuffix != nil {
		in.suffix = s.DNSSuffix()
	}
	return in
}

func (in *replacer) of(n netbios.Name) Instead {
	if in.roles != nil {
		if role, ok := in.roles.NetBIOS(n); ok {
			return ofRole(role.Role)
		}
	}
	switch n.Suffix() {
	case suffixMaster:
		return in.ofDomain("_ldap._tcp.pdc._msdcs.", "SRV: clients of Active Directory find the PDC by it")
	case suffixControllers:
		return in.ofDomain("_ldap._tcp.dc._msdcs.", "SRV: clients of Active Directory find controllers by it")
	case suffixBrowse, suffixBrowser, suffixElection:
		return Instead{Note: "nothing is needed: lists of neighbours end with NetBIOS"}
	case suffixWorkstation, suffixMessenger, suffixServer:
		return in.ofHost(n)
	}
	return Instead{Note: "the suffix is that of an application: use the DNS name of its host there"}
}

func ofRole(r *registry.Role) Instead {
	if len(r.DNS) == 0 {
		return Instead{Role: r.Name, Note: "give the role a DNS name"}
	}
	return Instead{Role: r.Name, DNS: r.DNS[0]}
}

const noSuffix = "netbios.wins.dns_suffix is not configured"

// ofDomain is the SRV name of a domain. The domain's DNS name need not resemble its NetBIOS name: it is
// the configured one that counts.
func (in *replacer) ofDomain(service, note string) Instead {
	if in.suffix == "" {
		return Instead{Note: service + "DOMAIN " + note + "; " + noSuffix}
	}
	return Instead{DNS: service + in.suffix, Note: note}
}

func (in *replacer) ofHost(n netbios.Name) Instead {
	switch {
	case in.isGroup(n):
		return Instead{Note: "nothing is needed: it is the name of a workgroup or domain"}
	case n.Base() == "*":
		return Instead{Note: "nothing is needed: it stands for every node"}
	case !isLabel(n.Base()):
		return Instead{Note: "no host name in DNS can be like it: give the host another one"}
	case in.suffix == "":
		return Instead{Note: noSuffix}
	}
	return Instead{DNS: strings.ToLower(n.Base()) + "." + in.suffix}
}

func (in *replacer) isGroup(n netbios.Name) bool {
	if in.db == nil {
		return false
	}
	r, ok := in.db.Find(n)
	return ok && (r.Kind == wins.Group || r.Kind == wins.Internet)
}

// isLabel reports whether a host may have the name, RFC 1123, Section 2.1.
func isLabel(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[len(s)-1] != '-'
}
