package notify

import (
	"fmt"
	"net/netip"

	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/tsig"
	"github.com/nameward/nameward/registry/yamlat"
)

// Keys are the TSIG keys that are shared with secondaries. One that is not in it is told without a signature.
type Keys map[netip.AddrPort]tsig.Key

// ReadKeys reads the key files of the secondaries of a configuration file. The error is a [yamlat.Problems] with every
// file that cannot be used.
func ReadKeys(file string, secondaries []config.Secondary) (Keys, error) {
	keys := Keys{}
	var problems yamlat.Problems
	for _, s := range secondaries {
		if s.Key == "" {
			continue
		}
		key, err := tsig.Read(s.Key)
		if err != nil {
			problems = append(problems, yamlat.Problem{
				File: file, Line: int(s.KeyAt.Line), Col: int(s.KeyAt.Col),
				Text: fmt.Sprintf("key of secondary %s: %v; write the path of a file as tsig-keygen prints it", s.Name, err),
			})
			continue
		}
		keys[s.Addr] = key
	}
	if problems != nil {
		return nil, problems
	}
	return keys, nil
}

// key is the one that is shared with a secondary, zero for none.
func (s *Sender) key(target netip.AddrPort) tsig.Key {
	if keys := s.keys.Load(); keys != nil {
		return (*keys)[target]
	}
	return tsig.Key{}
}
