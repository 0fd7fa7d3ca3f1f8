package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/deploy"
)

func newDemo() *cobra.Command {
	var dir string
	o := serveOptions{forward: []string{"none"}, ready: "none", metrics: "127.0.0.1:10153"}
	cmd := &cobra.Command{
		Use: "demo", Short: "Start a small world on loopback: no root, no other server, nothing to edit",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd, dir, o) },
	}
	cmd.Flags().StringVar(&dir, "dir", ".demo", "`directory` of the demo's files; what is there stays")
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:10053", "where DNS listens: `address:port`")
	return cmd
}

func demo(cmd *cobra.Command, dir string, o serveOptions) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := unpackDemo(dir); err != nil {
		return fmt.Errorf("the demo's files: %w", err)
	}
	stop := startRelays(cmd.Context())
	defer stop()
	o.config = filepath.Join(dir, "nameward.yaml")
	return serve(cmd, o, func() { printDemo(cmd, dir, o) })
}

// unpackDemo writes the sample and the claim file, where they are not there yet.
func unpackDemo(dir string) error {
	content, err := deploy.Files.ReadFile(deploy.Demo)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"nameward.yaml": content, "files.role": []byte("ex1\n")} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// relayAddrs are where the demo's health checks look for mail relays. Not every system has more than
// one loopback address; a relay that cannot be started is down, which the demo shows.
var relayAddrs = []string{"127.0.0.21:10025", "127.0.0.22:10025"}

// startRelays starts listeners that greet like mail servers.
func startRelays(ctx context.Context) (stop func()) {
	var listeners []net.Listener
	for _, addr := range relayAddrs {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		listeners = append(listeners, ln)
		go greet(ln)
	}
	return func() {
		for _, ln := range listeners {
			ln.Close()
		}
	}
}

func greet(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(conn, "220 relay.demo.example ESMTP\r\n")
		conn.Close()
	}
}

func printDemo(cmd *cobra.Command, dir string, o serveOptions) {
	self, err := os.Executable()
	if err != nil {
		self = "nameward"
	}
	if rel, err := filepath.Rel(must(os.Getwd()), self); err == nil && len(rel) < len(self) {
		self = "./" + rel
	}
	socket := filepath.Join(dir, "run", "control.sock")
	fmt.Fprintf(cmd.OutOrStdout(), `
The demo world is up: DNS on %[3]s, NetBIOS on 127.0.0.1:10137, metrics on http://%[4]s/metrics.
Role mailbox (mail.demo.example, MAIL) can be on node ex1 or ex2. Try, in another terminal:

  export NAMEWARD_SOCKET=%[2]s

  1. Ask DNS and NetBIOS for the public name, and who holds it:
       %[1]s query MAIL; %[1]s status
  2. Move the role; both answers follow at once:
       %[1]s switch mailbox --to ex2 && %[1]s query MAIL
  3. Move another one by writing a file, and see why it is answered as it is:
       echo ex2 > %[5]s && %[1]s explain files.demo.example
  4. Register names with the WINS server; a management address it does not take:
       %[1]s registrations add FS1 --address 203.0.113.7; %[1]s registrations add FS2 --address 10.9.0.7; %[1]s registrations

Everything it writes is in %[6]s. Ctrl-C ends it.

`, self, socket, o.listen, o.metrics, filepath.Join(dir, "files.role"), dir)
}

// must is for what fails only when the working directory was removed.
func must(s string, _ error) string { return s }
