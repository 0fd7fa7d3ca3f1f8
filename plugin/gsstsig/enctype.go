package gsstsig

import (
	"crypto/rand"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/types"
)

// keySize is the length of a key by its encryption type, of those that are taken. The library's own word
// on aes256-cts-hmac-sha384-192 is wrong: 24 octets for 32.
var keySize = map[int32]int{
	etypeID.AES256_CTS_HMAC_SHA1_96:    32,
	etypeID.AES128_CTS_HMAC_SHA1_96:    16,
	etypeID.AES256_CTS_HMAC_SHA384_192: 32,
	etypeID.AES128_CTS_HMAC_SHA256_128: 16,
	etypeID.RC4_HMAC:                   16,
}

// enctypes are the same in the order in which a client asks for them.
var enctypes = []int32{
	etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA1_96,
	etypeID.AES256_CTS_HMAC_SHA384_192, etypeID.AES128_CTS_HMAC_SHA256_128,
	etypeID.RC4_HMAC,
}

func isUsable(key types.EncryptionKey) bool {
	size, known := keySize[key.KeyType]
	return known && len(key.KeyValue) == size
}

func newKey(enctype int32) types.EncryptionKey {
	value := make([]byte, keySize[enctype])
	rand.Read(value) // never fails
	return types.EncryptionKey{KeyType: enctype, KeyValue: value}
}

// decrypt opens what was encrypted with the key. The library panics on a text that is too short.
func decrypt(data types.EncryptedData, key types.EncryptionKey, usage uint32) (text []byte, err error) {
	defer recovered(&err)
	if data.EType != key.KeyType {
		return nil, fmt.Errorf("encrypted with enctype %d, the key is of %d", data.EType, key.KeyType)
	}
	return crypto.DecryptEncPart(data, key, usage)
}

// recovered makes an error of a panic in the Kerberos library, which is not written for hostile octets.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("malformed: %v", r)
	}
}
