package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/nbns"
	"github.com/nameward/nameward/registry/control"
)

// queryOptions are the flags of query.
type queryOptions struct {
	server      string
	dnsPort     uint16
	netbiosPort uint16
	domain      string
	timeout     time.Duration
}

func newQuery() *cobra.Command {
	var o queryOptions
	cmd := &cobra.Command{
		Use: "query NAME", Short: "Ask DNS and NetBIOS for a name and print both answers side by side",
		Long: "Ask DNS and NetBIOS for a name, which may be a DNS name or a NetBIOS name (MAIL or MAIL<20>), and print\n" +
			"both answers side by side. The local nameward is asked unless --server names another server; its roles\n" +
			"also tell which DNS name and which NetBIOS name belong together.\n\n" +
			"Exit code 0: both answer alike; 1: they differ or one has no answer; 2: nobody could be asked.",
		Args: oneArg,
	}
	client := controlFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "", "`address` of the name server, for both protocols")
	f.Uint16Var(&o.dnsPort, "dns-port", 53, "its `port` for DNS")
	f.Uint16Var(&o.netbiosPort, "netbios-port", netbios.Port, "its `port` for NetBIOS")
	f.StringVar(&o.domain, "domain", "", "`domain` that makes a DNS name of a NetBIOS name; default: the first search domain of resolv.conf")
	f.DurationVar(&o.timeout, "timeout", 2*time.Second, "how long to wait for each answer")
	cmd.ValidArgsFunction = completeFrom(client, guardedNames)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), 6*o.timeout)
		defer cancel()
		q, err := queryFor(ctx, args[0], o, client())
		if err != nil {
			return err
		}
		d, n := q.askDNS(ctx), q.askNetBIOS(ctx)
		printAnswers(cmd.OutOrStdout(), d, n)
		return verdict(cmd.OutOrStdout(), d, n)
	}
	return cmd
}

// query is what will be asked, and of whom. A protocol without a server is not asked.
type query struct {
	dnsName       string
	dnsServer     string
	netbiosName   netbios.Name
	netbiosServer netip.AddrPort
	timeout       time.Duration
}

// queryFor finds out what a name stands for: from the local nameward's roles, else from its form.
func queryFor(ctx context.Context, name string, o queryOptions, client *control.Client) (query, error) {
	q := query{timeout: o.timeout}
	st, err := client.Status(ctx)
	if err != nil && o.server == "" {
		return q, fmt.Errorf("%w; or name a server with --server", err)
	}
	if err := q.chooseServers(o, st.Listen); err != nil {
		return q, err
	}
	dnsName, nb := split(name)
	for _, r := range st.Roles {
		if i := slices.IndexFunc(r.NetBIOS, func(n string) bool { return sameNetBIOS(n, nb) }); i >= 0 || slices.Contains(r.DNS, dnsName) {
			if dnsName == "" && len(r.DNS) > 0 {
				dnsName = r.DNS[0]
			}
			if i < 0 && len(r.NetBIOS) > 0 {
				nb = fileServer(r.NetBIOS)
			}
			break
		}
	}
	if dnsName == "" {
		dnsName = withDomain(nb, o.domain)
	}
	q.dnsName = dnsName
	q.netbiosName, err = netbios.ParseName(nb)
	if err != nil {
		return q, fmt.Errorf("NetBIOS name %q: %w", nb, err)
	}
	if !strings.Contains(nb, "<") {
		q.netbiosName = q.netbiosName.WithSuffix(0x20)
	}
	q.netbiosName = q.netbiosName.Fold()
	return q, nil
}

// split gives the DNS name, "" for a NetBIOS name, and the NetBIOS name that a name suggests.
func split(name string) (dnsName, nb string) {
	if strings.Contains(name, "<") || !strings.Contains(name, ".") {
		return "", strings.ToUpper(name)
	}
	first, _, _ := strings.Cut(name, ".")
	return dns.Fqdn(strings.ToLower(name)), strings.ToUpper(first[:min(len(first), netbios.BaseLen)])
}

func sameNetBIOS(configured, asked string) bool {
	base, _, _ := strings.Cut(configured, "<")
	return configured == asked || base == asked
}

// fileServer prefers the name that SMB clients ask for.
func fileServer(names []string) string {
	for _, n := range names {
		if strings.HasSuffix(n, "<20>") {
			return n
		}
	}
	return names[0]
}

func withDomain(nb, domain string) string {
	base, _, _ := strings.Cut(nb, "<")
	if domain == "" {
		if conf, err := dns.ClientConfigFromFile("/etc/resolv.conf"); err == nil && len(conf.Search) > 0 {
			domain = conf.Search[0]
		}
	}
	if domain == "" {
		return ""
	}
	return dns.Fqdn(strings.ToLower(base + "." + domain))
}

func (q *query) chooseServers(o queryOptions, l control.Listen) error {
	if o.server == "" {
		q.dnsServer = reachable(l.DNS)
		if nb := reachable(l.NetBIOS); nb != "" {
			q.netbiosServer = netip.MustParseAddrPort(nb)
		}
		return nil
	}
	addr, err := netip.ParseAddr(o.server)
	if err != nil {
		return fmt.Errorf("--server %q: %w; write its address, the ports have flags of their own", o.server, err)
	}
	q.dnsServer = netip.AddrPortFrom(addr, o.dnsPort).String()
	if addr.Is4() {
		q.netbiosServer = netip.AddrPortFrom(addr, o.netbiosPort)
	}
	return nil
}

// reachable picks a listener and gives a wildcard the loopback address.
func reachable(listeners []string) string {
	for _, l := range listeners {
		ap, err := netip.ParseAddrPort(l)
		if err != nil {
			if host, port, e := net.SplitHostPort(l); e == nil && host == "" {
				return "127.0.0.1:" + port
			}
			continue
		}
		if ap.Addr().IsUnspecified() {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()).String()
		}
		return ap.String()
	}
	return ""
}

// answer is one protocol's column.
type answer struct {
	title  string
	server string
	addrs  []netip.Addr
	ttl    string
	flags  string
	rtt    time.Duration
	err    error
}

var errNotAsked = errors.New("not asked")

func (q query) askDNS(ctx context.Context) answer {
	a := answer{title: "DNS " + q.dnsName, server: q.dnsServer}
	switch {
	case q.dnsName == "":
		a.err = fmt.Errorf("%w: no domain is known, use --domain", errNotAsked)
		return a
	case q.dnsServer == "":
		a.err = fmt.Errorf("%w: the server has no DNS listener", errNotAsked)
		return a
	}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if a.err = a.exchange(ctx, q, qtype); a.err != nil {
			return a
		}
	}
	if len(a.addrs) == 0 {
		a.err = errors.New("no address (NODATA)")
	}
	return a
}

func (a *answer) exchange(ctx context.Context, q query, qtype uint16) error {
	m := new(dns.Msg).SetQuestion(q.dnsName, qtype)
	m.SetEdns0(dns.DefaultMsgSize, false)
	resp, rtt, err := (&dns.Client{Timeout: q.timeout}).ExchangeContext(ctx, m, q.dnsServer)
	if err != nil {
		return err
	}
	a.rtt = max(a.rtt, rtt)
	if resp.Rcode != dns.RcodeSuccess {
		return errors.New(dns.RcodeToString[resp.Rcode] + extended(resp))
	}
	if resp.Authoritative {
		a.flags = "authoritative"
	}
	for _, rr := range resp.Answer {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		default:
			continue
		}
		addr, _ := netip.AddrFromSlice(ip)
		a.addrs = append(a.addrs, addr.Unmap())
		a.ttl = fmt.Sprintf("%d s", rr.Header().Ttl)
	}
	return nil
}

// extended is the text of an extended error, RFC 8914.
func extended(m *dns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil {
		return ""
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			return fmt.Sprintf(" (%s: %s)", dns.ExtendedErrorCodeToString[e.InfoCode], e.ExtraText)
		}
	}
	return ""
}

func (q query) askNetBIOS(ctx context.Context) answer {
	a := answer{title: "NetBIOS " + q.netbiosName.String(), server: q.netbiosServer.String()}
	if !q.netbiosServer.IsValid() {
		a.server, a.err = "", fmt.Errorf("%w: the server has no NetBIOS listener", errNotAsked)
		return a
	}
	client := nbns.Client{UnicastTries: 2, UnicastTimeout: q.timeout}
	res, err := client.Query(ctx, q.netbiosServer, q.netbiosName)
	var negative *nbns.NegativeError
	switch {
	case errors.As(err, &negative):
		a.err = fmt.Errorf("negative: %s", negative.Rcode)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		a.err = errors.New("no answer")
	case err != nil:
		a.err = err
	}
	a.ttl, a.rtt = fmt.Sprintf("%d s", int(res.TTL.Seconds())), res.RTT
	for _, addr := range res.Addrs {
		a.addrs, a.flags = append(a.addrs, addr.Addr), addr.Flags.String()
	}
	return a
}

func printAnswers(w io.Writer, d, n answer) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(label string, cell func(answer) string) {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", label, orDash(cell(d)), orDash(cell(n)))
	}
	row("", func(a answer) string { return a.title })
	row("server", func(a answer) string { return a.server })
	row("answer", func(a answer) string {
		if a.err != nil {
			return a.err.Error()
		}
		return addrList(a.addrs)
	})
	row("ttl", func(a answer) string { return ifAnswered(a, a.ttl) })
	row("flags", func(a answer) string { return ifAnswered(a, a.flags) })
	row("time", func(a answer) string {
		return ifAnswered(a, fmt.Sprintf("%.1f ms", float64(a.rtt.Microseconds())/1000))
	})
	tw.Flush()
}

func ifAnswered(a answer, text string) string {
	if a.err != nil {
		return ""
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// verdict compares what can be compared: NetBIOS has only IPv4, and one address where DNS may have
// several.
func verdict(w io.Writer, d, n answer) error {
	switch {
	case errors.Is(d.err, errNotAsked) && n.err == nil, errors.Is(n.err, errNotAsked) && d.err == nil:
		fmt.Fprintln(w, "only one of them was asked")
		return nil
	case d.err != nil || n.err != nil:
		fmt.Fprintln(w, "not both of them answer")
		return exit{code: exitFindings}
	}
	for _, a := range n.addrs {
		if !slices.Contains(d.addrs, a) {
			fmt.Fprintf(w, "they differ: %s is not in the DNS answer\n", a)
			return exit{code: exitFindings}
		}
	}
	fmt.Fprintln(w, "they agree")
	return nil
}
