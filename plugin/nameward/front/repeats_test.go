package front

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r repeats
		a, b := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 2}
		raw, answer := []byte("an update"), []byte("id\x80\x00........")
		if fingerprintOf(raw, true, a) != fingerprintOf(raw, true, b) || fingerprintOf(raw, false, a) == fingerprintOf(raw, false, b) {
			t.Error("signed messages are the same from everywhere, others are not")
		}
		for _, signed := range []bool{true, false} {
			f := fingerprintOf(raw, signed, a)
			begin := func(want string) {
				t.Helper()
				got, again := r.begin(f, signed)
				if text := fmt.Sprint(again, got != nil); text != want {
					t.Errorf("signed %v: again, with an answer: %s, want %s", signed, text, want)
				}
			}
			begin("false false")
			begin("true false")
			r.end(f, answer)
			begin("true true")
			time.Sleep(unsignedFor)
			if signed {
				begin("true true")
				time.Sleep(signedFor)
			}
			begin("false false")
			r.end(f, []byte("id\x80\x02........")) // SERVFAIL
			begin("false false")
			r.abandon(f)
			begin("false false")
			r.end(f, answer)
			r.abandon(f)
			begin("true true")
		}
	})
}

func TestRepeatsAreBounded(t *testing.T) {
	var r repeats
	for i := range maxRepeats + 1000 {
		r.begin(fingerprint{byte(i), byte(i >> 8), byte(i >> 16)}, true)
	}
	if len(r.known) > maxRepeats || r.order.Len() != len(r.known) {
		t.Errorf("%d are known, %d in order", len(r.known), r.order.Len())
	}
}
