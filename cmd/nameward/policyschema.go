package main

import (
	"github.com/spf13/cobra"

	"github.com/nameward/nameward/deploy"
)

func newPolicySchema() *cobra.Command {
	var tests bool
	cmd := &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of policy.yaml, or with --tests of *_test.yaml, for editors", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema := deploy.PolicySchema
			if tests {
				schema = deploy.PolicyTestSchema
			}
			_, err := cmd.OutOrStdout().Write(schema)
			return err
		},
	}
	cmd.Flags().BoolVar(&tests, "tests", false, "the schema of files of tests")
	return cmd
}
