package lint

import (
	"embed"
	"strings"

	"github.com/nameward/nameward/policy/finding"
)

//go:embed pages/*.md
var pages embed.FS

// The kinds of findings. Their ids never change and are never used again.
var (
	Unreadable       = kind("NW100", finding.Error)
	Unreachable      = kind("NW101", finding.Warning)
	Redundant        = kind("NW102", finding.Note)
	Overlap          = kind("NW103", finding.Warning)
	Published        = kind("NW104", finding.Error)
	HostBits         = kind("NW105", finding.Error)
	ForgottenIPv6    = kind("NW106", finding.Warning)
	LongName         = kind("NW107", finding.Error)
	UnusedClass      = kind("NW108", finding.Warning)
	Unsigned         = kind("NW109", finding.Warning)
	Expired          = kind("NW110", finding.Warning)
	SilentQuarantine = kind("NW111", finding.Note)
	Untested         = kind("NW112", finding.Note)
	BadIgnore        = kind("NW113", finding.Warning)
	OpenException    = kind("NW114", finding.Warning)
	UnknownReference = kind("NW115", finding.Error)
	NotProved        = kind("NW116", finding.Note)

	FailedTest      = kind("NW201", finding.Error)
	ChangedDecision = kind("NW301", finding.Note)
	ChangedRecord   = kind("NW302", finding.Warning)
	Reachable       = kind("NW303", finding.Note)
)

// Kinds are all kinds of this package, by id.
var Kinds []*finding.Kind

func kind(id string, severity finding.Severity) *finding.Kind {
	k := finding.MustKind(pages, id, severity)
	Kinds = append(Kinds, k)
	return k
}

// KindOf returns the kind with an id, in any case, or nil.
func KindOf(id string) *finding.Kind {
	for _, k := range Kinds {
		if strings.EqualFold(k.ID, id) {
			return k
		}
	}
	return nil
}
