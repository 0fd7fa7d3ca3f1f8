package main

import (
	"bytes"
	"io"
	stdlog "log"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/nameward/nameward/registry/config"
)

// logs is where everything is logged. Its format can change while loggers are in use.
type logs struct {
	out    io.Writer
	format atomic.Pointer[io.Writer]
}

// newLogs starts with what suits the reader: words on a terminal, JSON elsewhere.
func newLogs(out io.Writer) *logs {
	l := &logs{out: out}
	l.setFormat("json")
	if isTerminal(out) {
		l.setFormat("console")
	}
	return l
}

func (l *logs) setFormat(format string) {
	w := l.out
	if format == "console" {
		w = zerolog.ConsoleWriter{Out: l.out, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != "" || !isTerminal(l.out)}
	}
	l.format.Store(&w)
}

func (l *logs) Write(p []byte) (int, error) { return (*l.format.Load()).Write(p) }

// apply puts the log section of a configuration in force.
func (l *logs) apply(c config.Log) {
	if level, err := zerolog.ParseLevel(c.Level); err == nil {
		zerolog.SetGlobalLevel(level)
	}
	if !isTerminal(l.out) {
		l.setFormat(c.Format)
	}
}

// start makes the logger of the process and takes CoreDNS's log in the same shape.
func (l *logs) start() zerolog.Logger {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	log := zerolog.New(l).With().Timestamp().Logger()
	stdlog.SetFlags(0)
	stdlog.SetOutput(bridge{log})
	return log
}

// bridge turns lines such as "[INFO] plugin/reload: Running" into events.
type bridge struct{ log zerolog.Logger }

func (b bridge) Write(p []byte) (int, error) {
	line := string(bytes.TrimRight(p, "\n"))
	level := zerolog.InfoLevel
	for word, l := range bridgeLevels {
		if rest, ok := strings.CutPrefix(line, word); ok {
			line, level = rest, l
			break
		}
	}
	e := b.log.WithLevel(level)
	if name, rest, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(name, "plugin/") {
		e, line = e.Str("plugin", strings.TrimPrefix(name, "plugin/")), rest
	}
	if level < zerolog.GlobalLevel() {
		return len(p), nil
	}
	e.Msg(line)
	return len(p), nil
}

var bridgeLevels = map[string]zerolog.Level{
	"[DEBUG] ": zerolog.DebugLevel, "[INFO] ": zerolog.InfoLevel, "[WARNING] ": zerolog.WarnLevel,
	"[ERROR] ": zerolog.ErrorLevel, "[FATAL] ": zerolog.FatalLevel, "[PANIC] ": zerolog.ErrorLevel,
}
