package config

import "github.com/nameward/nameward/registry/yamlat"

// What a client that asks for signatures gets when what they are over had to be changed.
const (
	SignedStrip    = "strip"    // the rest, without the signatures and the AD bit
	SignedServfail = "servfail" // SERVFAIL: nothing rather than what it would find bogus
)

// Answers is what becomes of the answers of other servers, beside what the policy says.
type Answers struct {
	Signed    string // SignedStrip or SignedServfail
	Rebinding Rebinding
}

// Rebinding is the protection against names that public zones give to private addresses.
type Rebinding struct {
	On           bool
	PrivateZones []string // lower case and fully qualified: names in them may have such addresses
}

type rawAnswers struct {
	signed    number
	rebinding rawRebinding
}

type rawRebinding struct {
	at           at // not set without the key
	privateZones texts
}

var signedWords = []string{SignedStrip, SignedServfail}

var answersShape = yamlat.Shape[rawAnswers]{
	What: "answers",
	Fields: []yamlat.Field[rawAnswers]{
		{Key: "signed", Set: func(d *decoder, n *node, a *rawAnswers) { a.signed = d.Choice(n, signedWords...) }},
		{Key: "rebinding", Set: func(d *decoder, n *node, a *rawAnswers) {
			a.rebinding.at, _ = rebindingShape.Decode(d, n, &a.rebinding)
		}},
	},
}

// The list is required: who turns the protection on is to think of the zones that it would break.
var rebindingShape = yamlat.Shape[rawRebinding]{
	What: "rebinding",
	Fields: []yamlat.Field[rawRebinding]{
		{Key: "private_zones", Required: true, Set: func(d *decoder, n *node, r *rawRebinding) {
			r.privateZones = yamlat.ListOf(d, n, (*decoder).FQDN)
		}},
	},
}

func (c *checker) answers(r *rawAnswers) Answers {
	return Answers{
		Signed:    signedWords[r.signed.Or(0)],
		Rebinding: Rebinding{On: r.rebinding.at.IsSet(), PrivateZones: distinct(c.d, r.rebinding.privateZones, "zone ")},
	}
}
