package audit

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/policy"
)

// regMachine is what an export says of a computer. It has several control sets; the current one counts.
type regMachine struct {
	sets   map[string]*controlSet
	policy regValue // RegistrationEnabled of the DNS client's group policy
}

// controlSet is the computer as one control set has it.
type controlSet struct {
	values map[string]regValue // by place and name, lower case
	cards  map[string]*regCard
	order  []string
}

// regCard is a network card, which Windows calls an interface.
type regCard struct {
	guid    string
	ip, nbt map[string]regValue // below Tcpip and NetBT, by lower-case name
}

// The places of values below a control set, and those that are wanted there.
var (
	regPlace = regexp.MustCompile(`(?i)^(?:HKEY_LOCAL_MACHINE|HKLM)\\SYSTEM\\(CurrentControlSet|ControlSet\d{3})\\(.+)$`)
	regGUID  = regexp.MustCompile(`(?i)^(services\\tcpip\\parameters\\interfaces\\|services\\netbt\\parameters\\interfaces\\tcpip_)(\{[0-9a-f-]{1,60}\})$`)
	regDNS   = regexp.MustCompile(`(?i)^(?:HKEY_LOCAL_MACHINE|HKLM)\\SOFTWARE\\Policies\\Microsoft\\Windows NT\\DNSClient$`)

	wantedNames = []string{"computername", "hostname", "nv hostname", "domain", "nv domain", "dhcpdomain",
		"disabledynamicupdate", "disablereverseaddressregistrations", "registrationenabled", "registeradaptername",
		"ipaddress", "dhcpipaddress", "enabledhcp", "netbiosoptions", "dhcpnetbiosoptions", "nameserverlist", "dhcpnameserverlist"}
)

const (
	activeName = `control\computername\activecomputername`
	storedName = `control\computername\computername`
	tcpip      = `services\tcpip\parameters`
)

// wants reports whether a value tells something.
func (m *regMachine) wants(key, name string) bool {
	return slices.Contains(wantedNames, strings.ToLower(name)) && (regPlace.MatchString(key) || regDNS.MatchString(key))
}

func (m *regMachine) set(key, name string, value regValue) {
	name = strings.ToLower(name)
	if regDNS.MatchString(key) && name == "registrationenabled" {
		m.policy = value
		return
	}
	if match := regPlace.FindStringSubmatch(key); match != nil {
		m.control(strings.ToLower(match[1])).set(strings.ToLower(match[2]), name, value)
	}
}

func (m *regMachine) control(name string) *controlSet {
	if m.sets == nil {
		m.sets = map[string]*controlSet{}
	}
	if m.sets[name] == nil {
		m.sets[name] = &controlSet{values: map[string]regValue{}, cards: map[string]*regCard{}}
	}
	return m.sets[name]
}

func (c *controlSet) set(place, name string, value regValue) {
	match := regGUID.FindStringSubmatch(place)
	switch {
	case match == nil && (place == activeName || place == storedName || place == tcpip):
		c.values[place+`\`+name] = value
	case match == nil || c.cards[match[2]] == nil && len(c.cards) == maxKeys:
	case strings.HasSuffix(match[1], "tcpip_"):
		c.card(match[2]).nbt[name] = value
	default:
		c.card(match[2]).ip[name] = value
	}
}

func (c *controlSet) card(guid string) *regCard {
	if c.cards[guid] == nil {
		c.cards[guid] = &regCard{guid: guid, ip: map[string]regValue{}, nbt: map[string]regValue{}}
		c.order = append(c.order, guid)
	}
	return c.cards[guid]
}

// emit gives what the computer registers, and forgets it.
func (m *regMachine) emit(x *reading) {
	set := m.current()
	m.sets = nil
	if set == nil || x.stopped {
		return
	}
	name, hasName := set.netbiosName()
	if !hasName && set.host() == "" {
		x.fatal(`the computer's name is not in the file: export HKLM\SYSTEM\CurrentControlSet\Control\ComputerName and ...\Services\Tcpip and ...\Services\NetBT into it, or HKLM\SYSTEM as a whole`)
		return
	}
	for _, guid := range set.order {
		card := set.cards[guid]
		addrs, line := card.addrs(x)
		if len(addrs) == 0 {
			continue
		}
		if hasName {
			card.emitNetBIOS(x, name, addrs[0], line)
		}
		if !m.policy.is(0) {
			set.emitDNS(x, card, addrs, line)
		}
	}
}

// current is the current control set, or the first of those that are numbered.
func (m *regMachine) current() *controlSet {
	if set := m.sets["currentcontrolset"]; set != nil {
		return set
	}
	first := ""
	for name := range m.sets {
		if first == "" || name < first {
			first = name
		}
	}
	return m.sets[first]
}

func (v regValue) is(number uint64) bool { return v.set && v.texts == nil && v.number == number }

// text is the first text of the value.
func (v regValue) text() string {
	if len(v.texts) == 0 {
		return ""
	}
	return strings.TrimSpace(v.texts[0])
}

// netbiosName is the computer's name: the one in use, else the one for the next start, else the first
// 15 octets of the host name.
func (c *controlSet) netbiosName() (netbios.Name, bool) {
	text := firstOf(c.values[activeName+`\computername`].text(), c.values[storedName+`\computername`].text(), c.host())
	name, err := nameOf([]byte(text[:min(len(text), netbios.BaseLen)]), 0)
	return name, err == nil
}

func (c *controlSet) host() string {
	return firstOf(c.values[tcpip+`\hostname`].text(), c.values[tcpip+`\nv hostname`].text())
}

func (c *controlSet) domain() string {
	return firstOf(c.values[tcpip+`\domain`].text(), c.values[tcpip+`\nv domain`].text())
}

// addrs are the IPv4 addresses of the card and the line where they stand. EnableDHCP tells which value
// counts; where it is missing, the one that has an address.
func (c *regCard) addrs(x *reading) ([]netip.Addr, int) {
	static, dhcp := c.ip["ipaddress"], c.ip["dhcpipaddress"]
	if c.ip["enabledhcp"].is(1) {
		return dhcp.addrs(x), dhcp.line
	}
	if list := static.addrs(x); len(list) > 0 || c.ip["enabledhcp"].set {
		return list, static.line
	}
	return dhcp.addrs(x), dhcp.line
}

func (v regValue) addrs(x *reading) []netip.Addr {
	var list []netip.Addr
	for _, text := range v.texts {
		for _, one := range strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' }) {
			addr, ok := parseIPv4([]byte(one))
			switch {
			case !ok:
				x.problemAt(v.line, "%q is not an IPv4 address", clip(one))
			case !addr.IsUnspecified() && len(list) < maxAddrs:
				list = append(list, addr)
			}
		}
	}
	return list
}

// usesNetBIOS: NetbiosOptions 1 is on and 2 is off; with 0, the default, the DHCP server's word counts,
// MS-DHCPE, Section 2.2.2.1, and without one it is on.
func (c *regCard) usesNetBIOS(x *reading) bool {
	option := c.nbt["netbiosoptions"]
	if option.set && option.number > 2 {
		x.problemAt(option.line, "NetbiosOptions is %d, 0, 1 or 2 would be right; it is taken for 0", option.number)
	}
	switch {
	case option.is(2):
		return false
	case option.is(1):
		return true
	}
	return !c.nbt["dhcpnetbiosoptions"].is(2) || c.ip["enabledhcp"].is(0)
}

// emitNetBIOS gives the computer's names with the first address of the card, which is the only one that
// Windows registers. Without a name server they are broadcast.
func (c *regCard) emitNetBIOS(x *reading, name netbios.Name, addr netip.Addr, line int) {
	if !c.usesNetBIOS(x) {
		return
	}
	channel := policy.Broadcast
	if len(c.nbt["nameserverlist"].addrs(x)) > 0 || len(c.nbt["dhcpnameserverlist"].addrs(x)) > 0 {
		channel = policy.WINS
	}
	for _, suffix := range plainSuffixes {
		r := x.begin(channel, line)
		r.setName(name.WithSuffix(suffix))
		r.Source, r.Detail = addr, c.detail()
		r.add(addr)
		x.emit()
	}
}

func (c *regCard) detail() string { return "interface " + strings.ToUpper(c.guid) }

// emitDNS gives what the card registers in DNS. That is on unless RegistrationEnabled is 0 for the card
// or DisableDynamicUpdate is 1 for the card or the computer. The primary domain's name is registered
// always, that of the card with RegisterAdapterName.
func (c *controlSet) emitDNS(x *reading, card *regCard, addrs []netip.Addr, line int) {
	if card.ip["registrationenabled"].is(0) || card.ip["disabledynamicupdate"].is(1) || c.values[tcpip+`\disabledynamicupdate`].is(1) {
		return
	}
	domains := []string{c.domain()}
	if card.ip["registeradaptername"].is(1) {
		domains = append(domains, firstOf(card.ip["domain"].text(), card.ip["dhcpdomain"].text()))
	}
	registers := false
	for i, domain := range domains {
		if domain == "" || c.host() == "" || i > 0 && strings.EqualFold(domain, domains[0]) {
			continue
		}
		registers = true
		card.emitHost(x, c.host()+"."+domain, addrs, line)
	}
	reverse := !c.values[tcpip+`\disablereverseaddressregistrations`].is(1) && !card.ip["disablereverseaddressregistrations"].is(1)
	if registers && reverse && !card.ip["enabledhcp"].is(1) {
		card.emitReverse(x, addrs, line)
	}
}

func (c *regCard) emitHost(x *reading, name string, addrs []netip.Addr, line int) {
	if _, ok := dns.IsDomainName(name); !ok {
		x.problemAt(line, "the computer registers %q, which is not a domain name", clip(name))
		return
	}
	r := x.begin(policy.Update, line)
	r.setDNS(name, dns.TypeA)
	r.Source, r.Detail = addrs[0], c.detail()
	for _, addr := range addrs {
		r.add(addr)
	}
	x.emitWithAddrs()
}

// emitReverse gives the PTR records. A card with DHCP leaves them to the DHCP server.
func (c *regCard) emitReverse(x *reading, addrs []netip.Addr, line int) {
	for _, addr := range addrs {
		name, err := dns.ReverseAddr(addr.String())
		if err != nil {
			continue
		}
		r := x.begin(policy.Update, line)
		r.setDNS(name, dns.TypePTR)
		r.Source, r.Detail = addrs[0], c.detail()
		r.add(addr)
		x.emitWithAddrs()
	}
}
