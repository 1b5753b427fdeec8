// Package projects measures what it costs that projects share a port: a new
// connection, a start and a save, with one project and with many.
package projects

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/devproxy/devproxy/cmd/bench/harness"
)

// patience is how long a project may take to answer.
const patience = 20 * time.Second

// Run measures as the arguments say, and prints a table.
func Run(ctx context.Context, args []string) error {
	var l lab
	flags := flag.NewFlagSet("bench projects", flag.ContinueOnError)
	flags.StringVar(&l.devproxy, "devproxy", "bin/devproxy", "the devproxy to measure")
	flags.IntVar(&l.rounds, "n", 300, "connections and saves for each figure, which is their median")
	flags.IntVar(&l.many, "many", 50, "projects that run at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || l.rounds < 1 || l.many < 2 {
		return errors.New("bench projects takes flags only, at least 1 round and 2 projects; add --help for them")
	}
	var err error
	if l.dir, err = os.MkdirTemp("", "bench-projects-"); err != nil {
		return err
	}
	defer os.RemoveAll(l.dir)
	defer l.stop()
	return l.measure(ctx)
}

// lab is the projects of one run.
type lab struct {
	devproxy     string
	rounds, many int
	dir          string
	running      []*project
}

// project is a running `devproxy up`.
type project struct {
	name, folder string
	addr         string // of HTTPS
	child        *harness.Child
	status       int // what it answers
	took         time.Duration
}

// measure takes the figures next to each other, so that a change of the machine's
// speed meets all of them.
func (l *lab) measure(ctx context.Context) error {
	alone, err := l.start(ctx, "alone", "--https", ":0", "--http", ":0")
	if err != nil {
		return err
	}
	firstTook, err := l.starts(ctx, "p0")
	if err != nil {
		return err
	}
	front, err := l.start(ctx, "p0")
	if err != nil {
		return err
	}
	secondTook, err := l.starts(ctx, "p1")
	if err != nil {
		return err
	}
	second, err := l.start(ctx, "p1")
	if err != nil {
		return err
	}
	few, err := l.figures(ctx, alone, front, second)
	if err != nil {
		return err
	}
	for i := 2; i < l.many; i++ {
		if _, err := l.start(ctx, "p"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	last := l.running[len(l.running)-1]
	lastTook, err := l.starts(ctx, "last")
	if err != nil {
		return err
	}
	lots, err := l.figures(ctx, alone, front, last)
	if err != nil {
		return err
	}
	memory, err := last.child.ResidentKB()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t2 projects\t%d projects\tratio\t\n", l.many)
	row := func(title string, a, b time.Duration) {
		fmt.Fprintf(w, "%s\t%.2f ms\t%.2f ms\t%.2f\t\n", title, a.Seconds()*1e3, b.Seconds()*1e3, b.Seconds()/a.Seconds())
	}
	row("new TLS connection, port of its own", few.alone, lots.alone)
	row("new TLS connection, the front's project", few.front, lots.front)
	row("new TLS connection, another project", few.other, lots.other)
	row("request on an open connection, port of its own", few.requestAlone, lots.requestAlone)
	row("request on an open connection, another project", few.requestOther, lots.requestOther)
	row("save of another project, to its first response", few.save, lots.save)
	row("start to the first 200, one more project", secondTook, lastTook)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Printf("added by the front to a new TLS connection: %.2f ms with 2 projects, %.2f ms with %d\n",
		(few.other-few.alone).Seconds()*1e3, (lots.other-lots.alone).Seconds()*1e3, l.many)
	fmt.Printf("start to the first 200: %.2f ms for the first project, %.2f ms for the second, %.2f times as long\n",
		firstTook.Seconds()*1e3, secondTook.Seconds()*1e3, secondTook.Seconds()/firstTook.Seconds())
	fmt.Printf("memory of an idle project: %d MB resident\n", memory/1024)
	return nil
}

// startRounds is how many starts the figures for one are a median of.
const startRounds = 15

// starts starts and stops a project again and again, and returns how long it takes to
// its first response. The first start is not counted: it makes certificates.
func (l *lab) starts(ctx context.Context, name string) (time.Duration, error) {
	var took []float64
	for round := range 1 + startRounds {
		p, err := l.start(ctx, name)
		if err != nil {
			return 0, err
		}
		if round > 0 {
			took = append(took, p.took.Seconds())
		}
		p.child.Stop()
		l.running = l.running[:len(l.running)-1]
	}
	return seconds(harness.Median(took)), nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

type figures struct {
	alone, front, other        time.Duration // a new connection with one request
	requestAlone, requestOther time.Duration
	save                       time.Duration
}

func (l *lab) figures(ctx context.Context, alone, front, other *project) (figures, error) {
	took := map[string][]float64{}
	open := map[*project]*http.Client{alone: alone.client(), other: other.client()}
	note := func(what string, f func() error) error {
		start := time.Now()
		err := f()
		took[what] = append(took[what], time.Since(start).Seconds())
		return err
	}
	for i := range l.rounds {
		var errs []error
		for what, p := range map[string]*project{"alone": alone, "front": front, "other": other} {
			errs = append(errs, note(what, func() error { return p.connectAndGet(ctx) }))
		}
		for what, p := range map[string]*project{"requestAlone": alone, "requestOther": other} {
			errs = append(errs, note(what, func() error { return p.get(ctx, open[p]) }))
		}
		if i%10 == 0 {
			errs = append(errs, note("save", func() error { return other.change(ctx, open[other]) }))
		}
		if err := errors.Join(errs...); err != nil {
			return figures{}, err
		}
	}
	median := func(what string) time.Duration {
		return seconds(harness.Median(took[what]))
	}
	return figures{median("alone"), median("front"), median("other"), median("requestAlone"), median("requestOther"), median("save")}, nil
}

// start starts a project and returns at its first response. The first connection for a
// name also makes its certificate.
func (l *lab) start(ctx context.Context, name string, flags ...string) (*project, error) {
	p := &project{name: name + ".localhost", folder: filepath.Join(l.dir, name), status: http.StatusOK}
	if err := os.MkdirAll(p.folder, 0o755); err != nil {
		return nil, err
	}
	if err := p.write(); err != nil {
		return nil, err
	}
	program, err := filepath.Abs(l.devproxy)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, append([]string{"up", "--json"}, flags...)...)
	cmd.Dir = p.folder
	run := filepath.Join(l.dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), "HOME="+l.dir, "XDG_RUNTIME_DIR="+run, "DEVPROXY_HOME="+filepath.Join(l.dir, "home"))
	began := time.Now()
	if p.child, err = harness.Start("devproxy of "+name, cmd, false); err != nil {
		return nil, err
	}
	l.running = append(l.running, p)
	var ready struct{ HTTPS string }
	for ready.HTTPS == "" {
		if err := p.child.Next(&ready); err != nil {
			return nil, err
		}
	}
	go p.child.Drain()
	p.addr = ready.HTTPS
	err = p.connectAndGet(ctx)
	p.took = time.Since(began)
	return p, err
}

func (l *lab) stop() {
	for _, p := range l.running {
		p.child.Stop()
	}
}

// write saves the Proxyfile as editors do.
func (p *project) write() error {
	path := filepath.Join(p.folder, "Proxyfile")
	if err := os.WriteFile(path+"~", fmt.Appendf(nil, "host %q { respond = %d }\n", p.name, p.status), 0o600); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}

// change saves another status and returns when it is answered.
func (p *project) change(ctx context.Context, client *http.Client) error {
	p.status = http.StatusOK + http.StatusCreated - p.status
	if err := p.write(); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; {
		err := p.get(ctx, client)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// client keeps one connection open. Certificates are not what is measured.
func (p *project) client() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.addr)
		},
	}}
}

func (p *project) connectAndGet(ctx context.Context) error {
	client := p.client()
	defer client.CloseIdleConnections()
	return p.get(ctx, client)
}

func (p *project) get(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.name+"/", http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != p.status {
		return fmt.Errorf("%s answered %s instead of %d", p.name, res.Status, p.status)
	}
	return nil
}
