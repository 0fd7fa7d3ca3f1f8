package main

import (
	"github.com/coredns/coredns/core/dnsserver"

	// The plugins, by hand: all of CoreDNS would make the binary four times as large.
	_ "github.com/coredns/coredns/plugin/acl"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/bufsize"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/debug"
	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/header"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metadata"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/root"
	_ "github.com/coredns/coredns/plugin/template"
	_ "github.com/coredns/coredns/plugin/timeouts"
	_ "github.com/coredns/coredns/plugin/tls"
	_ "github.com/coredns/coredns/plugin/transfer"
	_ "github.com/coredns/coredns/plugin/tsig"
	_ "github.com/coredns/coredns/plugin/view"

	_ "github.com/nameward/nameward/plugin/nameward"
)

// directives is the order in which a query passes the plugins, as in CoreDNS, with nameward before the
// cache: what it answers is never cached here, so that a change needs no flush. dnssec stands before
// it and can sign owned zones, transfer before it and asks it for them.
var directives = []string{
	"root", "metadata", "tls", "timeouts", "reload", "bufsize", "bind", "debug", "ready", "health", "prometheus",
	"errors", "log", "acl", "loadbalance", "tsig", "header", "dnssec", "transfer", "nameward", "cache", "template",
	"hosts", "file", "loop", "forward", "view",
}

func init() { dnsserver.Directives = directives }
