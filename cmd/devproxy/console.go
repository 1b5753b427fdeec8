package main

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/journal"
	"github.com/devproxy/devproxy/hcl"
)

// console prints what happens in an `up`: on its own output and, as text without a
// width, in a journal for other terminals and the log file. The loop calls its methods.
type console struct {
	own       *reporter
	kept      *reporter
	reporters []*reporter     // without own once the process is in the background
	lines     *journal.Writer // of kept
	journal   *journal.Journal
	mask      *atomic.Pointer[hcl.Mask]

	file  *journal.File // nil in the foreground
	ready *os.File      // tells the process that started this one in the background; else nil
	ended bool
}

// openConsole prints on s. In the background it begins the log file.
func openConsole(s *streams, opts upOptions, src source, mask *atomic.Pointer[hcl.Mask]) (*console, error) {
	c := &console{own: newReporter(s.masked(mask), opts, src), mask: mask}
	var file io.Writer
	if opts.ready != 0 {
		var err error
		if c.file, err = createLog(src.folder); err != nil {
			return nil, err
		}
		file, c.ready = c.file, inherited(opts.ready)
		c.own.ending = "in the background · " + typed("devproxy logs -f") + " · " + typed("devproxy down")
	}
	c.journal = journal.New(file)
	c.lines = c.journal.NewWriter()
	opts.json = false
	c.kept = newReporter((&streams{In: strings.NewReader(""), Out: c.lines, Err: c.lines, Color: true}).masked(mask), opts, src)
	c.kept.ending = ""
	c.reporters = []*reporter{c.own, c.kept}
	return c, nil
}

// errors is where the log goes. The loop need not be the one who writes to it.
func (c *console) errors() io.Writer {
	return io.MultiWriter(maskedWriter{c.journal.NewWriter(), c.mask}, c.own.Err)
}

// newLog returns the logger of everything that runs. It is also that of the standard
// library, since the client transport of net/http logs only with package log. Without
// verbose it discards everything.
func newLog(w io.Writer, verbose bool) *slog.Logger {
	log := slog.New(slog.DiscardHandler)
	if verbose {
		log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	slog.SetLogLoggerLevel(slog.LevelWarn)
	slog.SetDefault(log)
	return log
}

// logPath returns the path of the log file; empty in the foreground.
func (c *console) logPath() string {
	if c.file == nil {
		return ""
	}
	return c.file.Name()
}

// detach lets the process that started this one in the background return. From then
// on only the journal gets the output. It does nothing in the foreground, and when
// called again.
func (c *console) detach() {
	if c.ready == nil {
		return
	}
	c.reporters = []*reporter{c.kept}
	leaveOutput()
	_, _ = c.ready.Write([]byte{serves}) // the process that waited may have ended
	_ = c.ready.Close()
	c.ready = nil
}

// end prints the error that ends the instance for readers of the journal, and closes
// it. When called again it does nothing.
func (c *console) end(err error) {
	if c.ended {
		return
	}
	c.ended = true
	report(c.kept.streams, err, false)
	c.journal.Close()
}

// close releases the log file.
func (c *console) close() {
	if c.file != nil {
		_ = c.file.Close() // every line is written already
	}
}

// serviceLine is an event that a service prints, or that is about one.
type serviceLine interface{ serviceName() string }

func (c *console) emit(e event) {
	if of, ok := e.(serviceLine); ok {
		c.lines.Service = of.serviceName()
		defer func() { c.lines.Service = "" }()
	}
	c.do(func(r *reporter) { r.emit(e) })
}

func (c *console) do(what func(*reporter)) {
	for _, r := range c.reporters {
		what(r)
	}
}

// unchanged notes a save that is served and changed no route.
func (c *console) unchanged(at time.Time) { c.do(func(r *reporter) { r.good = at }) }

func (c *console) say(text string)             { c.do(func(r *reporter) { r.say(text) }) }
func (c *console) share(e devproxy.ShareEvent) { c.do(func(r *reporter) { r.share(e) }) }
func (c *console) stopping(requests int)       { c.do(func(r *reporter) { r.stopping(requests) }) }
func (c *console) exchange(x inspect.Exchange) { c.do(func(r *reporter) { r.access.add(x) }) }
func (c *console) flushQuiet(now time.Time)    { c.do(func(r *reporter) { r.access.flushQuiet(now) }) }
func (c *console) stopped(requests, sockets int, share control.Share, relayEnds bool) {
	c.do(func(r *reporter) { r.stopped(requests, sockets, share, relayEnds) })
}

func (c *console) readKeys(beforeSuspend func()) (keys <-chan byte, stop func()) {
	return c.own.readKeys(beforeSuspend)
}
