package main

import (
	"fmt"
	"os/exec"
	"time"
)

// child is a process that is waited for.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
	err  error         // how; read after done
}

// start starts cmd. It must be called on main's thread; see main.
func start(name string, cmd *exec.Cmd) (*child, error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	c := &child{cmd: cmd, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// wait reports whether the child ended in time.
func (c *child) wait(patience time.Duration) bool {
	select {
	case <-c.done:
		return true
	case <-time.After(patience):
		return false
	}
}

// stopChildren asks the servers to stop, and makes those that do not.
func (d *demo) stopChildren() {
	for _, c := range d.children {
		interrupt(c.cmd)
	}
	const patience = 5 * time.Second
	for _, c := range d.children {
		if !c.wait(patience) {
			kill(c.cmd)
			<-c.done
		}
	}
}
