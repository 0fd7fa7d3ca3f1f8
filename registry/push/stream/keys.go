package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/follow"
)

// keys are the certificate and the key of the server, from files that may be replaced while it runs.
type keys struct {
	log      zerolog.Logger
	pair     atomic.Pointer[tls.Certificate]
	mu       sync.Mutex
	follower *follow.Follower
	files    [2]string // of the certificate and of the key
}

func loadPair(certificate, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("push.stream: certificate %s, key %s: %w", certificate, key, err)
	}
	return &pair, nil
}

// use takes a pair that was loaded from two files, which are followed from now on.
func (k *keys) use(certificate, key string, pair *tls.Certificate) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pair.Store(pair)
	k.files = [2]string{certificate, key}
	if k.follower != nil {
		k.follower.Set(k.files[:])
	}
}

// follow takes what is put in the place of the files, until ctx ends.
func (k *keys) follow(ctx context.Context) {
	f := follow.New(k.log, func(follow.File) { k.reload() })
	k.mu.Lock()
	k.follower = f
	if k.files[0] != "" {
		f.Set(k.files[:])
	}
	k.mu.Unlock()
	_ = f.Run(ctx) // it returns nothing but nil
}

// reload takes the files as they are. They are replaced one after the other: between the two they do not fit, and the
// pair from before stays.
func (k *keys) reload() {
	k.mu.Lock()
	defer k.mu.Unlock()
	pair, err := loadPair(k.files[0], k.files[1])
	if err != nil {
		k.log.Warn().Err(err).Msg("the certificate is not taken; the last good one stays in force")
		return
	}
	if now := k.pair.Load(); now != nil && len(now.Certificate) > 0 && string(now.Certificate[0]) == string(pair.Certificate[0]) {
		return
	}
	k.pair.Store(pair)
	k.log.Info().Str("file", k.files[0]).Time("until", pair.Leaf.NotAfter).Msg("certificate in force")
}

var errNoPair = errors.New("there is no certificate")

// config is that of TLS. RFC 8310, Section 9, asks for 1.2 at least. Go's server takes no early data, so that nothing
// can be replayed: RFC 8765, Section 7.2.
func (k *keys) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair := k.pair.Load(); pair != nil {
				return pair, nil
			}
			return nil, errNoPair
		},
	}
}
