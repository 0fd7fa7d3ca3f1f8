package front

import "context"

// Request is what came to one of our sockets, before it was parsed.
type Request struct {
	// Raw is the message as it came, with its TSIG record and without the length that TCP puts before
	// it. Whoever changes it makes a copy.
	Raw []byte
	// Status is what verifying the TSIG record gave: nil if there is none or it is right, else
	// dns.ErrSecret for an unknown key, dns.ErrTime, dns.ErrSig or the provider's own error.
	Status error
}

type requestKey struct{}

// From returns the request as it came. It is false when the request came to a socket of CoreDNS.
func From(ctx context.Context) (*Request, bool) {
	r, ok := ctx.Value(requestKey{}).(*Request)
	return r, ok
}
