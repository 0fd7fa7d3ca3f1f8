//go:build !linux

package arp

import "errors"

// openLink is never called: New fails before.
func openLink(string) (link, error) { return nil, errors.ErrUnsupported }
