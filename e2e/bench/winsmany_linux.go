package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"
)

// What is required of the WINS server with very many records.
const (
	winsFlatRequired   = 1.5 // times the CPU for a query with few records
	winsMemoryRequired = 400 // octets for each record
	winsStartRequired  = 3 * time.Second
)

// manyFirst is the address of the first node in the database of many records.
var manyFirst = netip.MustParseAddr("11.0.0.0")

// manyRecords is what the WINS server with many records takes.
type manyRecords struct {
	few, many      samples // CPU in microseconds for a query
	without        samples // resident memory under load in megabytes, with few records
	filled, reread samples // the same with many, that were imported, and after a start
	imports        samples // seconds
	starts         samples // ms
	wrong          int     // queries not answered right
}

// measureManyRecords compares our server with itself: with few records, and with very many that it has read
// from a database of nmbd's.
func (b *bench) measureManyRecords(ctx context.Context) error {
	var m manyRecords
	many, err := b.newWINSGuard()
	if err != nil {
		return err
	}
	if err := b.compareRecords(ctx, many, &m); err != nil {
		return err
	}
	for i := range b.starts {
		if err := b.startMany(ctx, many, &m, i == b.starts-1); err != nil {
			return fmt.Errorf("start with %s records: %w", thousands(b.winsMany), err)
		}
	}
	b.reportMany(m)
	return nil
}

func (b *bench) newWINSGuard() (*guard, error) {
	dir, err := os.MkdirTemp(b.dir, "many")
	if err != nil {
		return nil, err
	}
	return newGuard(dir, world{wins: 2 * b.winsMany})
}

// compareRecords fills two servers, asks them in turn, and ends them.
func (b *bench) compareRecords(ctx context.Context, many *guard, m *manyRecords) error {
	few, err := b.newWINSGuard()
	if err != nil {
		return err
	}
	for _, g := range []*guard{few, many} {
		g.pinned = true
		if err := g.start(ctx, b.binary); err != nil {
			return err
		}
		defer func() { g.stop(); g.pinned = false }()
	}
	if _, err := b.fill(ctx, few, winsFew); err != nil {
		return err
	}
	took, err := b.fill(ctx, many, b.winsMany)
	if err != nil {
		return err
	}
	m.imports.add(took.Seconds())
	for round := range b.rounds {
		for i := range 2 {
			if (i+round)%2 == 0 {
				err = b.askMany(ctx, few, m, winsFew, &m.few)
			} else {
				err = b.askMany(ctx, many, m, b.winsMany, &m.many)
			}
			if err != nil {
				return err
			}
		}
	}
	return errors.Join(few.noteMemory(&m.without, "VmRSS"), many.noteMemory(&m.filled, "VmRSS"))
}

// fill imports the first names and tells how long that took. The server may have just been started.
func (b *bench) fill(ctx context.Context, g *guard, names int) (took time.Duration, err error) {
	path := g.path("wins.dat")
	if err := writeWinsDat(path, names, func(i int) netip.Addr { return spreadAddr(manyFirst, i) }); err != nil {
		return 0, err
	}
	defer os.Remove(path)
	err = tries(ctx, 50*time.Millisecond, startLimit, func() error {
		if err := g.ended(); err != nil {
			return err
		}
		began := time.Now()
		out, err := command(ctx, b.binary, "registrations", "import", "--socket", g.path("s"), path).CombinedOutput()
		took = time.Since(began)
		if err != nil {
			return fmt.Errorf("importing %s records: %w: %s", thousands(names), err, lastLineOf(string(out)))
		}
		return nil
	})
	return took, err
}

// askMany asks for names at random and takes the CPU time for a query.
func (b *bench) askMany(ctx context.Context, g *guard, m *manyRecords, names int, cpu *samples) error {
	o := newLoad(g.nbns.String(), names)
	o.addr, o.spread, o.load, o.timeout = manyFirst.String(), true, b.load, winsTimeout
	before, err := g.cpu()
	if err != nil {
		return err
	}
	r, err := o.within(ctx, "")
	if err != nil {
		return err
	}
	after, err := g.cpu()
	if err != nil {
		return err
	}
	if r.Replies == 0 {
		return fmt.Errorf("no right answer: %+v", r)
	}
	m.wrong += r.Wrong + r.Lost
	cpu.add(float64(after-before) / float64(time.Microsecond) / float64(r.Replies))
	return nil
}

// startMany takes the time from exec to the first right answer, and at last the memory under load.
func (b *bench) startMany(ctx context.Context, g *guard, m *manyRecords, last bool) error {
	if err := g.start(ctx, b.binary); err != nil {
		return err
	}
	defer g.stop()
	name := rand.IntN(b.winsMany)
	at, _, err := g.askNBNS.until(name, spreadAddr(manyFirst, name), startLimit)
	if dead := g.ended(); dead != nil {
		return dead
	}
	if err != nil {
		return err
	}
	m.starts.addTime(at.Sub(g.began))
	if !last {
		return nil
	}
	var cpu samples
	for began := time.Now(); time.Since(began) < b.steady; {
		if err := b.askMany(ctx, g, m, b.winsMany, &cpu); err != nil {
			return err
		}
	}
	return g.noteMemory(&m.reread, "VmRSS")
}

func (b *bench) reportMany(m manyRecords) {
	records := thousands(b.winsMany)
	ratio := ratios(m.many, m.few).median()
	b.table.require(ratio <= winsFlatRequired, row{
		what: fmt.Sprintf("CPU for each WINS query, %s records against %s", records, thousands(winsFew)),
		ours: figure(m.many.median()) + " µs", peer: figure(m.few.median()) + " µs (ours)", ratio: figure(ratio) + "x",
		required: fmt.Sprintf("<= %gx", winsFlatRequired),
	})
	for _, r := range []struct {
		what string
		mb   samples
	}{{"imported", m.filled}, {"after a start", m.reread}} {
		each := (r.mb.median() - m.without.median()) * 1e6 / float64(b.winsMany-winsFew)
		b.table.require(each < winsMemoryRequired, row{
			what: fmt.Sprintf("memory for each of %s WINS records, %s, under load", records, r.what),
			ours: figure(each) + " octets", required: fmt.Sprintf("< %d octets", winsMemoryRequired),
		})
		b.table.keep("resident memory, "+records+" WINS records "+r.what, "MB", r.mb)
	}
	b.table.keep("WINS query, "+records+" records", "CPU µs", m.many)
	b.table.keep("WINS query, "+thousands(winsFew)+" records", "CPU µs", m.few)
	b.table.keep("resident memory, "+thousands(winsFew)+" WINS records", "MB", m.without)
	b.table.require(m.starts.median() < float64(winsStartRequired/time.Millisecond), row{
		what: fmt.Sprintf("start (exec) to first right answer, %s WINS records", records),
		ours: fmt.Sprintf("median %s ms", figure(m.starts.median())), required: "< 3 s",
	})
	b.table.keep("start with "+records+" WINS records", "ms", m.starts)
	b.table.inform(row{what: "import of " + records + " records of nmbd's", ours: figure(m.imports.median()) + " s"})
	b.table.require(m.wrong == 0, row{what: "WINS queries lost or wrong with that many records", ours: fmt.Sprint(m.wrong), required: "0"})
}
