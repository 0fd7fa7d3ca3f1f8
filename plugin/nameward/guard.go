package nameward

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/control"
	"github.com/nameward/nameward/registry/follow"
	"github.com/nameward/nameward/registry/push/notify"
	"github.com/nameward/nameward/registry/push/stream"
	"github.com/nameward/nameward/registry/source/file"
	"github.com/nameward/nameward/registry/source/probe"
	"github.com/nameward/nameward/registry/updates"
	"github.com/nameward/nameward/registry/updates/updatesctl"
	"github.com/nameward/nameward/registry/zone"
)

// Version is what status shows; the command sets it.
var Version = "dev"

// Guard is one running world: the state of the roles and all that feeds it and answers from it but
// DNS. It is made from one nameward.yaml and follows that file.
type Guard struct {
	path    string
	log     zerolog.Logger
	started time.Time
	store   registry.Store
	reg     *registry.Registry
	files   *file.Source
	probes  *probe.Source
	netbios netbiosService
	wins    *winsService // nil: no WINS server
	notify  *notify.Sender
	zones   zonesService
	updates *updateService
	push    *pushService
	// replicas exchanges WINS records with partners.
	replicas replication
	stream   *stream.Server

	policies policyFile
	answers  atomic.Pointer[answerChoice]

	mu      sync.Mutex // held while a configuration is put in force
	closed  bool       // no configuration is put in force any more
	cfg     *config.Config
	status  control.ConfigStatus
	reloads reloadCounts
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	dns     dnsListeners
	judged  digest // of the content last judged, so that an event without news is no reload
}

// dnsListeners are the addresses that instances of the server answer DNS on. There are two while the
// Corefile is reloaded.
type dnsListeners struct {
	owner any // the latest
	addrs map[any][]string
}

type reloadCounts struct{ good, bad uint64 }

// settle is the time that the server gets after the start of its guard until it listens, before secondaries are told.
const settle = 100 * time.Millisecond

// firstWord is how long the start waits for sources that only have to read a file.
const firstWord = 2 * time.Second

// Loaded is a configuration that is fit to be started.
type Loaded struct {
	*config.Config
	digest digest // of its text
	policy draft
	keys   notify.Keys // of secondaries
}

type digest [sha256.Size]byte

// Load reads and checks the configuration file at path and the policy that it names. The error names every
// problem.
func Load(path string) (*Loaded, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cfg, err := config.Parse(path, content)
	if err != nil {
		return nil, err
	}
	pol, err := readPolicy(cfg.Policy, cfg.World)
	if err != nil {
		return nil, err
	}
	keys, err := notify.ReadKeys(path, cfg.Push.Secondaries)
	if err != nil {
		return nil, err
	}
	return &Loaded{cfg, sha256.Sum256(content), pol, keys}, nil
}

// Start runs the world of a configuration that was loaded from path. It returns when every claim file
// was read once and every socket is open.
func Start(path string, loaded *Loaded, log zerolog.Logger) (*Guard, error) {
	cfg := loaded.Config
	store, err := openStore(cfg.Store, log)
	if err != nil {
		return nil, err
	}
	g := &Guard{path: path, log: log, started: time.Now(), store: store, cfg: cfg, judged: loaded.digest}
	g.status = control.ConfigStatus{File: path, Loaded: g.started}
	if g.reg, err = registry.Open(cfg.World, store, log); err != nil {
		return nil, errors.Join(err, g.closeFiles())
	}
	if g.zones, err = openZones(cfg.Store.Zones, g.reg.Snapshot, log); err != nil {
		return nil, errors.Join(err, g.closeFiles())
	}
	if g.updates, err = openUpdates(cfg.Store.Updates, g, log); err != nil {
		return nil, errors.Join(err, g.closeFiles())
	}
	settings, err := g.updates.prepare(cfg)
	if err != nil {
		return nil, errors.Join(err, g.closeFiles())
	}
	if g.push, err = openPush(cfg.Store.Push, g, log); err != nil {
		return nil, errors.Join(err, g.closeFiles())
	}
	g.notify = notify.New(g.zones.db, settle, log)
	g.notify.Use(loaded.keys)
	g.updates.put(settings)
	g.startWith(loaded.policy)
	g.answers.Store(newAnswerChoice(cfg.Answers, cfg.Updates.Gates, log))
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.files, g.probes = file.New(g.reg, log), probe.New(g.reg, log)
	g.netbios.server = &nbns.Server{Snapshot: g.reg.Snapshot, Log: log}
	g.netbios.tasks = &g.tasks
	if g.wins, err = openWINS(cfg.NetBIOS, winsGuard{g.Snapshot, g.Policy}, log); err != nil {
		cancel()
		return nil, errors.Join(err, g.closeFiles())
	}
	g.netbios.wins = g.wins
	g.replicas = replication{snapshot: g.reg.Snapshot, log: log, ctx: ctx, tasks: &g.tasks}
	if g.wins != nil {
		g.replicas.db = g.wins.db
	}
	targets, err := g.targets(cfg)
	if err != nil {
		cancel()
		return nil, errors.Join(err, g.closeFiles())
	}
	g.push.Configure(targets)
	if err := errors.Join(g.netbios.apply(ctx, cfg.NetBIOS), g.replicas.apply(cfg.NetBIOS.Replication)); err != nil {
		cancel()
		g.netbios.closeAllBut(nil)
		g.tasks.Wait()
		return nil, errors.Join(err, g.closeFiles())
	}
	g.stream = stream.New(g.Snapshot, g.zones.db, g.answerSession, log)
	if err := g.stream.Apply(cfg.Push.Stream); err != nil {
		cancel()
		g.netbios.closeAllBut(nil)
		return nil, errors.Join(err, g.closeFiles())
	}
	g.runWINS(ctx)
	g.configureSources(cfg)
	g.run(ctx)
	select {
	case <-g.files.Ready():
	case <-time.After(firstWord):
		log.Warn().Msg("not every claim file could be read yet; the last known state is served meanwhile")
	}
	g.task(ctx, "notifier", g.notify.Run)
	g.task(ctx, "push", g.push.Run)
	parkStacks(ctx, &g.tasks)
	// Twice, because what pools hold outlives one collection, and the next one's goal is set by it.
	runtime.GC()
	debug.FreeOSMemory()
	return g, nil
}

// run starts the tasks but the notifier and the push, which wait for the first state. Each ends with ctx; one that
// fails is logged and does not take the others along, for stale beats blank.
func (g *Guard) run(ctx context.Context) {
	ctl, socket := g.control(), g.cfg.Control.Socket
	g.runStore(ctx)
	for name, task := range map[string]func(context.Context) error{
		"registry": g.reg.Run, "file source": g.files.Run, "probe source": g.probes.Run,
		"configuration file": g.followConfig, "policy file": g.followPolicy,
		"zones": g.zones.db.Run, "updates": g.updates.book.Run, "ledger": g.push.Ledger.Run, "sockets of updates": g.updates.run,
		"stream":  g.stream.Run,
		"control": func(ctx context.Context) error { return ctl.Serve(ctx, socket) },
	} {
		g.task(ctx, name, task)
	}
}

// control is the control API.
func (g *Guard) control() *control.Server {
	u, w := &updatesctl.Server{Zones: g.Zones, Book: func() *updates.Book { return g.updates.book }, Log: g.log}, g.winsControl()
	p := g.pushControl()
	ctl := &control.Server{
		Registry: g.reg, Version: Version, Started: g.started, Config: g.configStatus, Policy: g.policyStatus,
		Reload: func(context.Context) error { return g.Reload() }, Checks: g.checks, Zones: g.zones.status, Listen: g.listen,
		Updates: control.Updates{Serial: u.Serial, Registered: u.Registered, Held: u.HeldOf}, UpdatesStatus: g.updates.status, StorePath: placeOf(g.cfg.Store), Log: g.log,
		Mount: func(mux *http.ServeMux) {
			u.Mount(mux)
			p.Mount(mux)
			w.Mount(mux) // or it says that there is no WINS server
		},
	}
	ctl.Push, ctl.Told, ctl.Stream = p.Summary, p.Told, g.streamStatus
	if w.DB != nil {
		ctl.WINS, ctl.Names = w.Status, w.Explain
	}
	return ctl
}

func (g *Guard) task(ctx context.Context, name string, task func(context.Context) error) {
	g.tasks.Go(func() {
		if err := task(ctx); err != nil && ctx.Err() == nil {
			g.log.Error().Err(err).Str("task", name).Msg("a part of nameward has stopped; the rest goes on")
		}
	})
}

// Close ends every task and closes the store.
func (g *Guard) Close() error {
	g.cancel()
	// A configuration that is being put in force opens sockets; after this none is.
	g.mu.Lock()
	g.closed = true
	g.netbios.closeAllBut(nil)
	g.mu.Unlock()
	g.tasks.Wait()
	return g.closeFiles()
}

// closeFiles lets go of the files that are open, once all tasks have ended.
func (g *Guard) closeFiles() error {
	errs := []error{g.closeWINS()}
	if g.updates != nil {
		errs = append(errs, g.updates.close())
	}
	if g.push != nil {
		errs = append(errs, g.push.close())
	}
	if g.zones.journal != nil {
		errs = append(errs, g.zones.close())
	}
	return errors.Join(append(errs, g.store.Close())...)
}

// Snapshot returns the live state.
func (g *Guard) Snapshot() *registry.Snapshot { return g.reg.Snapshot() }

// Zones returns the owned zones.
func (g *Guard) Zones() *zone.DB { return g.zones.db }

func (g *Guard) updating() *updateService    { return g.updates }
func (g *Guard) answerChoice() *answerChoice { return g.answers.Load() }

// answersDNS notes where an instance of the server answers DNS; status shows the latest one's word.
func (g *Guard) answersDNS(owner any, addrs []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dns.addrs == nil {
		g.dns.addrs = map[any][]string{}
	}
	g.dns.owner = owner
	g.dns.addrs[owner] = append(g.dns.addrs[owner], addrs...)
}

// onlyAnswersDNS notes that no instance but owner goes on.
func (g *Guard) onlyAnswersDNS(owner any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dns = dnsListeners{owner, map[any][]string{owner: g.dns.addrs[owner]}}
}

// onlyOwner notes that no instance but owner goes on, and leaves it all sockets.
func (g *Guard) onlyOwner(owner any) {
	g.onlyAnswersDNS(owner)
	g.updates.front.Only(owner)
}

func (g *Guard) listen() control.Listen {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := control.Listen{DNS: slices.Clone(g.dns.addrs[g.dns.owner]), NetBIOS: []string{}}
	for _, o := range g.netbios.open {
		l.NetBIOS = append(l.NetBIOS, o.sock.LocalAddr().String())
	}
	return l
}

// Ready reports whether every claim file was read once and every role that a source decides on has a
// known state.
func (g *Guard) Ready() bool {
	select {
	case <-g.files.Ready():
	default:
		return false
	}
	for s := range g.Snapshot().Roles() {
		if s.Unknown() && s.Role.Source.Kind != registry.SourceOperator {
			return false
		}
	}
	return true
}

func (g *Guard) configStatus() control.ConfigStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

// followConfig puts the configuration file in force whenever it changes.
func (g *Guard) followConfig(ctx context.Context) error {
	f := follow.New(g.log, func(f follow.File) {
		// The outcome is logged and kept for status; there is nobody here to tell.
		_ = g.news(f.Content, f.Err)
	})
	f.MaxSize = maxConfig
	// Reload may have met the file while it was being replaced; then the new one is news to us alone.
	f.Touched = true
	f.Set([]string{g.path})
	return f.Run(ctx)
}

// maxConfig bounds the configuration file in octets.
const maxConfig = 256 << 20

// Reload reads the configuration file and the policy and puts each in force, all of it or nothing. The
// error names every problem; the last good configuration or policy then stays. Whoever asks by hand gets
// an answer even if the files are the same.
func (g *Guard) Reload() error {
	defer g.policies.announce()
	g.mu.Lock()
	defer g.mu.Unlock()
	content, err := os.ReadFile(g.path)
	return g.judgePolicyToo(g.judge(content, err))
}

// news takes what the follower read. It is passed over when the file as it is now was judged already:
// it is no news, or old news, because Reload was faster.
func (g *Guard) news(content []byte, err error) error {
	defer g.policies.announce()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.upToDate() {
		return nil
	}
	return g.judge(content, err)
}

// upToDate reports whether the file as it is now is the one judged last.
func (g *Guard) upToDate() bool {
	content, err := os.ReadFile(g.path)
	return err == nil && sha256.Sum256(content) == g.judged
}

// judge takes a content of the configuration file, or the error of reading it. It is called with mu held.
func (g *Guard) judge(content []byte, err error) error {
	if g.closed {
		return registry.ErrStopped
	}
	if err == nil {
		g.judged = sha256.Sum256(content)
		err = g.putInForce(content)
		// The parsed text is several times as large as what is kept of it.
		debug.FreeOSMemory()
	} else {
		// When the file is back it is news, even if it is the one from before.
		g.judged = digest{}
	}
	if err != nil {
		if g.status.Error == "" {
			g.status.Rejected = time.Now()
		}
		g.status.Error = err.Error()
		g.reloads.bad++
		g.log.Error().Err(err).Str("file", g.path).Msg("the configuration is not taken; the last good one stays in force")
		return err
	}
	g.status = control.ConfigStatus{File: g.path, Loaded: time.Now()}
	g.reloads.good++
	g.log.Info().Str("file", g.path).Int("roles", len(g.cfg.World.Roles)).Msg("configuration in force")
	return nil
}

// reloadCounts returns how many configurations were taken and refused.
func (g *Guard) reloadCounts() reloadCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reloads
}

// putInForce applies a new configuration. What can fail comes first.
func (g *Guard) putInForce(content []byte) error {
	g.policies.await("", digest{})
	cfg, err := config.Parse(g.path, content)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(cfg.Store, g.cfg.Store) || cfg.Control != g.cfg.Control {
		return fmt.Errorf("%s: store and control socket cannot change while nameward runs; restart it to move them", g.path)
	}
	if old, now := g.cfg.NetBIOS.WINS, cfg.NetBIOS.WINS; old.Database != now.Database {
		return fmt.Errorf("%s: netbios.wins cannot be added, taken out or given another database while nameward runs; restart it", g.path)
	}
	pol, err := g.policyFor(cfg.Policy, cfg.World)
	if err != nil {
		return err
	}
	keys, err := notify.ReadKeys(g.path, cfg.Push.Secondaries)
	if err != nil {
		return err
	}
	settings, err := g.updates.prepare(cfg)
	if err != nil {
		return err
	}
	if !g.updates.allows(settings) {
		return fmt.Errorf("%s: updates cannot be turned on while nameward runs; restart it", g.path)
	}
	targets, err := g.targets(cfg)
	if err != nil {
		return err
	}
	ctx := context.Background()
	// What was applied is put back when something behind it fails.
	undo := []func() error{func() error { return closeDrivers(targets) }}
	for _, part := range []func(*config.Config) error{
		func(c *config.Config) error { return g.netbios.apply(ctx, c.NetBIOS) },
		func(c *config.Config) error { return g.replicas.apply(c.NetBIOS.Replication) },
		func(c *config.Config) error { return g.stream.Apply(c.Push.Stream) },
	} {
		if err := part(cfg); err != nil {
			return undone(err, undo)
		}
		undo = append(undo, func() error { return part(g.cfg) })
	}
	before := g.notify.Use(keys)
	if err := g.reg.Configure(ctx, cfg.World); err != nil {
		g.notify.Use(before)
		return undone(err, undo)
	}
	g.push.Configure(targets)
	g.zones.follow()
	g.updates.put(settings)
	g.cfg = cfg
	g.takePolicy(pol)
	g.answers.Store(newAnswerChoice(cfg.Answers, cfg.Updates.Gates, g.log))
	ApplyLog(cfg.Log)
	g.configureSources(cfg)
	g.reconfigureWINS(cfg.NetBIOS)
	return nil
}

// undone puts back what was applied, the latest first, and says all that went wrong.
func undone(err error, undo []func() error) error {
	for _, back := range slices.Backward(undo) {
		err = errors.Join(err, back())
	}
	return err
}

// ApplyLog is told the log settings whenever a configuration comes into force; the command sets it.
var ApplyLog = func(config.Log) {}

func (g *Guard) configureSources(cfg *config.Config) {
	files, probes := map[string][]string{}, map[string]*config.Probe{}
	for role, spec := range cfg.Sources {
		switch spec.Kind {
		case config.SourceFile:
			files[role] = spec.Files
		case config.SourceProbe:
			probes[role] = spec.Probe
		}
	}
	g.files.Configure(files)
	g.probes.Configure(cfg.World, probes)
}

func (g *Guard) checks() []control.Check {
	var out []control.Check
	for _, s := range g.probes.Statuses() {
		c := control.Check{Role: s.Role, Node: s.Node, Target: s.Addr.String(), Verdict: "unknown", Since: s.Since, Error: s.Error}
		switch {
		case s.Known && s.Healthy:
			c.Verdict = "up"
		case s.Known:
			c.Verdict = "down"
		}
		out = append(out, c)
	}
	return out
}
