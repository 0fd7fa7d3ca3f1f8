// Package policy decides what may be published.
package policy
