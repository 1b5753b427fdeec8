package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a program that runs in a namespace, or beside us.
type child struct {
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

// start starts cmd. Its standard error is kept for the error of whoever finds
// it gone, and shown with verbose.
func start(name string, cmd *exec.Cmd, verbose bool) (*child, error) {
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
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

// next reads the next line of JSON that the child writes.
func (c *child) next(into any) error {
	for c.lines.Scan() {
		line := c.lines.Bytes()
		if !bytes.HasPrefix(line, []byte("{")) {
			continue // said to people
		}
		if err := json.Unmarshal(line, into); err != nil {
			return fmt.Errorf("%s wrote %q: %w", c.name, line, err)
		}
		return nil
	}
	c.stop()
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%s ended (%s); its last words: %s", c.name, how, c.stderr.String())
}

// drain reads what the child goes on to write, so that it never waits for us.
func (c *child) drain() {
	for c.lines.Scan() {
	}
}

// stop asks the child to end, and makes it.
func (c *child) stop() {
	if c == nil {
		return
	}
	const patience = 3 * time.Second
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // on Windows nothing of this runs
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	_ = c.out.Close()
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
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
