package gsstsig

import (
	"container/list"
	"crypto/sha256"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
)

// maxReplays bounds the authenticators that are remembered, 48 octets and a map's share each. Only holders
// of tickets fill it, at 100 a second for ten minutes; the oldest goes then. Who sends that one again
// knows no key of the context that comes of it.
const maxReplays = 1 << 16

// replays remembers authenticators for as long as one of them would be taken. Use it under a lock.
type replays struct {
	seen  map[[32]byte]bool
	order *list.List // of replay, oldest first
}

type replay struct {
	id    [32]byte
	until time.Time
}

func newReplays() *replays { return &replays{map[[32]byte]bool{}, list.New()} }

// take reports whether the authenticator is new, and remembers it.
func (r *replays) take(id [32]byte, now time.Time) bool {
	for e := r.order.Front(); e != nil; e = r.order.Front() {
		if first := e.Value.(replay); now.Before(first.until) && r.order.Len() < maxReplays {
			break
		}
		delete(r.seen, r.order.Remove(e).(replay).id)
	}
	if r.seen[id] {
		return false
	}
	r.seen[id] = true
	r.order.PushBack(replay{id, now.Add(2 * skew)}) // a clock may be ahead, and then as much behind
	return true
}

// authenticatorID tells authenticators from each other by their octets, which hold a random part.
func authenticatorID(req messages.APReq) [32]byte {
	return sha256.Sum256(req.EncryptedAuthenticator.Cipher)
}
