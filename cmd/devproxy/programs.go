package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/devproxy/devproxy/devproxy/programs"
)

// program is how a person calls devproxy: by its name if the shell finds it, else by
// the path of this file.
var program = sync.OnceValue(func() string {
	const name = "devproxy"
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	path, err := os.Executable()
	if err != nil {
		return name
	}
	if dir, err := os.Getwd(); err == nil && filepath.Dir(dir) != dir {
		if relative, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(relative) {
			path = relative
			if !strings.ContainsRune(relative, filepath.Separator) {
				path = "." + string(filepath.Separator) + relative
			}
		}
	}
	if strings.ContainsFunc(path, func(r rune) bool {
		return strings.ContainsRune(" \t'\"\\$`&|;<>()*?[]#~=%!", r) && r != filepath.Separator
	}) {
		path = quoteSh(path)
	}
	return path
})

// command is a devproxy command in a text: the name with the verb after it.
var command = regexp.MustCompile(`\bdevproxy( (?:init|up|share|allow|deny|check|fmt|explain|hash-password|trust|untrust|env|names|doctor|open|status|down|logs|restart|relay|version|completion|--help)\b)`)

// typed returns text with its commands as they can be typed here.
func typed(text string) string {
	if program() == "devproxy" {
		return text
	}
	return command.ReplaceAllStringFunc(text, func(found string) string { return program() + strings.TrimPrefix(found, "devproxy") })
}

// The reasons why a program cannot be run by its name, or by its path.
var (
	errNoProgram = errors.New("it is not on PATH")
	errNoFile    = errors.New("the file does not exist")
)

// runAttached runs a program that the user has named, as a shell would, on our own
// streams with additional variables. Ctrl-C reaches it through the terminal; other signals
// are passed on. If the program ran and failed, the error is an *exec.ExitError.
func runAttached(ctx context.Context, s *streams, argv, env []string) error {
	path, err := exec.LookPath(argv[0])
	return runFound(ctx, s, path, err, argv, append(os.Environ(), env...))
}

// runAsRoot runs a command of AsRoot on our own streams. It, and the programs that it
// runs, are found in path.
func runAsRoot(ctx context.Context, s *streams, path programs.Path, argv []string) error {
	found, err := path.Find(argv[0])
	return runFound(ctx, s, found, err, argv, path.Environment(os.Environ()))
}

// runFound runs the program at path, unless err says why it was not found.
func runFound(ctx context.Context, s *streams, path string, err error, argv, env []string) error {
	switch {
	case errors.Is(err, exec.ErrNotFound):
		err = errNoProgram
	case errors.Is(err, fs.ErrNotExist):
		err = errNoFile
	case errors.Is(err, fs.ErrPermission):
		err = errors.New("it is not an executable file")
	}
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", argv[0], err)
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	cmd.Env = env
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		if call, ok := errors.AsType[*fs.PathError](err); ok { // "fork/exec /path: exec format error"
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
				_ = cmd.Process.Signal(sig) // it may have just ended
			}
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return errors.Join(ctx.Err(), <-ended)
		}
	}
}

// openBrowser opens url in the browser of the desktop. It returns when that is done
// or has failed, or ctx ends. A browser that the desktop has to start may keep it for
// as long as it runs.
func openBrowser(ctx context.Context, url string) error {
	argv, input := []string{"xdg-open", url}, ""
	switch runtime.GOOS {
	case "darwin":
		// Other users can read the arguments of programs there, and a key in url with
		// them. This was not tried.
		argv, input = []string{"osascript", "-"}, fmt.Sprintf("open location %q\n", url)
	case "windows":
		argv = []string{"rundll32", "url.dll,FileProtocolHandler", url}
	}
	path := programPath()
	found, err := path.Find(argv[0])
	if err != nil {
		return fmt.Errorf("cannot open a browser: %s is not installed", argv[0])
	}
	cmd := exec.Command(found, argv[1:]...)
	cmd.Env = path.Environment(os.Environ())
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot open a browser: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the opener, which detaches or is the browser
	select {
	case err := <-ended:
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			return fmt.Errorf("cannot open a browser: %s found none (%w)", argv[0], failed)
		}
		return err
	case <-ctx.Done():
		return nil
	}
}
