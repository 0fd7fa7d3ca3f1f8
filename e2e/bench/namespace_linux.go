package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// namespaces is a network of our own: one client, joined with each server by a pair of interfaces.
// Nothing of it touches the host's network.
type namespaces struct {
	client  string
	servers []string
}

// Addresses in the namespaces: each server has a network with the client, and the client a second address
// there to play another host with.
func serverAddr(server int) string { return fmt.Sprintf("10.99.%d.2", server+1) }
func clientAddr(server int) string { return fmt.Sprintf("10.99.%d.1", server+1) }
func secondAddr(server int) string { return fmt.Sprintf("10.99.%d.3", server+1) }

// newNamespaces makes those of so many servers.
func newNamespaces(ctx context.Context, servers int) (*namespaces, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: network namespaces need root", errMissing)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("%w: no ip (iproute2) here", errMissing)
	}
	prefix := fmt.Sprintf("nwbench-%d-", os.Getpid())
	n := &namespaces{client: prefix + "c"}
	for i := range servers {
		n.servers = append(n.servers, fmt.Sprintf("%ss%d", prefix, i))
	}
	for _, step := range n.steps() {
		if err := ip(ctx, step); err != nil {
			return nil, errors.Join(err, n.remove())
		}
	}
	return n, nil
}

func (n *namespaces) all() []string { return append([]string{n.client}, n.servers...) }

func (n *namespaces) steps() []string {
	var steps []string
	for _, ns := range n.all() {
		steps = append(steps, "netns add "+ns, "-n "+ns+" link set lo up")
	}
	for i, ns := range n.servers {
		dev := fmt.Sprintf("s%d", i)
		steps = append(steps,
			fmt.Sprintf("link add %s netns %s type veth peer name e0 netns %s", dev, n.client, ns),
			fmt.Sprintf("-n %s addr add %s/24 brd + dev %s", n.client, clientAddr(i), dev),
			fmt.Sprintf("-n %s addr add %s/24 brd + dev %s", n.client, secondAddr(i), dev),
			fmt.Sprintf("-n %s addr add %s/24 brd + dev e0", ns, serverAddr(i)),
			fmt.Sprintf("-n %s link set %s up", n.client, dev),
			fmt.Sprintf("-n %s link set e0 up", ns),
		)
	}
	return steps
}

// remove deletes what there is of them.
func (n *namespaces) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs []error
	for _, ns := range n.all() {
		if _, err := os.Stat("/run/netns/" + ns); err == nil {
			errs = append(errs, ip(ctx, "netns del "+ns))
		}
	}
	return errors.Join(errs...)
}

func ip(ctx context.Context, args string) error {
	if out, err := command(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// within is a command that runs in a namespace. ip becomes the command, so that the pid is its own.
func within(ns string, command ...string) []string {
	return append([]string{"netns", "exec", ns}, command...)
}

// tries calls do until it succeeds, every so often.
func tries(ctx context.Context, every, limit time.Duration, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := do()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", limit, err)
		case <-time.After(every):
		}
	}
}
