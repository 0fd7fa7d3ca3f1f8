package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/nameward/nameward/plugin/nameward"
	"github.com/nameward/nameward/registry/tsig"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	config   string
	corefile string
	listen   string
	forward  []string
	metrics  string
	ready    string
	tsig     []string
}

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the guard: DNS, NetBIOS name service, control API",
		Long: "Run the guard. Without --corefile a built-in Corefile is used: nameward, cache, forward, prometheus,\n" +
			"ready, errors. SIGHUP reads nameward.yaml again (it is also followed), SIGUSR1 the Corefile.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.corefile != "" {
				if name := changed(cmd, "config", "listen", "forward", "metrics", "ready", "tsig"); name != "" {
					return fmt.Errorf("--%s is for the built-in Corefile; write it into %s, or leave --corefile out", name, o.corefile)
				}
			}
			return serve(cmd, o, nil)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "/etc/nameward/nameward.yaml", "the configuration `file`")
	f.StringVar(&o.corefile, "corefile", "", "a Corefile `file` of your own instead of the built-in one")
	f.StringVar(&o.listen, "listen", ":53", "where DNS listens: `[address]:port`")
	f.StringSliceVar(&o.forward, "forward", defaultForward(), "upstream DNS `servers` for names that are not guarded, or none")
	f.StringVar(&o.metrics, "metrics", "localhost:9153", "where Prometheus finds the metrics: `address:port`, or none")
	f.StringVar(&o.ready, "ready", "localhost:8181", "where /ready answers: `address:port`, or none")
	f.StringSliceVar(&o.tsig, "tsig", nil, "`files` with a TSIG key each, as tsig-keygen prints it, of those who send signed updates")
	return cmd
}

// defaultForward is what the system itself asks. Without a resolv.conf, as on Windows, upstream servers
// have to be named.
func defaultForward() []string {
	const path = "/etc/resolv.conf"
	if _, err := os.Stat(path); err != nil {
		return []string{"none"}
	}
	return []string{path}
}

func changed(cmd *cobra.Command, names ...string) string {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

// spareMemory has the collector come a little earlier once the start is over, unless GOGC says when. The
// decoders of captures bring tables of several megabytes, which a server does not use; the collector
// takes them for a reason to let the heap grow as well.
func spareMemory() {
	const percent = 60
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// serve runs until a signal ends it. started is called once everything answers; it may be nil.
func serve(cmd *cobra.Command, o serveOptions, started func()) error {
	input, err := corefile(o)
	if err != nil {
		return err
	}
	l := newLogs(asFile(cmd))
	log := l.start()
	nameward.Version, nameward.ApplyLog = version, l.apply
	nameward.SetLogger(log)
	if err := dnsserver.Register(); err != nil {
		return err
	}
	caddy.AppName, caddy.AppVersion, caddy.Quiet, dnsserver.Quiet = "nameward", version, true, true
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, handled...)
	defer signal.Stop(signals)
	instance, err := caddy.Start(input)
	if err != nil {
		return exit{exitFailed, errors.Join(hinted(err), shutdown())}
	}
	spareMemory()
	log.Info().Str("version", version).Str("corefile", input.Path()).Msg("nameward answers")
	if started != nil {
		started()
	}
	go handleSignals(cmd, signals, o, log)
	instance.Wait()
	return nil
}

// hinted adds to an error of the DNS listeners what to do about it; those of NetBIOS say so themselves.
// CoreDNS passes the text of such errors on, but not the errors themselves.
func hinted(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "NetBIOS"):
		return err
	case strings.Contains(text, "address already in use"):
		return fmt.Errorf("%w; another server (systemd-resolved, dnsmasq, nameward itself) holds it: stop that one or choose another address", err)
	case strings.Contains(text, "bind: permission denied"):
		return fmt.Errorf("%w; ports below 1024 need root or CAP_NET_BIND_SERVICE", err)
	}
	return err
}

// asFile is the error stream itself where it is a file, so that terminals are recognised.
func asFile(cmd *cobra.Command) *os.File {
	if f, ok := cmd.ErrOrStderr().(*os.File); ok {
		return f
	}
	return os.Stderr
}

// handleSignals acts until the process is told to end.
func handleSignals(cmd *cobra.Command, signals <-chan os.Signal, o serveOptions, log zerolog.Logger) {
	for {
		select {
		case sig := <-signals:
			switch {
			case isReload(sig):
				// The outcome is logged and shown in status; there is nobody here to tell.
				_ = nameward.Reload()
			case isRestart(sig):
				restart(o, log)
			default:
				log.Info().Stringer("signal", sig).Msg("shutting down")
				finish(log)
				return
			}
		case <-cmd.Context().Done():
			finish(log)
			return
		}
	}
}

func finish(log zerolog.Logger) {
	if err := shutdown(); err != nil {
		log.Error().Err(err).Msg("shutting down")
	}
}

// restart puts the Corefile in force as it is now; a bad one changes nothing.
func restart(o serveOptions, log zerolog.Logger) {
	input, err := corefile(o)
	if err != nil {
		log.Error().Err(err).Msg("the Corefile is not taken; the last good one stays in force")
		return
	}
	for _, i := range caddy.Instances() {
		if _, err := i.Restart(input); err != nil {
			log.Error().Err(err).Msg("the Corefile is not taken; the last good one stays in force")
		}
	}
}

func shutdown() error {
	var errs []error
	for _, i := range caddy.Instances() {
		errs = append(errs, i.ShutdownCallbacks()...)
	}
	return errors.Join(append(errs, caddy.Stop())...)
}

// corefile reads the user's Corefile or writes the built-in one.
func corefile(o serveOptions) (caddy.Input, error) {
	if o.corefile != "" {
		content, err := os.ReadFile(o.corefile)
		if err != nil {
			return nil, fmt.Errorf("the Corefile: %w", err)
		}
		return caddy.CaddyfileInput{Contents: content, Filepath: o.corefile, ServerTypeName: "dns"}, nil
	}
	text, err := builtin(o)
	if err != nil {
		return nil, err
	}
	return caddy.CaddyfileInput{Contents: []byte(text), Filepath: "built-in", ServerTypeName: "dns"}, nil
}

func builtin(o serveOptions) (string, error) {
	host, port, err := net.SplitHostPort(o.listen)
	if err != nil {
		return "", fmt.Errorf("--listen %q: %w; write [address]:port, for example 192.0.2.53:53", o.listen, err)
	}
	path, err := filepath.Abs(o.config)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, ".:%s {\n    errors\n", port)
	if host != "" {
		fmt.Fprintf(&b, "    bind %s\n", host)
	}
	for directive, addr := range map[string]string{"prometheus": o.metrics, "ready": o.ready} {
		if addr != "none" {
			fmt.Fprintf(&b, "    %s %s\n", directive, addr)
		}
	}
	if err := tsigBlock(&b, o.tsig); err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "    nameward %q\n", path)
	if len(o.forward) != 1 || o.forward[0] != "none" {
		fmt.Fprintf(&b, "    cache\n    loop\n    forward . %s\n", strings.Join(o.forward, " "))
	}
	b.WriteString("}\n")
	return b.String(), nil
}

// tsigBlock writes the keys of those who sign.
func tsigBlock(b *strings.Builder, files []string) error {
	if len(files) == 0 {
		return nil
	}
	b.WriteString("    tsig {\n")
	for _, file := range files {
		key, err := tsig.Read(file)
		if err != nil {
			return fmt.Errorf("--tsig: %w", err)
		}
		fmt.Fprintf(b, "        secret %s %s\n", key.Name, key.Secret)
	}
	b.WriteString("    }\n")
	return nil
}
