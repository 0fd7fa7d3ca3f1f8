package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/zone"
)

// Server serves DNS Push. Make it with New, then Apply a configuration and keep Run running.
type Server struct {
	log    zerolog.Logger
	hub    *hub
	answer func(*dns.Msg) *dns.Msg
	keys   keys
	limits atomic.Pointer[settings]
	counts counts
	all    atomic.Int64 // subscriptions

	mu       sync.Mutex
	listener net.Listener // nil: none is configured
	listen   netip.AddrPort
	end      context.CancelFunc        // of what serves the listener
	sessions map[net.Conn]netip.Prefix // with their sources
	sources  map[netip.Prefix]int      // how many sessions they have
	closed   bool
	tasks    sync.WaitGroup
}

// settings are what the configuration says of sessions.
type settings struct {
	keepalive time.Duration
	config.StreamLimits
}

// New makes a server of what snapshot and zones publish. answer answers ordinary questions, and returns nil for those
// that are to be refused; it may be called by any goroutine.
func New(snapshot func() *registry.Snapshot, zones *zone.DB, answer func(*dns.Msg) *dns.Msg, log zerolog.Logger) *Server {
	s := &Server{log: log, hub: newHub(snapshot, zones), answer: answer, sessions: map[net.Conn]netip.Prefix{}, sources: map[netip.Prefix]int{}}
	s.keys.log = log
	s.limits.Store(&settings{})
	return s
}

func (s *Server) settings() *settings { return s.limits.Load() }

// Run follows what is published, and the files of the certificate, until ctx ends. Then it tells the clients to come
// back later, and returns when all sessions are over.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { s.keys.follow(ctx) })
	s.hub.run(ctx)
	return nil
}

// Apply puts a configuration in force, nil for no server. If it cannot be, all stays as it was. Sessions go on unless
// the server moves to another address.
func (s *Server) Apply(cfg *config.Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return registry.ErrStopped
	}
	if cfg == nil {
		s.stopListening()
		return nil
	}
	pair, err := loadPair(cfg.Certificate, cfg.Key)
	if err != nil {
		return err
	}
	var ln net.Listener
	if s.listener == nil || s.listen != cfg.Listen {
		if ln, err = net.Listen("tcp", cfg.Listen.String()); err != nil {
			return fmt.Errorf("push.stream: %w", err)
		}
	}
	s.limits.Store(&settings{cfg.Keepalive, cfg.Limits})
	s.keys.use(cfg.Certificate, cfg.Key, pair)
	if ln != nil {
		s.stopListening()
		s.serve(ln, cfg.Listen)
	}
	return nil
}

// Addr is where the server listens, nil if it does not.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// serve takes connections until stopListening. It is called with mu held.
func (s *Server) serve(ln net.Listener, at netip.AddrPort) {
	ctx, cancel := context.WithCancel(context.Background())
	s.listener, s.listen, s.end = ln, at, cancel
	s.tasks.Go(func() { s.accept(ctx, ln) })
}

// stopListening ends the listener and the sessions that came through it, and does not wait for them. It is called with
// mu held.
func (s *Server) stopListening() {
	if s.listener == nil {
		return
	}
	_ = s.listener.Close() // nothing is lost with it
	s.end()
	s.listener = nil
}

// Close ends the server for good, and returns when all sessions are over.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.stopListening()
	s.mu.Unlock()
	s.tasks.Wait()
}

func (s *Server) accept(ctx context.Context, ln net.Listener) {
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.Warn().Err(err).Msg("a connection to DNS Push could not be taken")
			if !pause(ctx, acceptPause) {
				return
			}
			continue
		}
		if outcome := s.enter(conn); outcome != Served {
			s.counts.connections.add(outcome)
			_ = conn.Close() // without TLS there is no way to say why
			continue
		}
		s.tasks.Go(func() {
			defer s.leave(conn)
			s.converse(ctx, conn)
		})
	}
}

// acceptPause is for when the system has no more files.
const acceptPause = 100 * time.Millisecond

// handshakeTimeout bounds what a connection costs that never gets to be a session.
const handshakeTimeout = 5 * time.Second

// sendBuffer is what the system keeps for a client that is slow, in octets. What is there is old when it arrives.
const sendBuffer = 32 << 10

// converse is the life of one connection.
func (s *Server) converse(ctx context.Context, conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // the system's own size does as well
	}
	secured := tls.Server(conn, s.keys.config())
	shaking, cancel := context.WithTimeout(ctx, handshakeTimeout)
	err := secured.HandshakeContext(shaking)
	cancel()
	if err != nil {
		s.counts.connections.add(NoTLS)
		s.log.Debug().Err(err).Stringer("client", conn.RemoteAddr()).Msg("no TLS for DNS Push")
		_ = conn.Close()
		return
	}
	s.counts.connections.add(Served)
	s.talk(ctx, secured)
}

// talk serves a connection that is secured.
func (s *Server) talk(ctx context.Context, conn net.Conn) {
	sess := newSession(s, conn)
	why := sess.run(ctx)
	reason := reasonOf(why)
	s.counts.ended.add(reason)
	sess.log.Debug().Err(why).Stringer("reason", reason).Msg("a session of DNS Push has ended")
}

// enter counts a connection, if there is room for one more.
func (s *Server) enter(conn net.Conn) Outcome {
	from := sourceOf(conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch limits := s.settings(); {
	case len(s.sessions) >= limits.Sessions || s.closed:
		return Full
	case s.sources[from] >= limits.PerSource:
		return Crowded
	}
	s.sessions[conn] = from
	s.sources[from]++
	return Served
}

// sourceOf is whom the limit of a source is about: an IPv6 host has a whole /64 to choose from.
func sourceOf(conn net.Conn) netip.Prefix {
	at, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := at.AddrPort().Addr().Unmap()
	p, _ := addr.Prefix(min(addr.BitLen(), 64))
	return p
}

func (s *Server) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.sessions[conn]
	delete(s.sessions, conn)
	if s.sources[from]--; s.sources[from] == 0 {
		delete(s.sources, from)
	}
}

// subscribed counts subscriptions, and returns how many there are.
func (s *Server) subscribed(n int) int64 { return s.all.Add(int64(n)) }

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
