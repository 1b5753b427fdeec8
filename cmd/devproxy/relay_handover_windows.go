package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Windows has no SIGHUP and hands no sockets over.

type noSignal struct{}

func (noSignal) String() string { return "none" }
func (noSignal) Signal()        {}

var hangup os.Signal = noSignal{}

func relaySignals() []os.Signal { return []os.Signal{os.Interrupt} }

func (run *relayRun) hungUp() bool { return false }

func isTaken(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

func isForbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }

// handover is what a process got from the one that it replaces: nothing.
type handover struct{}

func inherit() (*handover, error) { return nil, nil }

func (*handover) sockets() *relaySockets  { return nil }
func (*handover) takeState() error        { return nil }
func (*handover) started(err error) error { return err }

func (run *relayRun) replace(context.Context, <-chan os.Signal) (done bool, err error) {
	return false, nil
}

func (run *relayRun) notify(string) {}
