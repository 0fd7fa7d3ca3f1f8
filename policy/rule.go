package policy

import (
	"net/netip"
	"strings"
	"time"

	"github.com/nameward/nameward/registry/yamlat"
)

// Policy is a set of rules in their order, ready to decide. It never changes.
type Policy struct {
	File   string
	Config string // the nameward.yaml that it is written for, relative to File; "": none is named
	// Rules are in the order in which they are looked at: those of the file, then the built-in ones
	// unless the file says otherwise, and last the one that decides what no other rule did.
	Rules       []*Rule
	Own         int // how many of Rules stand in the file
	Classes     []Class
	Controllers []Prefix // the domain controllers, for @controllers
	Cases       []Case   // the tests beside the rules
	Digest      uint64   // of all that decisions depend on

	index *index
}

// Rule decides the requests that meet all of its conditions. A condition that is empty is always met.
type Rule struct {
	ID   string
	File string // BuiltinFile for a built-in rule
	At   yamlat.At
	Pos  int // from 1, over all rules of the policy

	Names       []Pattern
	Channels    []Channel
	From        []Prefix // the source of the request
	Controllers bool     // the source may also be one of Policy.Controllers
	Principals  []Principal
	Types       []Type
	Classes     []ClassRef // of the address that is looked at
	States      []State    // of the claimant

	Action  Action
	Shadow  bool      // counted only: the request goes on to the next rules
	Alert   bool      // a decision of this rule is worth waking somebody
	Expires time.Time // the rule does not hold from then on; zero: never
	Owner   string    // who answers for an exception
	Reason  string    // in the words of whoever wrote it
}

// BuiltinFile is the File of the built-in rules.
const BuiltinFile = "builtin.yaml"

// IsBuiltin reports whether the rule came with nameward.
func (r *Rule) IsBuiltin() bool { return r.File == BuiltinFile }

// Place is FILE:LINE:COL of the rule, or FILE alone for the last one when it is not written.
func (r *Rule) Place() string {
	if !r.At.IsSet() {
		return r.File
	}
	return r.File + ":" + r.At.String()
}

// HoldsAt reports whether the rule has not expired.
func (r *Rule) HoldsAt(t time.Time) bool {
	return r.Expires.IsZero() || !t.IsZero() && t.Before(r.Expires)
}

// Prefix is a prefix with its place.
type Prefix struct {
	netip.Prefix
	At yamlat.At
}

// Class is an address class that the policy brings along.
type Class struct {
	Name     string
	At       yamlat.At
	Prefixes []Prefix
}

// Type is a record type of a condition.
type Type struct {
	Text   string
	Number uint16
	NB     bool // of NetBIOS names; Number is TypeNB
}

// Principal is a pattern of who signed a request.
type Principal struct {
	Text string
	glob glob // as principals are compared: see foldPrincipal
}

// Unsigned is the principal of requests that nobody signed.
const Unsigned = "@unsigned"

// foldPrincipal is the form in which principals are compared. Names of keys are domain names; realms and
// accounts of Active Directory have no case either.
func foldPrincipal(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }

// Glob is the pattern in the form in which principals are compared, with * and ? in it.
func (p Principal) Glob() string { return string(p.glob) }

// Matches reports whether the pattern is met. Nothing but Unsigned matches somebody who did not sign.
func (p Principal) Matches(principal string) bool {
	if p.Text == Unsigned {
		return principal == ""
	}
	return principal != "" && matchGlob(p.glob, foldPrincipal(principal))
}

// ClassRef is a class of a condition: a name, or one of the selectors.
type ClassRef struct {
	Name string
	At   yamlat.At
}

// Selectors of address classes.
const (
	ClassFiltered     = "@filtered"     // any class but public
	ClassUnclassified = "@unclassified" // no class at all
	ClassHolder       = "@holder"       // a public address of the holder of the guarded name
	ClassMember       = "@member"       // a public address of any node of the guarded name's role
)

var classSelectors = []string{ClassFiltered, ClassUnclassified, ClassHolder, ClassMember}
