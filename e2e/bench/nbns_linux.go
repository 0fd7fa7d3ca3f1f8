package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// nbnsNames is how many names both name servers have.
const nbnsNames = 1000

// nameServer is a server of the NetBIOS name service under load.
type nameServer struct {
	*process
	what         string
	addr         string // ADDRESS:PORT
	replies, cpu samples
	lost, wrong  int
}

// measureNBNS compares our name service with Samba's nmbd as a WINS server, both in namespaces of the
// same make, since nmbd knows port 137 only.
func measureNBNS(ctx context.Context, b *bench) error {
	ns, err := newNamespaces(ctx, 2)
	if err != nil {
		return err
	}
	// The servers have ended before their namespaces go.
	defer ns.remove()
	dir, err := os.MkdirTemp(b.dir, "n")
	if err != nil {
		return err
	}
	ours := &nameServer{what: "nameward", addr: serverAddr(0) + ":137"}
	peer := &nameServer{what: "nmbd", addr: serverAddr(1) + ":137"}
	if ours.process, err = startNameward(ctx, b.binary, ns.servers[0], serverAddr(0), dir); err != nil {
		return err
	}
	defer ours.stop()
	if peer.process, err = startNmbd(ctx, ns.servers[1], serverAddr(1), filepath.Join(dir, "nmbd")); err != nil {
		return err
	}
	defer peer.stop()
	if err := peer.fill(ctx, ns); err != nil {
		return fmt.Errorf("registering at nmbd: %w", err)
	}
	for round := range b.rounds {
		for i := range 2 {
			s := []*nameServer{ours, peer}[(i+round)%2]
			if err := s.load(ctx, ns, b.load); err != nil {
				return fmt.Errorf("%s: %w", s.what, err)
			}
		}
	}
	b.reportNBNS(ours, peer)
	return nil
}

// startNameward runs nameward in a namespace, guarding the names that the load client knows.
func startNameward(ctx context.Context, binary, ns, addr, dir string) (*process, error) {
	w := world{roles: nbnsNames, each: 1}
	text := w.yaml(places{store: filepath.Join(dir, "state.db"), socket: filepath.Join(dir, "s"), netbios: addr + ":137"})
	return serveIn(ctx, binary, ns, addr, dir, text)
}

// serveIn runs nameward in a namespace with a configuration, on a Corefile for an address there.
func serveIn(ctx context.Context, binary, ns, addr, dir, text string) (*process, error) {
	config, core := filepath.Join(dir, "nameward.yaml"), filepath.Join(dir, "Corefile")
	for path, content := range map[string]string{
		config: text, core: fmt.Sprintf(".:53 {\n    bind %s\n    nameward %q\n}\n", addr, config),
	} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return launch(ctx, serverCore(), filepath.Join(dir, "log"), "ip", within(ns, binary, "serve", "--corefile", core)...)
}

// fill registers every name, once the server takes registrations.
func (s *nameServer) fill(ctx context.Context, ns *namespaces) error {
	return tries(ctx, time.Second, startLimit, func() error {
		if err := s.ended(); err != nil {
			return err
		}
		o := newLoad(s.addr, nbnsNames)
		o.op = opRegister
		r, err := o.within(ctx, ns.client)
		if err == nil && r.Replies != nbnsNames {
			err = fmt.Errorf("%d of %d names were registered, %d answers were lost and %d wrong", r.Replies, nbnsNames, r.Lost, r.Wrong)
		}
		return err
	})
}

func (s *nameServer) load(ctx context.Context, ns *namespaces, load time.Duration) error {
	before, err := s.process.cpu()
	if err != nil {
		return err
	}
	o := newLoad(s.addr, nbnsNames)
	o.load = load
	r, err := o.within(ctx, ns.client)
	if err != nil {
		return err
	}
	after, err := s.process.cpu()
	if err != nil {
		return err
	}
	if r.Replies == 0 {
		return fmt.Errorf("no right answer: %+v", r)
	}
	s.replies.add(float64(r.Replies) / r.Seconds)
	s.cpu.add(float64(after-before) / float64(time.Microsecond) / float64(r.Replies))
	s.lost, s.wrong = s.lost+r.Lost, s.wrong+r.Wrong
	return nil
}

func (b *bench) reportNBNS(ours, peer *nameServer) {
	ratio := ratios(peer.cpu, ours.cpu).median()
	b.table.require(ratio >= 5, row{
		what: fmt.Sprintf("CPU for each NetBIOS name query, %s names, against nmbd as WINS server", thousands(nbnsNames)),
		ours: figure(ours.cpu.median()) + " µs", peer: figure(peer.cpu.median()) + " µs", ratio: figure(ratio) + "x", required: ">= 5x",
	})
	b.table.inform(row{
		what: fmt.Sprintf("NetBIOS replies per second, one server core, one client with %d outstanding", outstanding),
		ours: figure(ours.replies.median()), peer: figure(peer.replies.median()),
		ratio: figure(ratios(ours.replies, peer.replies).median()) + "x",
	})
	b.table.require(ours.lost+ours.wrong == 0, row{
		what: "NetBIOS answers lost or wrong", ours: fmt.Sprint(ours.lost + ours.wrong), peer: fmt.Sprint(peer.lost + peer.wrong), required: "0",
	})
	for _, s := range []*nameServer{ours, peer} {
		b.table.keep("NBNS, "+s.what, "replies/s", s.replies)
		b.table.keep("NBNS, "+s.what, "CPU µs/reply", s.cpu)
	}
}
