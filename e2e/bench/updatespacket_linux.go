package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"time"

	"github.com/miekg/dns"
)

// The key that signs the updates: HMAC-SHA256.
const (
	updateKey    = "bench."
	updateSecret = "bmFtZXdhcmQgbWVhc3VyZXMgaXRzIG93biB1cGRhdGVz"
)

// updateName is an owner name of the zone that no server has in its beginning.
func updateName(i int) string { return fmt.Sprintf("u%08d.%s", i, zone) }

// change is one update of one record.
type change struct {
	name    int // of updateName
	deletes bool
}

// updatePacker writes signed updates: RFC 2136, and RFC 8945, Section 4. It costs a small part of what a
// library does, so that the client is not what is measured.
type updatePacker struct {
	mac    hash.Hash
	head   []byte // the header and the zone section
	before []byte // of the TSIG variables, what stands before the time
	record []byte // of the TSIG record, what stands before the time
}

const (
	updateFlags   = dns.OpcodeUpdate << 11
	updateTTL     = 60
	signatureTime = 300 // fudge, in seconds
	zoneOffset    = 12  // of the zone's name in the message
)

func newUpdatePacker() *updatePacker {
	secret, err := base64.StdEncoding.DecodeString(updateSecret)
	if err != nil {
		panic(err) // a constant
	}
	p := &updatePacker{mac: hmac.New(sha256.New, secret)}
	p.head = binary.BigEndian.AppendUint16([]byte{0, 0}, updateFlags)
	p.head = append(p.head, 0, 1, 0, 0, 0, 1, 0, 0)
	p.head = append(p.head, wireName(zone)...)
	p.head = append(p.head, 0, byte(dns.TypeSOA), 0, dns.ClassINET)
	key, algorithm := wireName(updateKey), wireName(dns.HmacSHA256)
	p.before = append(append(p.before, key...), 0, dns.ClassANY, 0, 0, 0, 0)
	p.before = append(p.before, algorithm...)
	p.record = append(append(p.record, key...), 0, byte(dns.TypeTSIG), 0, dns.ClassANY, 0, 0, 0, 0)
	const fixed = 6 + 2 + 2 + sha256.Size + 2 + 2 + 2
	p.record = append(binary.BigEndian.AppendUint16(p.record, uint16(len(algorithm)+fixed)), algorithm...)
	return p
}

func wireName(name string) []byte {
	var buf [256]byte
	n, err := dns.PackDomainName(name, buf[:], 0, nil, false)
	if err != nil {
		panic(err) // a constant
	}
	return buf[:n]
}

// append appends the packet that makes one change.
func (p *updatePacker) append(dst []byte, id uint16, c change, at time.Time) []byte {
	start := len(dst)
	dst = append(dst, p.head...)
	binary.BigEndian.PutUint16(dst[start:], id)
	dst = appendChange(dst, c)

	const fudge = signatureTime
	var when [8]byte
	binary.BigEndian.PutUint64(when[:], uint64(at.Unix())<<16|fudge)
	p.mac.Reset()
	p.mac.Write(dst[start:])
	p.mac.Write(p.before)
	p.mac.Write(when[:])
	p.mac.Write([]byte{0, 0, 0, 0}) // no error, no other data

	dst[start+11] = 1 // the TSIG record is signed as if it were not there
	dst = append(append(dst, p.record...), when[:]...)
	dst = append(dst, 0, sha256.Size)
	dst = p.mac.Sum(dst)
	return append(dst, byte(id>>8), byte(id), 0, 0, 0, 0)
}

// appendChange appends a record of the update section: RFC 2136, Sections 2.5.1 and 2.5.2.
func appendChange(dst []byte, c change) []byte {
	const label = 9
	dst = append(dst, label, 'u', '0', '0', '0', '0', '0', '0', '0', '0')
	for i, rest := len(dst)-1, c.name; rest > 0; i, rest = i-1, rest/10 {
		dst[i] = '0' + byte(rest%10)
	}
	dst = append(dst, 0xc0, zoneOffset, 0, byte(dns.TypeA))
	if c.deletes {
		return append(dst, 0, dns.ClassANY, 0, 0, 0, 0, 0, 0)
	}
	addr := updateAddr.As4()
	dst = append(dst, 0, dns.ClassINET, 0, 0, 0, updateTTL, 0, byte(len(addr)))
	return append(dst, addr[:]...)
}

// readUpdateReply reads the header of a response; ok is false for anything else.
func readUpdateReply(packet []byte) (id uint16, rcode int, ok bool) {
	if len(packet) < zoneOffset || packet[2]&0x80 == 0 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(packet), int(packet[3] & 0x0f), true
}
