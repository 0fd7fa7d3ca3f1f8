// Package etcd keeps the state of roles in etcd, for several guards that share it: a registry.Shared.
//
// The state is a log of deltas in one order, which every guard reads, and a base that stands for the log before it:
//
//	PREFIX/head           {"seq":7}                   the last delta
//	PREFIX/log/<seq>      {"id":"...","delta":{...}}  or {"id":"...","parts":3}
//	PREFIX/part/<id>/<n>  a delta that is too large for one key
//	PREFIX/base           {"seq":5,"chunks":1,"id":"..."}
//	PREFIX/base/<id>/<n>  the state after that delta, JSON lines
//	PREFIX/leader/...     who tells the targets (an election with a lease)
//
// A commit is one transaction that compares the head with the last delta that this guard has read, so that nobody
// decides on a state that has moved: he gets registry.ErrConflict, reads on and decides again. It is acknowledged when a
// majority of the members has it on stable storage; without a majority nothing is committed.
//
// A commit whose answer was lost may be in the log. Each has an id, by which the next one finds out.
package etcd
