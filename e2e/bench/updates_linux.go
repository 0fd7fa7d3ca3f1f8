package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// updateSizes are the records of the zones; what ours costs must not grow from the first to the last.
var updateSizes = []int{1000, 100_000}

// pacedSpan is how long updates come at a steady rate.
const pacedSpan = 10 * time.Second

// measureUpdates compares dynamic updates of ours, of BIND and of CoreDNS's own plugin.
func measureUpdates(ctx context.Context, b *bench) error {
	if err := needNamed(); err != nil {
		return err
	}
	var all []*updateServer
	defer func() {
		for _, s := range all {
			if s.process != nil {
				s.stop()
			}
		}
	}()
	for _, records := range updateSizes {
		for kind := range updateKinds {
			s, err := b.newUpdateServer(ctx, kind, records)
			if s != nil {
				all = append(all, s)
			}
			if err != nil {
				return fmt.Errorf("starting %s: %w", updateKinds[kind].name, err)
			}
		}
	}
	for _, measure := range []func(context.Context, []*updateServer) error{
		b.loadUpdates, b.firstAnswers, b.pacedUpdates, b.secondaries, b.updateStarts,
	} {
		if err := measure(ctx, all); err != nil {
			return err
		}
	}
	b.reportUpdates(all)
	return nil
}

// skips reports what takes CoreDNS's own plugin too long: it makes the whole zone anew for every update.
func (s *updateServer) skips(l updateLoad) bool {
	return s.kind == kindDynupdate && s.records > updateSizes[0] && l.outstanding > 1
}

func (b *bench) loadUpdates(ctx context.Context, all []*updateServer) error {
	for round := range b.updateRounds {
		for _, l := range updateLoads {
			for i := range all {
				s := all[(i+round)%len(all)]
				if s.skips(l) {
					continue
				}
				if err := errors.Join(s.load(l, b.updateLoad), ctx.Err()); err != nil {
					return fmt.Errorf("%s: %w", s, err)
				}
			}
		}
	}
	return nil
}

func (b *bench) firstAnswers(ctx context.Context, all []*updateServer) error {
	for i := range b.updateAnswers {
		for k := range all {
			s := all[(i+k)%len(all)]
			if err := errors.Join(s.once(&s.first), ctx.Err()); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
	}
	return nil
}

func (b *bench) pacedUpdates(ctx context.Context, all []*updateServer) error {
	for _, s := range all {
		if s.kind != kindOurs {
			continue
		}
		if err := s.pace(ctx, pacedSpan); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// secondaries gives each server a BIND that follows it.
func (b *bench) secondaries(ctx context.Context, all []*updateServer) error {
	for _, s := range all {
		if err := b.follow(ctx, s); err != nil {
			return fmt.Errorf("%s with a secondary: %w", s, err)
		}
	}
	return nil
}

func (b *bench) follow(ctx context.Context, s *updateServer) error {
	at, err := freePort()
	if err != nil {
		return err
	}
	s.stop()
	if err := s.start(ctx, b, at); err != nil {
		return err
	}
	second, err := b.startSecondary(ctx, s, at)
	if second != nil {
		defer second.stop()
	}
	if err != nil {
		return err
	}
	n := b.updateAnswers
	if s.kind == kindDynupdate {
		n = min(n, 20) // each takes a transfer of the whole zone
	}
	for range n {
		if err := errors.Join(s.follow(at), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// updateStarts starts our servers with what is registered.
func (b *bench) updateStarts(ctx context.Context, all []*updateServer) error {
	for _, s := range all {
		s.stop()
	}
	for range b.starts {
		for _, s := range all {
			if s.kind != kindOurs {
				continue
			}
			if err := s.noteStart(ctx, b); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
	}
	return nil
}

func (s *updateServer) noteStart(ctx context.Context, b *bench) error {
	if err := s.start(ctx, b, netip.AddrPort{}); err != nil {
		return err
	}
	defer s.stop()
	s.starts.addTime(time.Since(s.began))
	mb, err := s.memory("VmRSS")
	s.rss.add(mb)
	return err
}
