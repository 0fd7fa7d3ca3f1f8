package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/deploy"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/yamlat"
)

func newConfig() *cobra.Command {
	return verbs(&cobra.Command{
		Use: "config", Short: "Check configuration files, print their schema",
	}, newConfigCheck(), newConfigSchema())
}

func newConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE...", Short: "Check nameward.yaml files; exit 0 clean, 1 findings, 2 could not be read",
		Args: someArgs,
		RunE: func(cmd *cobra.Command, files []string) error {
			code := exitOK
			for _, file := range files {
				code = max(code, checkConfig(cmd, file))
			}
			if code == exitOK {
				return nil
			}
			return exit{code: code}
		},
	}
}

func checkConfig(cmd *cobra.Command, file string) int {
	cfg, err := config.Load(file)
	var problems yamlat.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			fmt.Fprintln(cmd.OutOrStdout(), p)
		}
		return exitFindings
	case err != nil:
		fmt.Fprintf(cmd.ErrOrStderr(), "nameward: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: good, %s on %s in %s\n", file, count(len(cfg.World.Roles), "role"),
		count(len(cfg.World.Nodes), "node"), count(len(cfg.World.Zones), "owned zone"))
	return exitOK
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of nameward.yaml, for editors", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(deploy.Schema)
			return err
		},
	}
}
