package gsstsig

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// BenchmarkMessage verifies an update and signs the reply.
func BenchmarkMessage(b *testing.B) {
	for name, session := range map[string]int32{"aes256": aes256, "aes128": aes128, "sha384": sha384, "rc4": rc4md5} {
		b.Run(name, func(b *testing.B) {
			r := newRealm(b, "DNS/"+testHost)
			a := r.acceptor(b, Config{})
			c := agreeOn(b, a, r.ticket(b, order{session: session}))
			msg := make([]byte, 200)
			ts := &dns.TSIG{Hdr: dns.RR_Header{Name: c.KeyName}, Algorithm: Algorithm}
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				msg[n%len(msg)]++
				mic, err := c.Generate(msg, ts)
				if err != nil {
					b.Fatal(err)
				}
				ts.MAC = hex.EncodeToString(mic)
				b.StartTimer()
				if err := a.Verify(msg, ts); err != nil {
					b.Fatal(err)
				}
				if _, err := a.Generate(msg, ts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkNegotiation answers TKEY queries.
func BenchmarkNegotiation(b *testing.B) {
	r := newRealm(b, "DNS/"+testHost)
	a := r.acceptor(b, Config{MaxPerClient: 64})
	tkt := r.ticket(b, order{})
	for b.Loop() {
		b.StopTimer()
		h, err := tkt.handshake()
		if err != nil {
			b.Fatal(err)
		}
		m := tkeyQuery(time.Now().Format("150405.000000000")+".", encodeInit(h.token))
		b.StartTimer()
		if _, res := a.Answer(m, testClient, ""); res.Outcome != Accepted {
			b.Fatal(res.Err)
		}
	}
}
