package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync/atomic"
)

// Source is something that publishes records. Records may be called once; Offset and PassedOver may be
// called at any time from other goroutines.
type Source struct {
	Name string // as it was given; "-" is standard input
	Kind Kind
	Size int64 // in octets, 0 if not known

	ctx    context.Context
	opts   Options
	in     *bufio.Reader
	file   io.Closer
	offset atomic.Int64
	passed atomic.Int64
}

// Open opens a file, standard input ("-") or a zone of a server (axfr://server[:port]/zone), and tells
// its kind unless the options do. A transfer begins with Records. Reading ends when ctx does.
func Open(ctx context.Context, name string, opts Options) (*Source, error) {
	s := &Source{Name: name, Kind: opts.Kind, ctx: ctx, opts: opts}
	if strings.HasPrefix(name, transferScheme) {
		return s.openTransfer()
	}
	if opts.Kind == KindAXFR {
		return nil, fmt.Errorf("%q is no zone transfer, axfr://server[:port]/zone would be right", name)
	}
	file, size, err := openFile(name)
	if err != nil {
		return nil, fmt.Errorf("opening the source: %w", err)
	}
	s.file, s.Size = file, size
	s.in = newBuffered(&countingReader{ctx: ctx, r: file, offset: &s.offset})
	if err := s.detect(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return s, nil
}

func newBuffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, bufferSize) }

func openFile(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a directory, a file would be right", name)
	case info.Mode().IsRegular():
		return file, info.Size(), nil
	default:
		return file, 0, nil
	}
	_ = file.Close()
	return nil, 0, err
}

func (s *Source) openTransfer() (*Source, error) {
	if _, err := parseTransfer(s.Name); err != nil {
		return nil, err
	}
	if s.Kind != 0 && s.Kind != KindAXFR {
		return nil, fmt.Errorf("%s is a zone transfer and cannot be read as %s", s.Name, s.Kind)
	}
	s.Kind = KindAXFR
	return s, nil
}

func (s *Source) detect() error {
	head, err := s.in.Peek(detectSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %s: %w", s.Name, err)
	}
	if s.Kind != 0 {
		return nil
	}
	if s.Kind = detect(s.Name, head); s.Kind == 0 {
		return fmt.Errorf("%s: what kind of source this is cannot be told from its name and its beginning; say it with --kind, which is one of %s",
			s.Name, kindList())
	}
	return nil
}

// Records reads the source from its beginning to its end. A record is valid until the next one comes.
// Errors are of type *Problem; a fatal one is the last thing that comes.
func (s *Source) Records() iter.Seq2[*Record, error] {
	if s.Kind == KindCapture {
		return readCapture(s.Name, s.in)
	}
	return func(yield func(*Record, error) bool) {
		x := &reading{file: s.Name, opts: &s.opts, passed: &s.passed, yield: yield}
		if s.Kind == KindAXFR {
			x.readTransfer(s.ctx, &s.offset)
			return
		}
		x.in = plainText(s.in)
		readers[s.Kind](x)
	}
}

var readers = map[Kind]func(*reading){
	KindWinsDat:       (*reading).readWinsDat,
	KindNetshDatabase: (*reading).readNetshDatabase,
	KindNetshDump:     (*reading).readNetshDump,
	KindZone:          (*reading).readZone,
	KindDnscmd:        (*reading).readDnscmd,
	KindDNSCSV:        (*reading).readDNSCSV,
	KindDNSJSON:       (*reading).readDNSJSON,
	KindReg:           (*reading).readReg,
	KindHosts:         (*reading).readHosts,
	KindLMHosts:       (*reading).readLMHosts,
}

// Offset is how many octets were read so far, for a progress bar.
func (s *Source) Offset() int64 { return s.offset.Load() }

// PassedOver is how many records so far were not given because the source does not publish them: those
// that are released or tombstoned.
func (s *Source) PassedOver() int64 { return s.passed.Load() }

// Close closes the file.
func (s *Source) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// countingReader counts octets and ends with its context.
type countingReader struct {
	ctx    context.Context
	r      io.Reader
	offset *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.offset.Add(int64(n))
	return n, err
}
