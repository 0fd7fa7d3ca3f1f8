package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/nameward/nameward/netbios"
	"github.com/nameward/nameward/netbios/wins"
	"github.com/nameward/nameward/netbios/wins/winsctl"
	"github.com/nameward/nameward/policy"
	"github.com/nameward/nameward/policy/audit"
	"github.com/nameward/nameward/policy/finding"
)

func newRegistrationsImport() *cobra.Command {
	var im importer
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Take registrations over from another WINS server",
		Long: "Take registrations over from a file: wins.dat of Samba's nmbd, the output of netsh wins server (show database or\n" +
			"dump), or what nameward registrations export --format json wrote; \"-\" is standard input, for the latter alone.\n" +
			"The kind is told from the content. The policy and the roles are asked as for any registration. A record that is\n" +
			"here already stays, for it may be the newer word of its node; one with the same addresses is renewed.\n\n" +
			"Exit codes: 0 everything was taken, 1 some was not, 2 the file could not be read to its end.",
		Args: oneArg,
	}
	client := winsFlag(cmd)
	cmd.Flags().BoolVar(&im.static, "static", false, "enter them as static ones, which stay until they are removed")
	cmd.Flags().BoolVar(&im.dryRun, "dry-run", false, "only tell what would become of them")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		im.client, im.out, im.errs, im.now = client(), cmd.OutOrStdout(), cmd.ErrOrStderr(), time.Now()
		return im.run(cmd.Context(), args[0])
	}
	return cmd
}

// importer brings the records of a file to a running nameward, so many at a time.
type importer struct {
	client         winsctl.Client
	static, dryRun bool
	out, errs      io.Writer
	now            time.Time

	batch  []winsctl.Record
	places []finding.Place
	told   int // problems that were told one by one

	taken, known, refused, unread, expired, memberless int
	broken                                             bool
}

// importBatch is how many records are sent at a time: each batch is one write to the disk.
const importBatch = 1000

func (im *importer) run(ctx context.Context, file string) error {
	src, err := openRegistrations(ctx, file)
	if err != nil {
		return err
	}
	defer src.close()
	done := progress(im.errs, file, src.size, src.offset)
	err = im.each(ctx, src.records)
	done()
	if err != nil {
		fmt.Fprintln(im.errs, im.summary())
		return told(err)
	}
	fmt.Fprintln(im.out, im.summary())
	switch {
	case im.broken:
		return exit{code: exitFailed}
	case im.refused+im.unread > 0:
		return exit{code: exitFindings}
	}
	return nil
}

func (im *importer) each(ctx context.Context, records iter.Seq2[placed, error]) error {
	for r, err := range records {
		if p := problemOf(err); p != nil {
			im.unread++
			im.broken = im.broken || p.Fatal
			im.problem(p)
			continue
		}
		if err := im.add(ctx, r); err != nil {
			return err
		}
	}
	return im.send(ctx)
}

// add keeps a record for the next batch, unless there is nothing in it.
func (im *importer) add(ctx context.Context, r placed) error {
	if im.static {
		r.Static, r.State = true, wins.Active.String()
	}
	switch {
	case !r.Static && !r.Ends.IsZero() && !r.Ends.After(im.now):
		im.expired++
		return nil
	case len(r.Addresses) == 0 && r.Kind == wins.Group.String():
		im.memberless++
		return nil
	}
	im.batch, im.places = append(im.batch, r.Record), append(im.places, r.place)
	if len(im.batch) < importBatch {
		return nil
	}
	return im.send(ctx)
}

func (im *importer) send(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	reply, err := im.client.Import(ctx, winsctl.ImportRequest{Records: im.batch, DryRun: im.dryRun})
	if err != nil {
		return err
	}
	im.taken, im.known, im.refused = im.taken+reply.Taken, im.known+reply.Known, im.refused+len(reply.Refused)
	for i := range im.batch {
		if text, is := reply.Refused[i]; is {
			im.problem(&audit.Problem{Place: im.places[i], Err: errors.New(text)})
		}
	}
	im.batch, im.places = im.batch[:0], im.places[:0]
	return nil
}

func (im *importer) problem(p *audit.Problem) {
	switch im.told++; {
	case im.told <= maxProblems || p.Fatal:
		fmt.Fprintln(behindBar{im.errs}, p)
	case im.told == maxProblems+1:
		fmt.Fprintln(behindBar{im.errs}, "there are more, which are only counted")
	}
}

// summary is what became of everything.
func (im *importer) summary() string {
	did := "imported"
	if im.dryRun {
		did = "would be imported"
	}
	text := []string{fmt.Sprintf("%s %s", count(im.taken, "registration"), did)}
	for _, part := range []struct {
		n    int
		text string
	}{
		{im.known, "left as they are here"},
		{im.expired, "expired"},
		{im.memberless, "groups of which the file has no member; each node registers them again by itself"},
		{im.refused, "not accepted"},
		{im.unread, "not readable"},
	} {
		if part.n > 0 {
			text = append(text, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	return strings.Join(text, "; ")
}

// placed is a record and where it stands.
type placed struct {
	winsctl.Record
	place finding.Place
}

// registrationsFile is a file with registrations. A problem with a line is an error of type *audit.Problem.
type registrationsFile struct {
	records iter.Seq2[placed, error]
	size    int64
	offset  func() int64
	close   func() error
}

func openRegistrations(ctx context.Context, name string) (*registrationsFile, error) {
	if isExport, err := isExport(name); err != nil {
		return nil, err
	} else if isExport {
		return openExport(name)
	}
	src, err := audit.Open(ctx, name, audit.Options{})
	if err != nil {
		return nil, err
	}
	switch src.Kind {
	case audit.KindWinsDat, audit.KindNetshDatabase, audit.KindNetshDump:
	default:
		return nil, errors.Join(fmt.Errorf("%s is a source of kind %s, which has no WINS registrations; want %s, %s, %s or an export", name, src.Kind,
			audit.KindWinsDat, audit.KindNetshDatabase, audit.KindNetshDump), src.Close())
	}
	return &registrationsFile{records: published(src), size: src.Size, offset: src.Offset, close: src.Close}, nil
}

// isExport reports whether a file is one of ours. Standard input is, for it cannot be looked at twice.
func isExport(name string) (bool, error) {
	if name == "-" {
		return true, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if n == 0 && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.HasPrefix(bytes.TrimSpace(head[:n]), []byte("{\"name\"")), nil
}

// published gives the registrations of a source as records.
func published(src *audit.Source) iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		for r, err := range src.Records() {
			var out placed
			if err == nil && r.Channel == policy.WINS && r.NetBIOS.IsValid() {
				out, err = recordOf(r, src.Kind)
			} else if err == nil {
				continue
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

func recordOf(r *audit.Record, kind audit.Kind) (placed, error) {
	out := placed{place: r.Place, Record: winsctl.Record{
		Name: r.NetBIOS, State: wins.Active.String(), Static: r.Static, Node: r.Node, Ends: r.Ends, Kind: usualKind(r.NetBIOS, len(r.Addrs)).String(),
	}}
	if kind == audit.KindWinsDat && !isASCII(r.NetBIOS) {
		return out, &audit.Problem{Place: r.Place, Err: fmt.Errorf(
			`%s: wins.dat has letters in nmbd's "unix charset", and which octets they are on the wire cannot be told; let the node register it again`, r.NetBIOS)}
	}
	addrs := r.Addrs
	if r.Group && out.Kind != wins.Internet.String() {
		out.Kind, addrs = wins.Group.String(), addrs[:min(1, len(addrs))]
	}
	for _, a := range addrs {
		out.Addresses = append(out.Addresses, winsctl.Address{Address: a})
	}
	return out, nil
}

func isASCII(n netbios.Name) bool {
	return !strings.ContainsFunc(n.Base(), func(r rune) bool { return r >= 0x80 })
}

// openExport opens lines of JSON.
func openExport(name string) (*registrationsFile, error) {
	in, size := io.ReadCloser(io.NopCloser(os.Stdin)), int64(0)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = f
	}
	var offset atomic.Int64
	return &registrationsFile{records: exported(name, in, &offset), size: size, offset: offset.Load, close: in.Close}, nil
}

// maxExportLine bounds a line of an export in octets; a record with 25 addresses has some 3,000.
const maxExportLine = 64 << 10

func exported(name string, in io.Reader, offset *atomic.Int64) iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxExportLine)
		place := finding.Place{File: name}
		for lines.Scan() {
			place.Line++
			offset.Add(int64(len(lines.Bytes())) + 1)
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			r, err := winsctl.UnmarshalRecord(lines.Bytes())
			if err != nil {
				err = &audit.Problem{Place: place, Err: err}
			}
			if !yield(placed{r, place}, err) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			place.Line++
			yield(placed{}, &audit.Problem{Place: place, Err: fmt.Errorf("nothing behind here was read: %w", err), Fatal: true})
		}
	}
}
