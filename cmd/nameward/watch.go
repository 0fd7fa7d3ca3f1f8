package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/push/dso"
	"github.com/nameward/nameward/registry/push/watch"
)

// watchOptions are the flags of watch.
type watchOptions struct {
	server, ca, name string
	types            []string
	span, timeout    time.Duration
}

// streamPort: RFC 7858, Section 3.1.
const streamPort = "853"

func newWatch() *cobra.Command {
	var o watchOptions
	cmd := &cobra.Command{
		Use: "watch NAME...", Short: "Subscribe to names with DNS Push and print each change as it happens",
		Long: "Subscribe to names with DNS Push Notifications (RFC 8765) and print each change as it happens, until it is\n" +
			"interrupted. The server need not be a nameward. Without --server it is the one that the SRV record\n" +
			"_dns-push-tls._tcp of the first name's zone tells. A connection that is lost is made again; what was\n" +
			"printed before may not be true any more then, and all that stands is printed anew.\n\n" +
			"Exit code 0: it was watched; 1: the server takes none of the subscriptions; 2: it could not be reached.",
		Args: cobra.MinimumNArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "", "`host` of the server, with :PORT if that is not 853")
	f.StringVar(&o.ca, "ca", "", "PEM `file` of who is trusted to name the server; default: whom the system trusts")
	f.StringVar(&o.name, "name", "", "`name` that the certificate is to have; default: the host of the server")
	f.StringSliceVar(&o.types, "type", []string{"A", "AAAA"}, "`types` of records; ANY for all there are")
	f.DurationVar(&o.span, "for", 0, "stop after this `time`")
	f.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long to wait for a connection and for each answer")
	client := controlFlag(cmd)
	cmd.ValidArgsFunction = completeFrom(client, guardedNames)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		defer stop()
		if o.span > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, o.span)
			defer cancel()
		}
		c, err := watcher(ctx, cmd.OutOrStdout(), args, o)
		if err != nil {
			return err
		}
		err = c.Run(ctx)
		if errors.Is(err, watch.ErrRefused) {
			return exit{exitFindings, err}
		}
		return err
	}
	return cmd
}

// watcher makes the client that the flags ask for.
func watcher(ctx context.Context, w io.Writer, names []string, o watchOptions) (*watch.Client, error) {
	questions, err := questionsOf(names, o.types)
	if err != nil {
		return nil, err
	}
	host, port, err := streamServer(ctx, questions[0].Name, o.server)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{ServerName: strings.TrimSuffix(host, ".")}
	if o.name != "" {
		cfg.ServerName = strings.TrimSuffix(o.name, ".")
	}
	if o.ca != "" {
		if cfg.RootCAs, err = rootsIn(o.ca); err != nil {
			return nil, err
		}
	}
	return &watch.Client{
		Server: net.JoinHostPort(host, port), TLS: cfg, Questions: questions, Timeout: o.timeout,
		Tell: func(e watch.Event) { printEvent(w, e) },
	}, nil
}

func questionsOf(names, types []string) ([]dso.Question, error) {
	var out []dso.Question
	for _, name := range names {
		if _, ok := dns.IsDomainName(name); !ok {
			return nil, fmt.Errorf("%q is no DNS name", name)
		}
		for _, t := range types {
			rrtype, ok := dns.StringToType[strings.ToUpper(t)]
			if !ok {
				return nil, fmt.Errorf("--type %q is no type of records", t)
			}
			out = append(out, dso.Question{Name: dns.Fqdn(name), Type: rrtype, Class: dns.ClassINET})
		}
	}
	return out, nil
}

// streamServer finds out who pushes: who is named, else who the zone says. RFC 8765, Section 6.1, would have the zone asked
// for by its SOA; to go up name by name needs no other resolver than the system's.
func streamServer(ctx context.Context, name, written string) (host, port string, err error) {
	if written != "" {
		if host, port, err = net.SplitHostPort(written); err != nil {
			return strings.Trim(written, "[]"), streamPort, nil
		}
		return host, port, nil
	}
	for zone := strings.ToLower(name); zone != "."; zone = registry.Parent(zone) {
		if _, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", registry.StreamService+zone); err == nil && len(records) > 0 {
			return records[0].Target, strconv.Itoa(int(records[0].Port)), nil
		}
	}
	return "", "", fmt.Errorf("no zone of %s says who serves DNS Push (%sZONE); name the server with --server", name, registry.StreamService)
}

func rootsIn(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s: there is no certificate in it", path)
	}
	return pool, nil
}

// printEvent prints one line. A + is a record that stands now, a - one that does not.
func printEvent(w io.Writer, e watch.Event) {
	at := e.At.Format("15:04:05.000")
	switch e.Kind {
	case watch.Connected:
		fmt.Fprintf(w, "%s connected to %s\n", at, e.Server)
	case watch.Added:
		fmt.Fprintf(w, "%s + %s\n", at, oneLine(e.Record))
	case watch.Removed:
		fmt.Fprintf(w, "%s - %s\n", at, oneLine(e.Record))
	case watch.Refused:
		fmt.Fprintf(w, "%s %s %s: the server does not push it, %s\n", at, e.Question.Name, dns.TypeToString[e.Question.Type], dns.RcodeToString[e.Rcode])
	case watch.Lost:
		fmt.Fprintf(w, "%s lost: %v; trying again in %s\n", at, e.Err, e.Again.Round(100*time.Millisecond))
	}
}

func oneLine(rr dns.RR) string { return strings.ReplaceAll(rr.String(), "\t", " ") }
