package gsstsig

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// skew is how far clocks may be apart (RFC 4120, Section 8.2).
const skew = 5 * time.Minute

// flagDCE is a context flag for a handshake of three messages (RFC 4757, Section 7.1).
const flagDCE = 0x1000

// peer is who a token proved to come from, and what was agreed on with it.
type peer struct {
	client, service string // principals
	keys            keys
	theirSeq        uint64 // number of the client's first message
	ourSeq          uint64 // of ours
	ends            time.Time
	id              [32]byte // of the authenticator
}

// accept verifies a client's token of Kerberos and makes the answer to it. It does not look for replays.
func (s *services) accept(token []byte, now time.Time) (_ *peer, _ []byte, err error) {
	defer recovered(&err)
	b, err := unframeKerberos(token, kindAPReq)
	if err != nil {
		return nil, nil, err
	}
	var req messages.APReq
	if err := req.Unmarshal(b); err != nil {
		return nil, nil, err
	}
	if req.PVNO != iana.PVNO || req.Ticket.TktVNO != iana.PVNO || types.IsFlagSet(&req.APOptions, flags.APOptionUseSessionKey) {
		return nil, nil, errors.New("AP-REQ: version 5 without user-to-user is taken")
	}
	ticket, service, err := s.open(req.Ticket)
	if err != nil {
		return nil, nil, &refusal{BadTicket, err}
	}
	if err := checkTicket(ticket, req.Ticket.Realm, now); err != nil {
		return nil, nil, err
	}
	auth, err := openAuthenticator(req, ticket, now)
	if err != nil {
		return nil, nil, err
	}
	p := &peer{
		client:   principal(ticket.CName.NameString, ticket.CRealm),
		service:  service,
		keys:     agree(ticket.Key, auth.SubKey),
		theirSeq: uint64(uint32(auth.SeqNumber)), // some write the upper half as negative numbers
		ourSeq:   newSeq(),
		ends:     ticket.EndTime.Add(skew),
		id:       authenticatorID(req),
	}
	answer, err := apRep(auth, ticket.Key, p)
	return p, answer, err
}

// open decrypts a ticket with the key that it is for.
func (s *services) open(t messages.Ticket) (messages.EncTicketPart, string, error) {
	var part messages.EncTicketPart
	if len(t.SName.NameString) == 0 {
		return part, "", errors.New("the ticket is for nobody")
	}
	candidates, err := s.find(t.SName.NameString, t.Realm, t.EncPart.KVNO, t.EncPart.EType)
	if err != nil {
		return part, "", err
	}
	for _, k := range candidates {
		var text []byte
		if text, err = decrypt(t.EncPart, k.key, keyusage.KDC_REP_TICKET); err == nil {
			return part, k.principal(), part.Unmarshal(text)
		}
	}
	return part, "", fmt.Errorf("the ticket for %s does not open with the key in %s: export it again", principal(t.SName.NameString, t.Realm), s.file)
}

// checkTicket is RFC 4120, Section 3.2.3, as far as the ticket goes.
func checkTicket(t messages.EncTicketPart, realm string, now time.Time) error {
	name := principal(t.CName.NameString, t.CRealm)
	starts := t.StartTime
	if starts.IsZero() {
		starts = t.AuthTime
	}
	switch {
	case starts.After(now.Add(skew)) || types.IsFlagSet(&t.Flags, flags.Invalid):
		return refuse(BadTime, "the ticket of %s is not yet valid", name)
	case now.After(t.EndTime.Add(skew)):
		return refuse(BadTime, "the ticket of %s ended at %s", name, t.EndTime.UTC().Format(time.RFC3339))
	case !isUsable(t.Key):
		return refuse(BadTicket, "the session key of %s is of enctype %d; AES and RC4 are taken", name, t.Key.KeyType)
	case len(t.CName.NameString) == 0 || strings.ContainsFunc(name, unicode.IsControl):
		return refuse(BadTicket, "the ticket is of nobody: %q", name)
	// RFC 4120, Section 2.7: who trusts the realms on the way must say so, the KDC or us.
	case t.CRealm != realm && len(t.Transited.Contents) > 0 && !types.IsFlagSet(&t.Flags, flags.TransitedPolicyChecked):
		return refuse(BadTicket, "the KDC did not check by which realms %s came", name)
	}
	return nil
}

// openAuthenticator is the same, as far as the authenticator goes, and RFC 4121, Section 4.1.1.
func openAuthenticator(req messages.APReq, t messages.EncTicketPart, now time.Time) (types.Authenticator, error) {
	var auth types.Authenticator
	text, err := decrypt(req.EncryptedAuthenticator, t.Key, keyusage.AP_REQ_AUTHENTICATOR)
	if err != nil {
		return auth, fmt.Errorf("authenticator: %w", err)
	}
	if err := auth.Unmarshal(text); err != nil {
		return auth, fmt.Errorf("authenticator: %w", err)
	}
	if auth.CRealm != t.CRealm || !slices.Equal(auth.CName.NameString, t.CName.NameString) {
		return auth, errors.New("ticket and authenticator are of different clients")
	}
	sent := auth.CTime.Add(time.Duration(auth.Cusec) * time.Microsecond)
	if d := now.Sub(sent).Abs(); d > skew {
		return auth, refuse(BadTime, "the clock of %s is %s off, at most %s is allowed", principal(auth.CName.NameString, auth.CRealm), d.Round(time.Second), skew)
	}
	if auth.SubKey.KeyType != 0 && !isUsable(auth.SubKey) {
		return auth, fmt.Errorf("the client's subkey is of enctype %d; AES and RC4 are taken", auth.SubKey.KeyType)
	}
	return auth, checkContextFlags(auth.Cksum)
}

// checkContextFlags is RFC 4121, Section 4.1.1.1. RFC 3645, Section 3.1.1 has the client ask for mutual
// authentication.
func checkContextFlags(sum types.Checksum) error {
	if sum.CksumType != chksumtype.GSSAPI || len(sum.Checksum) < 24 {
		return errors.New("the authenticator has no context flags (checksum 0x8003)")
	}
	switch f := binary.LittleEndian.Uint32(sum.Checksum[20:]); {
	case f&gssapi.ContextFlagMutual == 0:
		return errors.New("the client does not ask for mutual authentication, which RFC 3645, Section 3.1.1 wants")
	case f&flagDCE != 0:
		return errors.New("the client asks for a handshake of three messages (DCE style)")
	}
	return nil
}

// agree makes the keys of a context. The acceptor adds one where the tokens can say so (RFC 4121, Section
// 2); those of RC4 cannot.
func agree(session, subkey types.EncryptionKey) keys {
	k := keys{base: session}
	if subkey.KeyType != 0 {
		k.base = subkey
	}
	if k.base.KeyType != etypeID.RC4_HMAC {
		k.acceptor = newKey(k.base.KeyType)
	}
	return k
}

// newSeq draws a first sequence number, as others do with room to grow in 31 bits.
func newSeq() uint64 {
	var b [4]byte
	rand.Read(b[:])
	return uint64(binary.BigEndian.Uint32(b[:])>>2 | 1) // 0 would be left out of the encoding
}

// encAPRepPart is RFC 4120, Section 5.5.2.
type encAPRepPart struct {
	CTime  time.Time           `asn1:"generalized,explicit,tag:0"`
	Cusec  int                 `asn1:"explicit,tag:1"`
	Subkey types.EncryptionKey `asn1:"optional,explicit,tag:2"`
	Seq    int64               `asn1:"optional,explicit,tag:3"`
}

// apRep makes the token that proves who we are (RFC 4121, Section 4.1).
func apRep(auth types.Authenticator, session types.EncryptionKey, p *peer) ([]byte, error) {
	part := encAPRepPart{CTime: auth.CTime.UTC(), Cusec: auth.Cusec, Subkey: p.keys.acceptor, Seq: int64(p.ourSeq)}
	text, err := asn1.MarshalWithParams(part, "application,explicit,tag:27")
	if err != nil {
		return nil, err
	}
	sealed, err := crypto.GetEncryptedData(text, session, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, err
	}
	rep, err := asn1.MarshalWithParams(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: sealed}, "application,explicit,tag:15")
	return frame(oidKerberos, append([]byte(kindAPRep), rep...)), err
}
