package gsstsig

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/types"
)

// maxKeytab bounds a keytab file: some 10,000 keys.
const maxKeytab = 1 << 20

// serviceKey is an entry of a keytab.
type serviceKey struct {
	name  []string
	realm string
	kvno  int
	key   types.EncryptionKey
}

func (k serviceKey) principal() string { return principal(k.name, k.realm) }

// keytabEntries reads the entries of a keytab file that have a usable key.
func keytabEntries(file string) ([]serviceKey, error) {
	kt, err := loadKeytab(file)
	if err != nil {
		return nil, err
	}
	var all []serviceKey
	for _, e := range kt.Entries {
		if isUsable(e.Key) {
			all = append(all, serviceKey{e.Principal.Components, e.Principal.Realm, int(e.KVNO), e.Key})
		}
	}
	return all, nil
}

func loadKeytab(file string) (*keytab.Keytab, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("keytab: %w", err)
	}
	kt := new(keytab.Keytab)
	parse := func() (err error) {
		defer recovered(&err)
		return kt.Unmarshal(b)
	}
	// The library's error may show the file, keys and all: it is not passed on.
	if len(b) > maxKeytab || parse() != nil {
		return nil, fmt.Errorf("keytab %s: this is no keytab file: make one with ktutil, ktpass, or samba-tool domain exportkeytab", file)
	}
	return kt, nil
}

// services are the keys that tickets may be for; nothing in it changes.
type services struct {
	file string
	keys []serviceKey
}

// loadServices reads the keys of the principals in the keytab, "DNS/HOST" or "DNS/HOST@REALM"; without
// any, of all that are DNS/....
func loadServices(file string, principals []string) (*services, error) {
	all, err := keytabEntries(file)
	if err != nil {
		return nil, err
	}
	s := &services{file: file}
	var problems []error
	for _, p := range principals {
		found := s.add(all, func(k serviceKey) bool {
			return strings.EqualFold(k.principal(), p) || strings.EqualFold(strings.Join(k.name, "/"), p)
		})
		if !found {
			problems = append(problems, fmt.Errorf("keytab %s: no key of %s; there are keys of %s", file, p, names(all)))
		}
	}
	if len(principals) == 0 && !s.add(all, func(k serviceKey) bool { return len(k.name) > 1 && strings.EqualFold(k.name[0], "DNS") }) {
		problems = append(problems, fmt.Errorf("keytab %s: no key of a service DNS/HOST, which clients ask for; there are keys of %s", file, names(all)))
	}
	return s, errors.Join(problems...)
}

func (s *services) add(all []serviceKey, wanted func(serviceKey) bool) bool {
	before := len(s.keys)
	for _, k := range all {
		if wanted(k) {
			s.keys = append(s.keys, k)
		}
	}
	return len(s.keys) > before
}

// names lists principals for people.
func names(all []serviceKey) string {
	var list []string
	for _, k := range all {
		list = append(list, k.principal())
	}
	slices.Sort(list)
	list = slices.Compact(list)
	switch n := len(list); {
	case n == 0:
		return "nobody (of AES and RC4; other encryption is not taken)"
	case n > 8:
		return strings.Join(list[:8], ", ") + fmt.Sprintf(" and %d more", n-8)
	}
	return strings.Join(list, ", ")
}

// find gives the keys that a ticket may be encrypted with. The case of a service does not count: Active
// Directory does not tell them apart, and clients write them as they like.
func (s *services) find(name []string, realm string, kvno int, enctype int32) ([]serviceKey, error) {
	var ours, fitting []serviceKey
	for _, k := range s.keys {
		if k.realm != realm || !strings.EqualFold(strings.Join(k.name, "/"), strings.Join(name, "/")) {
			continue
		}
		ours = append(ours, k)
		// A keytab may hold the lowest octet of a version only; tickets need not have one.
		if k.key.KeyType == enctype && (kvno == 0 || k.kvno == kvno || k.kvno < 256 && k.kvno == kvno&0xff) {
			fitting = append(fitting, k)
		}
	}
	switch {
	case len(ours) == 0:
		return nil, fmt.Errorf("the ticket is for %s; keytab %s is for %s", principal(name, realm), s.file, names(s.keys))
	case len(fitting) == 0:
		return nil, fmt.Errorf("the ticket for %s is of key version %d, enctype %d; keytab %s has %s: export it again", principal(name, realm), kvno, enctype, s.file, versions(ours))
	}
	return fitting, nil
}

func versions(all []serviceKey) string {
	var list []string
	for _, k := range all {
		list = append(list, fmt.Sprintf("%d/%d", k.kvno, k.key.KeyType))
	}
	return strings.Join(list, ", ")
}

// escaper is for components that hold what separates them, as other Kerberos tools write them.
var escaper = strings.NewReplacer(`\`, `\\`, `/`, `\/`, `@`, `\@`)

// principal is the text of a principal: "EX1$@CORP.EXAMPLE", "DNS/ns1.corp.example@CORP.EXAMPLE".
func principal(name []string, realm string) string {
	parts := make([]string, len(name))
	for i, n := range name {
		parts[i] = escaper.Replace(n)
	}
	return strings.Join(parts, "/") + "@" + escaper.Replace(realm)
}
