package gsstsig

import (
	"net/netip"
	"sync"
	"testing"
)

// TestTogether is for the race detector: many clients, few places.
func TestTogether(t *testing.T) {
	r := newRealm(t, "DNS/"+testHost)
	a := r.acceptor(t, Config{MaxContexts: 6, MaxPerClient: 4})
	tkt := r.ticket(t, order{})
	rc4 := r.ticket(t, order{session: rc4md5})
	var wg sync.WaitGroup
	for n := range 4 {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(n % 2)})
		wg.Go(func() {
			for k := range 20 {
				use := tkt
				if k%3 == 0 {
					use = rc4
				}
				c, err := new(Initiator).negotiate(t.Context(), over(t, a, from, nil), testHost, use)
				if err != nil {
					t.Logf("evicted before its reply was signed: %v", err)
					continue
				}
				var inner sync.WaitGroup
				for range 2 {
					inner.Go(func() {
						raw, _ := signed(t, c)
						_ = verify(a, raw, "") // it may have been evicted
						a.Principal(c.KeyName)
					})
				}
				inner.Wait()
				if k%5 == 0 {
					a.Answer(c.Delete(), from, c.KeyName)
				}
				if err := a.Reload(); err != nil {
					t.Error(err)
				}
				if s := a.Status(); s.Contexts > 6 {
					t.Errorf("%d contexts", s.Contexts)
				}
			}
		})
	}
	wg.Wait()
}
