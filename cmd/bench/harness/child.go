// Package harness runs the programs that a benchmark measures and measures the
// resources that they use.
package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// Child is a program that a benchmark runs. Create it with Start.
type Child struct {
	name   string
	cmd    *exec.Cmd
	out    *os.File
	lines  *bufio.Scanner
	stderr tail
	done   chan struct{} // closed once it has ended
	err    error         // how; read after done
}

// maxLine is a line of a child's standard output: a result with its errors.
const maxLine = 1 << 20

// Start starts cmd. The end of its standard error is kept for the error that
// Next returns when the program ends; verbose shows all of it. On Linux, a program
// that is not stopped ends with the process that started it.
func Start(name string, cmd *exec.Cmd, verbose bool) (*Child, error) {
	c := &Child{name: name, cmd: cmd, done: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	cmd.Stdout, cmd.Stderr = in, &c.stderr
	if verbose {
		cmd.Stderr = io.MultiWriter(&c.stderr, os.Stderr)
	}
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		out.Close()
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	c.out, c.lines = out, bufio.NewScanner(out)
	c.lines.Buffer(nil, maxLine)
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// PID is the process ID of the child.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Next decodes the next line of JSON that the child writes into into. When the
// child has ended, the error contains the end of its standard error.
func (c *Child) Next(into any) error {
	for c.lines.Scan() {
		line := c.lines.Bytes()
		if !bytes.HasPrefix(line, []byte("{")) {
			continue // for people
		}
		if err := json.Unmarshal(line, into); err != nil {
			return fmt.Errorf("%s wrote %q: %w", c.name, line, err)
		}
		return nil
	}
	c.Stop()
	return fmt.Errorf("%s ended (%s); the end of its output: %s", c.name, c.cmd.ProcessState, c.stderr.String())
}

// Drain reads and drops the child's output until it ends, so that the child
// never waits for its reader.
func (c *Child) Drain() {
	for c.lines.Scan() {
	}
}

// Stop sends SIGTERM, waits 3 s, then kills the child. It returns when the
// child has ended. Stopping a nil or an ended Child does nothing.
func (c *Child) Stop() {
	if c == nil {
		return
	}
	const patience = 3 * time.Second
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // benchmarks do not run on Windows
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	_ = c.out.Close()
}

// tail keeps the last bytes written to it. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// Signal sends a signal to the child.
func (c *Child) Signal(sig os.Signal) error { return c.cmd.Process.Signal(sig) }

// Done is closed once the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is how the child ended: nil for exit status 0, or when it still runs.
func (c *Child) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Last is the end of the child's standard error.
func (c *Child) Last() string { return c.stderr.String() }

// CPU is the processor time that the child and pids have used, all threads together.
// It is exact to 10 ms.
func (c *Child) CPU(pids ...int) (time.Duration, error) {
	total := 0.0
	for _, pid := range append(pids, c.PID()) {
		stat, err := readProc(c, pid, procfs.Proc.Stat)
		if err != nil {
			return 0, err
		}
		total += stat.CPUTime()
	}
	return time.Duration(total * float64(time.Second)), nil
}

// ResidentKB is the resident memory of the child and of pids, in KB.
func (c *Child) ResidentKB(pids ...int) (int64, error) {
	total := int64(0)
	for _, pid := range append(pids, c.PID()) {
		status, err := readProc(c, pid, procfs.Proc.NewStatus)
		if err != nil {
			return 0, err
		}
		total += int64(status.VmRSS >> 10)
	}
	return total, nil
}

// DescriptorLimit is how many files the child may open.
func (c *Child) DescriptorLimit() (int64, error) {
	limits, err := readProc(c, c.PID(), procfs.Proc.Limits)
	return int64(limits.OpenFiles), err
}

func readProc[T any](c *Child, pid int, read func(procfs.Proc) (T, error)) (value T, err error) {
	proc, err := procfs.NewProc(pid)
	if err == nil {
		value, err = read(proc)
	}
	if err != nil {
		err = fmt.Errorf("cannot read what %s uses: %w", c.name, err)
	}
	return value, err
}

// Median is the middle of values, the mean of the two in the middle of an even
// number, and 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Quantile is of sorted values; 0 of none.
func Quantile[T any](sorted []T, q float64) (value T) {
	if len(sorted) > 0 {
		value = sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
	}
	return value
}
