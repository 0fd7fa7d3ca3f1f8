package gsstsig

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"github.com/miekg/dns"
)

// Initiator is the client's side: it agrees on keys with servers.
type Initiator struct {
	login Login
	bare  bool // tokens of Kerberos without SPNEGO
}

// Option changes an Initiator.
type Option func(*Initiator)

// Bare has an Initiator send tokens of Kerberos without SPNEGO around them, for servers that know it not.
func Bare(i *Initiator) { i.bare = true }

// NewInitiator makes an Initiator. It reads the keytab or password for a first time, and asks nobody yet.
func NewInitiator(l Login, options ...Option) (*Initiator, error) {
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("GSS-TSIG client: %w", err)
	}
	i := &Initiator{login: l}
	for _, o := range options {
		o(i)
	}
	return i, nil
}

// keyLifetime is what a client asks for; servers have their own mind.
const keyLifetime = time.Hour

// Negotiate logs in, gets a ticket for the service DNS/host, and agrees on a key with the server at the
// other end of the exchange. With Active Directory and BIND the host is what the SOA names as primary.
func (i *Initiator) Negotiate(ctx context.Context, exchange Exchange, host string) (*Context, error) {
	t, err := i.login.ticket("DNS/" + strings.TrimSuffix(host, "."))
	if err != nil {
		return nil, err
	}
	return i.negotiate(ctx, exchange, host, t)
}

// negotiate is RFC 3645, Section 3.1.
func (i *Initiator) negotiate(ctx context.Context, exchange Exchange, host string, t *ticket) (*Context, error) {
	h, err := t.handshake()
	if err != nil {
		return nil, err
	}
	token := h.token
	if !i.bare {
		token = encodeInit(token)
	}
	name := fmt.Sprintf("%016x.%s", rand.Uint64(), dns.CanonicalName(host))
	heard := new(listener)
	reply, err := exchange(ctx, tkeyQuery(name, token), heard)
	if err != nil {
		return nil, fmt.Errorf("TKEY exchange: %w", err)
	}
	answer, err := tkeyAnswer(reply, name)
	if err != nil {
		return nil, err
	}
	c, err := h.complete(answer, t)
	if err != nil {
		return nil, err
	}
	c.KeyName, c.Algorithm = name, Algorithm
	// RFC 3645, Section 3.1.3, has the client verify the last reply. BIND's client does not, as some servers
	// have it wrong; the token in it has proved who the server is.
	c.Signed = heard.tsig != nil && c.Verify(heard.msg, heard.tsig) == nil
	return c, nil
}

// tkeyQuery is RFC 3645, Section 3.1.2.
func tkeyQuery(name string, token []byte) *dns.Msg {
	now := time.Now()
	m := new(dns.Msg)
	m.Id = dns.Id()
	m.Question = []dns.Question{{Name: name, Qtype: dns.TypeTKEY, Qclass: dns.ClassANY}}
	m.Extra = []dns.RR{&dns.TKEY{
		Hdr:       dns.RR_Header{Name: name, Rrtype: dns.TypeTKEY, Class: dns.ClassANY},
		Algorithm: Algorithm, Mode: modeGSS,
		Inception: uint32(now.Unix()), Expiration: uint32(now.Add(keyLifetime).Unix()),
		KeySize: uint16(len(token)), Key: hex.EncodeToString(token),
	}}
	return m
}

// answerTKEY is what a server's TKEY record holds.
type answerTKEY struct {
	token []byte
	ends  time.Time
}

func tkeyAnswer(reply *dns.Msg, name string) (answerTKEY, error) {
	if reply.Rcode != dns.RcodeSuccess {
		return answerTKEY{}, fmt.Errorf("TKEY: the server says %s", dns.RcodeToString[reply.Rcode])
	}
	for _, rr := range reply.Answer {
		t, ok := rr.(*dns.TKEY)
		if !ok || dns.CanonicalName(t.Hdr.Name) != name {
			continue
		}
		if t.Error != dns.RcodeSuccess {
			return answerTKEY{}, fmt.Errorf("TKEY: the server says %s", dns.RcodeToString[int(t.Error)])
		}
		token, err := hex.DecodeString(t.Key)
		now := time.Now()
		left := time.Duration(int32(t.Expiration-uint32(now.Unix()))) * time.Second // RFC 2930, Section 2.3
		return answerTKEY{token, now.Add(left)}, err
	}
	return answerTKEY{}, errors.New("TKEY: the server's reply has no record of the key")
}

// handshake is one attempt: the token that was sent, and what its answer must match.
type handshake struct {
	token []byte
	auth  types.Authenticator
}

// handshake makes the first token (RFC 4121, Section 4.1).
func (t *ticket) handshake() (*handshake, error) {
	if !isUsable(t.key) {
		return nil, fmt.Errorf("the session key is of enctype %d; AES and RC4 are taken", t.key.KeyType)
	}
	auth, err := types.NewAuthenticator(t.realm, t.name)
	if err != nil {
		return nil, err
	}
	auth.SeqNumber, auth.SubKey = int64(newSeq()), newKey(t.key.KeyType)
	sum := make([]byte, 24) // RFC 4121, Section 4.1.1: no channel bindings
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], gssapi.ContextFlagMutual|gssapi.ContextFlagReplay|gssapi.ContextFlagInteg)
	auth.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
	req, err := messages.NewAPReq(t.ticket, t.key, auth)
	if err != nil {
		return nil, err
	}
	types.SetFlag(&req.APOptions, flags.APOptionMutualRequired)
	b, err := req.Marshal()
	return &handshake{frame(oidKerberos, append([]byte(kindAPReq), b...)), auth}, err
}

// complete reads the server's token.
func (h *handshake) complete(a answerTKEY, t *ticket) (_ *Context, err error) {
	defer recovered(&err)
	token, err := parseAnswer(a.token)
	if err != nil {
		return nil, err
	}
	b, err := unframeKerberos(token, kindAPRep)
	if err != nil {
		return nil, errors.Join(err, krbError(token))
	}
	var rep messages.APRep
	if err := rep.Unmarshal(b); err != nil {
		return nil, err
	}
	text, err := decrypt(rep.EncPart, t.key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return nil, fmt.Errorf("AP-REP: %w", err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(text); err != nil {
		return nil, err
	}
	if part.Cusec != h.auth.Cusec || part.CTime.Unix() != h.auth.CTime.Unix() {
		return nil, errors.New("AP-REP: it answers another request")
	}
	c := &Context{keys: keys{base: h.auth.SubKey}, seq: uint64(h.auth.SeqNumber), Ends: t.ends}
	if a.ends.Before(c.Ends) {
		c.Ends = a.ends
	}
	return c, c.adopt(part.Subkey)
}

// adopt takes the server's subkey. RC4's tokens cannot say that it was used, so it is not (RFC 4121,
// Section 2).
func (c *Context) adopt(subkey types.EncryptionKey) error {
	switch {
	case subkey.KeyType == 0 || c.keys.base.KeyType == etypeID.RC4_HMAC:
		return nil
	case !isUsable(subkey) || subkey.KeyType == etypeID.RC4_HMAC:
		return fmt.Errorf("AP-REP: a subkey of enctype %d; AES is taken", subkey.KeyType)
	}
	c.keys.acceptor = subkey
	return nil
}

// krbError gives the error of Kerberos in a token, nil if there is none.
func krbError(token []byte) error {
	b, err := unframeKerberos(token, kindError)
	if err != nil {
		return nil
	}
	var e messages.KRBError
	if err := e.Unmarshal(b); err != nil {
		return err
	}
	return e
}
