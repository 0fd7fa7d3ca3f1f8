package gsstsig

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Login is who an Initiator is, and where that is proved.
type Login struct {
	Principal string   // "guard@CORP.EXAMPLE"
	Keytab    string   // file with its key; or else
	Password  string   // file with its password in the first line, mode 0600
	KDCs      []string // addresses of the realm's KDCs, port 88 unless written; DNS is not asked for any
}

// check finds what is wrong with the login before anybody waits for it.
func (l Login) check() error {
	var problems []error
	if user, realm, _ := strings.Cut(l.Principal, "@"); user == "" || realm == "" || strings.Contains(realm, "@") {
		problems = append(problems, fmt.Errorf("principal %q: it must be NAME@REALM", l.Principal))
	}
	if len(l.KDCs) == 0 {
		problems = append(problems, errors.New("no KDC: name one at least, as ADDRESS or ADDRESS:PORT"))
	}
	if (l.Keytab == "") == (l.Password == "") {
		problems = append(problems, errors.New("a keytab file or a password file must be named, one of them"))
	}
	if len(problems) == 0 {
		_, err := l.client()
		return err
	}
	return errors.Join(problems...)
}

// client reads the keytab or password, each time anew: it may have changed.
func (l Login) client() (*client.Client, error) {
	user, realm, _ := strings.Cut(l.Principal, "@")
	c := config.New()
	c.LibDefaults.DefaultRealm = realm
	c.LibDefaults.DNSLookupKDC, c.LibDefaults.DNSLookupRealm = false, false
	c.LibDefaults.UDPPreferenceLimit = 1 // TCP: tickets of Active Directory do not fit
	c.LibDefaults.DefaultTktEnctypeIDs, c.LibDefaults.DefaultTGSEnctypeIDs, c.LibDefaults.PermittedEnctypeIDs = enctypes, enctypes, enctypes
	c.Realms = []config.Realm{{Realm: realm, KDC: withPort(l.KDCs)}}
	if l.Password != "" {
		line, err := readPassword(l.Password)
		if err != nil {
			return nil, err
		}
		return client.NewWithPassword(user, realm, line, c, client.DisablePAFXFAST(true)), nil
	}
	kt, err := loadKeytab(l.Keytab)
	if err != nil {
		return nil, err
	}
	if c.LibDefaults.DefaultTktEnctypeIDs, err = l.enctypes(); err != nil {
		return nil, err
	}
	return client.NewWithKeytab(user, realm, kt, c, client.DisablePAFXFAST(true)), nil
}

// readPassword gives the first line of a file that nobody but its owner may read.
func readPassword(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("password: %w", err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0: // there the mode says nothing
		return "", fmt.Errorf("password file %s: others may read it (mode %04o), its mode must be 0600", path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassword))
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("password file %s: the first line is empty, it must hold the password", path)
	}
	return line, nil
}

// maxPassword bounds what is read of a password file, in octets.
const maxPassword = 4096

// enctypes are those of which the keytab has a key, the KDC may choose no other.
func (l Login) enctypes() ([]int32, error) {
	all, err := keytabEntries(l.Keytab)
	if err != nil {
		return nil, err
	}
	var fitting []int32
	for _, enctype := range enctypes {
		if slices.ContainsFunc(all, func(k serviceKey) bool { return k.key.KeyType == enctype && k.principal() == l.Principal }) {
			fitting = append(fitting, enctype)
		}
	}
	if len(fitting) == 0 {
		return nil, fmt.Errorf("keytab %s: no key of %s; there are keys of %s", l.Keytab, l.Principal, names(all))
	}
	return fitting, nil
}

func withPort(kdcs []string) []string {
	list := make([]string, len(kdcs))
	for i, k := range kdcs {
		if list[i] = k; !hasPort(k) {
			list[i] = net.JoinHostPort(strings.Trim(k, "[]"), "88")
		}
	}
	return list
}

func hasPort(addr string) bool {
	_, _, err := net.SplitHostPort(addr)
	return err == nil
}

// ticket is a ticket for a service.
type ticket struct {
	ticket messages.Ticket
	key    types.EncryptionKey
	ends   time.Time
	realm  string // the client's
	name   types.PrincipalName
}

// ticket logs in and asks for a ticket. A login is not kept: it takes milliseconds, contexts last, and so
// no login is ever too old. The KDC has five seconds for each step.
func (l Login) ticket(spn string) (_ *ticket, err error) {
	defer recovered(&err)
	cl, err := l.client()
	if err != nil {
		return nil, err
	}
	defer cl.Destroy() // referrals leave goroutines behind
	realm, user := cl.Credentials.Domain(), cl.Credentials.CName()
	req, err := messages.NewASReqForTGT(realm, cl.Config, user)
	if err != nil {
		return nil, err
	}
	tgt, err := cl.ASExchange(realm, req, 0)
	if err != nil {
		return nil, fmt.Errorf("login of %s: %w", l.Principal, err)
	}
	service := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, spn)
	_, rep, err := cl.TGSREQGenerateAndExchange(service, realm, tgt.Ticket, tgt.DecryptedEncPart.Key, false)
	if err != nil {
		return nil, fmt.Errorf("ticket of %s for %s: %w", l.Principal, spn, err)
	}
	return &ticket{rep.Ticket, rep.DecryptedEncPart.Key, rep.DecryptedEncPart.EndTime, realm, user}, nil
}
