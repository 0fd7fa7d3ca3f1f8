package etcd

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/nameward/nameward/registry"
)

// Store is a registry.Shared. Make it with Open.
type Store struct {
	client *clientv3.Client
	prefix string
	log    zerolog.Logger
	news   chan struct{}
	folds  sync.WaitGroup
	lead   leadership

	mu       sync.Mutex // one commit, load or pull at a time
	seq      uint64     // the last delta that was read or committed
	headRev  int64      // revision of the head with that
	doubtful string     // id of a commit whose answer was lost; "" for none
	entries  int        // of the log since the last fold was looked at
}

const (
	// opTime bounds one conversation with etcd: as long as an election of a leader takes at its default timers.
	opTime = 2 * time.Second
	// maxValue is how many octets stand under one key; a request to etcd may have 1.5 MiB.
	maxValue = 512 << 10
	// foldEvery is after how many deltas the base is written anew, and keepLog how many deltas are kept before it, for guards
	// that were away.
	foldEvery = 500
	keepLog   = 1000
)

type head struct {
	Seq uint64 `json:"seq"`
}

type logged struct {
	ID    string          `json:"id"`
	Delta *registry.Delta `json:"delta,omitempty"`
	Parts int             `json:"parts,omitempty"`
}

type base struct {
	Seq    uint64 `json:"seq"`
	Chunks int    `json:"chunks"`
	ID     string `json:"id"`
}

// Open makes a Store of the state below prefix. It waits for nothing; keep Run running.
func Open(cfg clientv3.Config, prefix string, log zerolog.Logger) (*Store, error) {
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening etcd: %w", err)
	}
	s := &Store{client: client, prefix: strings.TrimSuffix(prefix, "/") + "/", log: log, news: make(chan struct{}, 1)}
	s.lead.changed = make(chan struct{})
	return s, nil
}

// Run tells of what others commit, and stands for election as the guard that tells the targets, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { s.watch(ctx) })
	s.campaign(ctx)
	return nil
}

// Close lets go of etcd, once Run has ended.
func (s *Store) Close() error {
	s.folds.Wait()
	return s.client.Close()
}

// News has a token when somebody may have committed something.
func (s *Store) News() <-chan struct{} { return s.news }

// watch tells of commits, whoever made them. After an interruption it tells in any case.
func (s *Store) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for resp := range s.client.Watch(clientv3.WithRequireLeader(ctx), s.prefix+"head") {
			if resp.Err() != nil {
				break
			}
			if s.isNew(resp.Events) {
				s.tell()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
			s.tell()
		}
	}
}

// isNew reports whether the head has moved beyond what this guard has read, or committed itself.
func (s *Store) isNew(events []*clientv3.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(events, func(e *clientv3.Event) bool { return e.Kv.ModRevision > s.headRev })
}

func (s *Store) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *Store) logKey(seq uint64) string { return fmt.Sprintf("%slog/%016x", s.prefix, seq) }

func (s *Store) errorf(what string, err error) error {
	return fmt.Errorf("%s etcd %s: %w", what, strings.Join(s.client.Endpoints(), ","), err)
}

// Load reads the base and the log after it, as they stand at one moment.
func (s *Store) Load() (registry.Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*opTime)
	defer cancel()
	saved, seq, rev, err := s.load(ctx)
	if err != nil {
		return registry.Saved{}, s.errorf("reading the state from", err)
	}
	s.seq, s.headRev, s.doubtful = seq, rev, ""
	return saved, nil
}

func (s *Store) load(ctx context.Context) (saved registry.Saved, seq uint64, headRev int64, err error) {
	got, err := s.client.Get(ctx, s.prefix+"head")
	if err != nil {
		return saved, 0, 0, err
	}
	h, headRev, err := readHead(got)
	if err != nil {
		return saved, 0, 0, err
	}
	at := clientv3.WithRev(got.Header.Revision)
	b, err := s.readBase(ctx, &saved, at)
	if err != nil {
		return saved, 0, 0, err
	}
	deltas, err := s.readLog(ctx, b.Seq+1, h.Seq, at)
	if err != nil {
		return saved, 0, 0, err
	}
	for _, d := range deltas {
		saved.Apply(*d.Delta)
	}
	return saved, h.Seq, headRev, nil
}

func readHead(got *clientv3.GetResponse) (h head, rev int64, err error) {
	if len(got.Kvs) == 0 {
		return h, 0, nil
	}
	if err := json.Unmarshal(got.Kvs[0].Value, &h); err != nil {
		return h, 0, fmt.Errorf("%s is no head of a nameward state: %w", got.Kvs[0].Key, err)
	}
	return h, got.Kvs[0].ModRevision, nil
}

// readBase adds the base to an empty state.
func (s *Store) readBase(ctx context.Context, saved *registry.Saved, at clientv3.OpOption) (b base, err error) {
	got, err := s.client.Get(ctx, s.prefix+"base", at)
	if err != nil || len(got.Kvs) == 0 {
		return b, err
	}
	if err := json.Unmarshal(got.Kvs[0].Value, &b); err != nil {
		return b, fmt.Errorf("%sbase: %w", s.prefix, err)
	}
	var all bytes.Buffer
	for i := range b.Chunks {
		chunk, err := s.client.Get(ctx, s.chunkKey(b.ID, i), at)
		if err == nil && len(chunk.Kvs) == 0 {
			err = errors.New("it is not there")
		}
		if err != nil {
			return b, fmt.Errorf("%s: %w", s.chunkKey(b.ID, i), err)
		}
		all.Write(chunk.Kvs[0].Value)
	}
	for dec := json.NewDecoder(&all); ; {
		var d registry.Delta
		switch err := dec.Decode(&d); {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, fmt.Errorf("%sbase: %w", s.prefix, err)
		}
		saved.Apply(d)
	}
}

func (s *Store) chunkKey(id string, i int) string {
	return s.prefix + "base/" + id + "/" + fmt.Sprintf("%08d", i)
}

func (s *Store) partKey(id string, i int) string {
	return s.prefix + "part/" + id + "/" + fmt.Sprintf("%08d", i)
}

// readLog reads the deltas from one to another. One that was folded into the base already is registry.ErrGap.
func (s *Store) readLog(ctx context.Context, from, to uint64, at clientv3.OpOption) ([]logged, error) {
	if from > to {
		return nil, nil
	}
	got, err := s.client.Get(ctx, s.logKey(from), clientv3.WithRange(s.logKey(to+1)), at)
	if err != nil {
		return nil, err
	}
	if uint64(len(got.Kvs)) != to-from+1 {
		return nil, registry.ErrGap
	}
	out := make([]logged, len(got.Kvs))
	for i, kv := range got.Kvs {
		if err := json.Unmarshal(kv.Value, &out[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
		if out[i].Delta == nil {
			if out[i].Delta, err = s.readParts(ctx, &out[i], at); err != nil {
				return nil, fmt.Errorf("%s: %w", kv.Key, err)
			}
		}
	}
	return out, nil
}

func (s *Store) readParts(ctx context.Context, l *logged, at clientv3.OpOption) (*registry.Delta, error) {
	var all []byte
	for i := range l.Parts {
		got, err := s.client.Get(ctx, s.partKey(l.ID, i), at)
		if err != nil {
			return nil, err
		}
		if len(got.Kvs) == 0 {
			return nil, fmt.Errorf("its part %d is not there", i)
		}
		all = append(all, got.Kvs[0].Value...)
	}
	d := new(registry.Delta)
	return d, json.Unmarshal(all, d)
}

// Pull returns what was committed since the last Load, Pull or Commit, in order.
func (s *Store) Pull() ([]registry.Delta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), opTime)
	defer cancel()
	list, err := s.pull(ctx)
	if err != nil {
		return nil, s.errorf("reading on in", err)
	}
	deltas := make([]registry.Delta, len(list))
	for i := range list {
		deltas[i] = *list[i].Delta
	}
	return deltas, nil
}

func (s *Store) pull(ctx context.Context) ([]logged, error) {
	got, err := s.client.Get(ctx, s.prefix+"head")
	if err != nil {
		return nil, err
	}
	h, rev, err := readHead(got)
	if err != nil {
		return nil, err
	}
	if h.Seq < s.seq {
		return nil, registry.ErrGap // somebody has put an older etcd in its place
	}
	list, err := s.readLog(ctx, s.seq+1, h.Seq, clientv3.WithRev(got.Header.Revision))
	if err != nil {
		return nil, err
	}
	s.seq, s.headRev, s.doubtful = h.Seq, rev, ""
	return list, nil
}

// Commit appends the delta, if nobody has since the last Load, Pull or Commit: else it is registry.ErrConflict.
func (s *Store) Commit(d registry.Delta) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), opTime)
	defer cancel()
	if err := s.settle(ctx); err != nil {
		return err
	}
	id := rand.Text()
	if err := s.append(ctx, id, d); err != nil {
		if !errors.Is(err, registry.ErrConflict) {
			s.doubtful = id
			err = s.errorf("writing the state to", err)
		}
		return err
	}
	if s.entries++; s.entries >= foldEvery {
		s.entries = 0
		s.folds.Go(s.fold)
	}
	return nil
}

// settle finds out what became of a commit whose answer was lost. If it is in the log, alone, it counts as not made: to
// make it again comes to the same.
func (s *Store) settle(ctx context.Context) error {
	if s.doubtful == "" {
		return nil
	}
	id, seq, rev := s.doubtful, s.seq, s.headRev
	list, err := s.pull(ctx)
	switch {
	case err != nil:
		return s.errorf("reading on in", err)
	case len(list) == 0, len(list) == 1 && list[0].ID == id:
		return nil
	}
	s.seq, s.headRev = seq, rev // the caller will read them
	return registry.ErrConflict
}

func (s *Store) append(ctx context.Context, id string, d registry.Delta) error {
	entry, err := s.entry(ctx, id, d)
	if err != nil {
		return err
	}
	next, err := json.Marshal(head{s.seq + 1})
	if err != nil {
		return err
	}
	resp, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(s.prefix+"head"), "=", s.headRev)).
		Then(clientv3.OpPut(s.prefix+"head", string(next)), clientv3.OpPut(s.logKey(s.seq+1), string(entry))).Commit()
	switch {
	case err != nil:
		return err
	case !resp.Succeeded:
		return registry.ErrConflict
	}
	s.seq, s.headRev = s.seq+1, resp.Header.Revision
	return nil
}

// entry is what the log has of a delta; one that is large is written in parts before.
func (s *Store) entry(ctx context.Context, id string, d registry.Delta) ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if len(text) <= maxValue {
		return json.Marshal(logged{ID: id, Delta: &d})
	}
	n, err := s.putAll(ctx, text, func(i int) string { return s.partKey(id, i) })
	if err != nil {
		return nil, err
	}
	return json.Marshal(logged{ID: id, Parts: n})
}

// putAll writes octets under as many keys as they need.
func (s *Store) putAll(ctx context.Context, text []byte, key func(int) string) (n int, err error) {
	for len(text) > 0 {
		part := text[:min(len(text), maxValue)]
		if _, err := s.client.Put(ctx, key(n), string(part)); err != nil {
			return n, err
		}
		text, n = text[len(part):], n+1
	}
	return n, nil
}

// fold writes a base and drops the log and the base before it.
func (s *Store) fold() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*opTime)
	defer cancel()
	if err := s.foldNow(ctx); err != nil {
		s.log.Warn().Err(s.errorf("shortening the log in", err)).Msg("the log of the shared state goes on growing")
	}
}

func (s *Store) foldNow(ctx context.Context) error {
	got, err := s.client.Get(ctx, s.prefix+"base")
	if err != nil {
		return err
	}
	before, rev := base{}, int64(0)
	if len(got.Kvs) > 0 {
		rev = got.Kvs[0].ModRevision
		if err := json.Unmarshal(got.Kvs[0].Value, &before); err != nil {
			return err
		}
	}
	saved, seq, _, err := s.load(ctx)
	if err != nil {
		return err
	}
	next := base{Seq: seq, ID: rand.Text()}
	if next.Chunks, err = s.putAll(ctx, linesOf(saved), func(i int) string { return s.chunkKey(next.ID, i) }); err != nil {
		return err
	}
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	resp, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(s.prefix+"base"), "=", rev)).
		Then(clientv3.OpPut(s.prefix+"base", string(text))).Else().Commit()
	if err != nil {
		return err
	}
	drop := before.ID
	if !resp.Succeeded {
		drop = next.ID // another guard was faster
	}
	if drop != "" {
		if _, err := s.client.Delete(ctx, s.prefix+"base/"+drop+"/", clientv3.WithPrefix()); err != nil {
			return err
		}
	}
	if seq <= keepLog {
		return nil
	}
	return s.trim(ctx, seq-keepLog)
}

// trim drops the log up to a delta, and the parts of its entries.
func (s *Store) trim(ctx context.Context, upTo uint64) error {
	resp, err := s.client.Delete(ctx, s.logKey(0), clientv3.WithRange(s.logKey(upTo+1)), clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	for _, kv := range resp.PrevKvs {
		var l logged
		if json.Unmarshal(kv.Value, &l) == nil && l.Parts > 0 {
			if _, err := s.client.Delete(ctx, s.prefix+"part/"+l.ID+"/", clientv3.WithPrefix()); err != nil {
				return err
			}
		}
	}
	return nil
}

// linesOf is a state as deltas of some size, one a line.
func linesOf(saved registry.Saved) []byte {
	d := registry.Delta{
		Change: saved.Change, Records: saved.Records, Overrides: pointers(saved.Overrides), Drains: pointers(saved.Drains), Lowered: pointers(saved.Lowered),
	}
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // plain data
	}
	return append(text, '\n')
}

func pointers[V any](m map[string]V) map[string]*V {
	out := make(map[string]*V, len(m))
	for k, v := range m {
		out[k] = &v
	}
	return out
}
