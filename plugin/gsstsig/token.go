package gsstsig

import (
	"encoding/asn1"
	"errors"
	"fmt"
)

// Mechanisms: Kerberos (RFC 1964, Section 1), what Windows names it by a slip of long ago
// (MS-SPNG, Section 1.9), and SPNEGO (RFC 4178, Section 3).
var (
	oidKerberos   = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	oidMSKerberos = asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2}
	oidSPNEGO     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
)

// Kinds of Kerberos tokens (RFC 4121, Section 4.1).
const (
	kindAPReq = "\x01\x00"
	kindAPRep = "\x02\x00"
	kindError = "\x03\x00"
)

// frame puts a token of a mechanism into the framing of RFC 2743, Section 3.1.
func frame(mech asn1.ObjectIdentifier, token []byte) []byte {
	return must(asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, Tag: 0, IsCompound: true, Bytes: append(must(asn1.Marshal(mech)), token...)}))
}

// must is for values of our own, which have an encoding.
func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func unframe(b []byte) (asn1.ObjectIdentifier, []byte, error) {
	var outer asn1.RawValue
	rest, err := asn1.Unmarshal(b, &outer)
	if err != nil || len(rest) != 0 || outer.Class != asn1.ClassApplication || outer.Tag != 0 || !outer.IsCompound {
		return nil, nil, errors.New("no GSS-API token (RFC 2743, Section 3.1)")
	}
	var mech asn1.ObjectIdentifier
	token, err := asn1.Unmarshal(outer.Bytes, &mech)
	if err != nil {
		return nil, nil, fmt.Errorf("mechanism of the GSS-API token: %w", err)
	}
	return mech, token, nil
}

// unframeKerberos gives the Kerberos message in a token of that kind.
func unframeKerberos(b []byte, kind string) ([]byte, error) {
	mech, token, err := unframe(b)
	switch {
	case err != nil:
		return nil, err
	case !mech.Equal(oidKerberos) && !mech.Equal(oidMSKerberos):
		return nil, fmt.Errorf("a token of mechanism %v, not of Kerberos", mech)
	case len(token) < 2:
		return nil, errors.New("a Kerberos token that is too short")
	case string(token[:2]) != kind:
		return nil, fmt.Errorf("a Kerberos token of kind %x, %x is due", token[:2], kind)
	}
	return token[2:], nil
}

// States of a negotiation (RFC 4178, Section 4.2.2).
const (
	stateCompleted = 0
	stateNone      = -1 // absent
)

// negTokenInit is RFC 4178, Section 4.2.1.
type negTokenInit struct {
	Mechs asn1.RawValue  // [0]; its octets are what a mechListMIC signs
	Flags asn1.BitString `asn1:"explicit,optional,tag:1"`
	Token []byte         `asn1:"explicit,optional,omitempty,tag:2"`
	MIC   []byte         `asn1:"explicit,optional,omitempty,tag:3"`
}

// negTokenResp is RFC 4178, Section 4.2.2.
type negTokenResp struct {
	State asn1.Enumerated       `asn1:"explicit,optional,default:-1,tag:0"`
	Mech  asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	Token []byte                `asn1:"explicit,optional,omitempty,tag:2"`
	MIC   []byte                `asn1:"explicit,optional,omitempty,tag:3"`
}

// offer is what a client's first token holds.
type offer struct {
	spnego bool
	mech   asn1.ObjectIdentifier // with SPNEGO: the client's first choice
	mechs  []byte                // with SPNEGO: the list of mechanisms as it was encoded
	mic    []byte                // with SPNEGO: the client's signature of that list
	token  []byte                // the token of Kerberos
}

// parseOffer reads a client's first token, bare or in SPNEGO. Kerberos must be the first choice, since the
// token that comes along belongs to that.
func parseOffer(b []byte) (offer, error) {
	mech, rest, err := unframe(b)
	if err != nil || !mech.Equal(oidSPNEGO) {
		return offer{token: b}, err
	}
	var init negTokenInit
	if _, err := asn1.UnmarshalWithParams(rest, &init, "explicit,tag:0"); err != nil {
		return offer{}, fmt.Errorf("NegTokenInit: %w", err)
	}
	var mechs []asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(init.Mechs.Bytes, &mechs); err != nil || init.Mechs.Class != asn1.ClassContextSpecific || init.Mechs.Tag != 0 {
		return offer{}, errors.New("NegTokenInit: no list of mechanisms")
	}
	if len(mechs) == 0 || !mechs[0].Equal(oidKerberos) && !mechs[0].Equal(oidMSKerberos) {
		return offer{}, fmt.Errorf("NegTokenInit: mechanisms %v, Kerberos is not the first", mechs[:min(len(mechs), 4)])
	}
	if len(init.Token) == 0 {
		return offer{}, errors.New("NegTokenInit: no token of Kerberos came along")
	}
	return offer{spnego: true, mech: mechs[0], mechs: init.Mechs.Bytes, mic: init.MIC, token: init.Token}, nil
}

// encodeInit wraps a client's token of Kerberos into SPNEGO.
func encodeInit(token []byte) []byte {
	mechs := must(asn1.Marshal([]asn1.ObjectIdentifier{oidKerberos, oidMSKerberos}))
	init := negTokenInit{
		Mechs: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: mechs},
		Token: token,
	}
	return frame(oidSPNEGO, must(asn1.MarshalWithParams(init, "explicit,tag:0")))
}

func encodeResp(resp negTokenResp) []byte {
	return must(asn1.MarshalWithParams(resp, "explicit,tag:1"))
}

// parseAnswer gives the token of Kerberos in a server's token, bare or in SPNEGO.
func parseAnswer(b []byte) ([]byte, error) {
	if len(b) > 0 && b[0] == 0x60 {
		return b, nil
	}
	var resp negTokenResp
	if _, err := asn1.UnmarshalWithParams(b, &resp, "explicit,tag:1"); err != nil {
		return nil, fmt.Errorf("NegTokenResp: %w", err)
	}
	// A mechListMIC is passed over: the first choice was taken, so nobody can have cut the list (RFC 4178,
	// Section 5), and old Windows puts its token there once more.
	if resp.State != stateCompleted && resp.State != stateNone {
		return nil, fmt.Errorf("NegTokenResp: state %d, the server does not complete the negotiation (0)", resp.State)
	}
	return resp.Token, nil
}
