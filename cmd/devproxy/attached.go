package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
)

// The causes of a program that is not there: by its name, or by its path.
var (
	errNoProgram = errors.New("it is not on PATH")
	errNoFile    = errors.New("there is no such file")
)

// runAttached runs a program on our own streams with these variables on top of
// ours. Ctrl-C reaches it from the terminal by itself; other signals are passed
// on. A program that ran and failed is an *exec.ExitError.
func runAttached(ctx context.Context, s *streams, argv, env []string) error {
	path, err := exec.LookPath(argv[0])
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("cannot run %s: %w", argv[0], errNoProgram)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot run %s: %w", argv[0], errNoFile)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot run %s: it is not an executable file", argv[0])
	case err != nil:
		return fmt.Errorf("cannot run %s: %w", argv[0], err)
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	cmd.Env = append(os.Environ(), env...)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		var call *fs.PathError // "fork/exec /path: exec format error"
		if errors.As(err, &call) {
			err = call.Err
		}
		return fmt.Errorf("cannot run %s: %w", argv[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			if sig != os.Interrupt {
				_ = cmd.Process.Signal(sig) // it may just have ended
			}
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return errors.Join(ctx.Err(), <-ended)
		}
	}
}
