package gsstsig

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"errors"

	"github.com/jcmturner/gokrb5/v8/crypto/rfc4757"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"
)

var errMIC = errors.New("the signature does not verify")

// keys are those of a security context.
type keys struct {
	base     types.EncryptionKey // the initiator's subkey, or else the session key of the ticket
	acceptor types.EncryptionKey // the acceptor's subkey, of type 0 if there is none
}

// sign makes the MIC token of a message.
func (k keys) sign(msg []byte, seq uint64, byAcceptor bool) (_ []byte, err error) {
	defer recovered(&err)
	if k.base.KeyType == etypeID.RC4_HMAC {
		return signRC4(k.base.KeyValue, msg, uint32(seq), byAcceptor), nil
	}
	token := gssapi.MICToken{SndSeqNum: seq, Payload: msg}
	key := k.base
	if byAcceptor {
		token.Flags |= gssapi.MICTokenFlagSentByAcceptor
	}
	if k.acceptor.KeyType != 0 {
		key, token.Flags = k.acceptor, token.Flags|gssapi.MICTokenFlagAcceptorSubkey
	}
	if err := token.SetChecksum(key, usage(byAcceptor)); err != nil {
		return nil, err
	}
	return token.Marshal()
}

// verify checks the MIC token of a message and gives what no other message of the sender has: with AES the
// sequence number. That of RC4 is encrypted but not protected, anybody may change it on the way: there it
// is the checksum.
func (k keys) verify(msg, mic []byte, byAcceptor bool) (id uint64, err error) {
	defer recovered(&err)
	if k.base.KeyType == etypeID.RC4_HMAC {
		return verifyRC4(k.base.KeyValue, msg, mic, byAcceptor)
	}
	var token gssapi.MICToken
	if err := token.Unmarshal(mic, byAcceptor); err != nil {
		return 0, err
	}
	if token.Flags&gssapi.MICTokenFlagSealed != 0 {
		return 0, errMIC // RFC 4121, Section 4.2.2: not in MIC tokens
	}
	// The flag says which key was used. Some clients keep to their own although they were given one, which
	// MIT's acceptor takes as well.
	key := k.base
	if token.Flags&gssapi.MICTokenFlagAcceptorSubkey != 0 {
		key = k.acceptor
	}
	token.Payload = msg
	// The library's error shows the right checksum: it is not passed on.
	if ok, err := token.Verify(key, usage(byAcceptor)); err != nil || !ok {
		return 0, errMIC
	}
	return token.SndSeqNum, nil
}

// usage is the key usage of RFC 4121, Section 2.
func usage(byAcceptor bool) uint32 {
	if byAcceptor {
		return keyusage.GSSAPI_ACCEPTOR_SIGN
	}
	return keyusage.GSSAPI_INITIATOR_SIGN
}

const (
	headerRC4 = "\x01\x01\x11\x00\xff\xff\xff\xff" // RFC 4757, Section 7.2: TOK_ID, SGN_ALG, filler
	usageRC4  = 15                                 // the same: "signaturekey", T=15
)

// signRC4 makes a MIC token of RFC 4757, Section 7.2, in the framing of RFC 1964, Section 1.2.
func signRC4(key, msg []byte, seq uint32, byAcceptor bool) []byte {
	sum := checksumRC4(key, msg)
	order := make([]byte, 8)
	binary.BigEndian.PutUint32(order, seq)
	if byAcceptor {
		copy(order[4:], "\xff\xff\xff\xff")
	}
	cryptRC4(key, sum, order)
	return frame(oidKerberos, append(append([]byte(headerRC4), order...), sum...))
}

func verifyRC4(key, msg, mic []byte, byAcceptor bool) (uint64, error) {
	mech, token, err := unframe(mic)
	if err != nil {
		return 0, err
	}
	if !mech.Equal(oidKerberos) || len(token) != 24 || string(token[:8]) != headerRC4 {
		return 0, errors.New("no MIC token of RFC 4757, Section 7.2")
	}
	sum := checksumRC4(key, msg)
	if !hmac.Equal(sum, token[16:]) {
		return 0, errMIC
	}
	order := bytes.Clone(token[8:16])
	cryptRC4(key, sum, order)
	direction := uint32(0)
	if byAcceptor {
		direction = 0xffffffff
	}
	if binary.BigEndian.Uint32(order[4:]) != direction {
		return 0, errMIC // our own token, sent back
	}
	return binary.BigEndian.Uint64(sum), nil
}

func checksumRC4(key, msg []byte) []byte {
	sum, _ := rfc4757.Checksum(key, usageRC4, append([]byte(headerRC4), msg...)) // fails never: it reads from memory
	return sum[:8]
}

// cryptRC4 encrypts or decrypts the sequence number.
func cryptRC4(key, sum, order []byte) {
	mac := hmac.New(md5.New, key)
	mac.Write([]byte{0, 0, 0, 0})
	mac = hmac.New(md5.New, mac.Sum(nil))
	mac.Write(sum)
	stream, err := rc4.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // the key has 16 octets
	}
	stream.XORKeyStream(order, order)
}
