package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

const (
	// installPatience is for npm on a slow line, readyPatience for a server
	// that starts on a slow machine.
	installPatience = 5 * time.Minute
	readyPatience   = time.Minute
)

func (d *demo) startAPI(ctx context.Context) (err error) {
	binary := filepath.Join(d.tmp, "api")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = filepath.Join(d.dir, "api")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("cannot build the API: %w", err)
	}
	if d.api, err = freePort(); err != nil {
		return err
	}
	return d.startServer(ctx, "api", exec.Command(binary), d.api)
}

// startWeb starts Vite, whose packages are installed the first time. An error
// is no reason to give up: the page needs no bundler.
func (d *demo) startWeb(ctx context.Context) error {
	if d.noNode {
		return errors.New("left out by --no-node")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return errors.New("it is not installed")
	}
	dir := filepath.Join(d.dir, "web")
	if err := install(ctx, dir); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	// Not through npm, which would be one more process to stop.
	cmd := exec.Command(node, filepath.Join("node_modules", "vite", "bin", "vite.js"), "--clearScreen=false")
	cmd.Dir = dir
	if err := d.startServer(ctx, "vite", cmd, port); err != nil {
		return err
	}
	d.web = port
	return nil
}

// install fetches Vite when it is not there, or not the one of the lock file.
func install(ctx context.Context, dir string) error {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	done, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err == nil && !done.ModTime().Before(lock.ModTime()) {
		return nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("npm is not installed")
	}
	say("npm ci in %s, the first time only", dir)
	ctx, cancel := context.WithTimeout(ctx, installPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm ci failed: %w", err)
	}
	return nil
}

// startServer starts cmd with PORT set and waits until it accepts connections.
// Its output goes to a log that is shown when it fails.
func (d *demo) startServer(ctx context.Context, name string, cmd *exec.Cmd, port uint16) error {
	logged, err := os.Create(filepath.Join(d.tmp, name+".log"))
	if err != nil {
		return err
	}
	defer logged.Close()
	cmd.Env = append(os.Environ(), "PORT="+strconv.Itoa(int(port)), "NO_COLOR=1")
	cmd.Stdout, cmd.Stderr = logged, logged
	apart(cmd)
	server, err := start(name, cmd)
	if err != nil {
		return err
	}
	d.children = append(d.children, server)
	deadline := time.After(readyPatience)
	for !accepts(port) {
		select {
		case <-server.done:
			text, _ := os.ReadFile(logged.Name())
			return fmt.Errorf("%s ended at once (%s):\n%s", name, cmd.ProcessState, text)
		case <-deadline:
			return fmt.Errorf("%s does not listen on :%d after %v", name, port, readyPatience)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// freePort is a port that is free on both loopback addresses now.
func freePort() (uint16, error) {
	for range 20 {
		four, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := four.Addr().(*net.TCPAddr).Port
		six, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(port)))
		four.Close()
		if err == nil {
			six.Close()
		}
		if err == nil || !hasIPv6() {
			return uint16(port), nil
		}
	}
	return 0, errors.New("no port is free on both 127.0.0.1 and ::1")
}

func hasIPv6() bool {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// accepts reports whether something listens on the port, on either address:
// Vite listens on the address that "localhost" resolves to.
func accepts(port uint16) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))), time.Second)
		if err == nil {
			conn.Close()
			return true
		}
	}
	return false
}
