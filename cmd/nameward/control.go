package main

import (
	"context"
	"errors"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/registry/control"
)

// defaultSocket is where a packaged nameward listens.
const defaultSocket = "/run/nameward/control.sock"

// controlFlag adds --socket and returns the function that makes the client.
func controlFlag(cmd *cobra.Command) func() *control.Client {
	path := defaultSocket
	if env := os.Getenv("NAMEWARD_SOCKET"); env != "" {
		path = env
	}
	socket := cmd.Flags().String("socket", path, "control `socket` of the running nameward; also NAMEWARD_SOCKET")
	return func() *control.Client { return control.NewClient(*socket) }
}

// askFor limits a request that should be answered at once.
const askFor = 30 * time.Second

func withTimeout(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeout(cmd.Context(), askFor)
}

// told gives an error of the control API its exit code: a refusal is a finding, silence is a failure.
func told(err error) error {
	var refused *control.RefusedError
	if errors.As(err, &refused) {
		return exit{exitFindings, err}
	}
	return err
}

// whoAmI is what status shows as the author of a change.
func whoAmI() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" {
		name = sudo
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// completeFrom completes arguments from the running nameward; without one there is nothing to offer.
func completeFrom(client func() *control.Client, list func(control.Status) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		st, err := client().Status(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var out []string
		for _, word := range list(st) {
			if strings.HasPrefix(word, prefix) && !slices.Contains(args, word) {
				out = append(out, word)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func roleNames(st control.Status) []string {
	var out []string
	for _, r := range st.Roles {
		out = append(out, r.Role)
	}
	return out
}

func nodeNames(st control.Status) []string {
	var out []string
	for _, n := range st.Nodes {
		out = append(out, n.Node)
	}
	return out
}

func siteNames(st control.Status) []string {
	var out []string
	for _, n := range st.Nodes {
		if n.Site != "" && !slices.Contains(out, n.Site) {
			out = append(out, n.Site)
		}
	}
	return out
}

func guardedNames(st control.Status) []string {
	var out []string
	for _, r := range st.Roles {
		out = append(append(out, r.DNS...), r.NetBIOS...)
	}
	return out
}
