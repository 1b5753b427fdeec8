package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/failure"
)

// With these set the test binary is another process: see runRole.
const (
	roleVariable    = "CONTROL_TEST_ROLE"
	runtimeVariable = "CONTROL_TEST_RUNTIME"
	folderVariable  = "CONTROL_TEST_FOLDER"
)

// runRole is its own process. "up" waits for a byte on standard input, acquires
// the folder, says so, and serves until it is told to go down. "connect" says
// whether somebody else's instance answers.
func runRole(role string) int {
	dir, folder := os.Getenv(runtimeVariable), os.Getenv(folderVariable)
	var err error
	switch role {
	case "up":
		err = runUp(dir, folder)
	case "connect":
		err = runConnect(base(dir, folder) + socketSuffix)
	default:
		err = errors.New("no role " + role)
	}
	if err != nil {
		fmt.Println(err)
		if failed, ok := errors.AsType[*failure.Error](err); ok {
			fmt.Println(failed.Fix)
		}
		return 1
	}
	return 0
}

func runUp(dir, folder string) error {
	os.Stdin.Read(make([]byte, 1))
	in, err := Acquire(dir, folder)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fmt.Println("acquired")
	err = in.Serve(ctx, Handler(Verbs{Status: func() Status { return Status{PID: os.Getpid(), Folder: folder} }, Down: cancel}), nil)
	return errors.Join(err, in.Close())
}

func runConnect(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /status HTTP/1.0\r\n\r\n")
	if answer, _ := io.ReadAll(conn); len(answer) > 0 {
		return fmt.Errorf("answered: %s", answer)
	}
	fmt.Println("refused")
	return nil
}

// process is another devproxy.
type process struct {
	*exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func start(t *testing.T, role, dir, folder string) *process {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, runtimeVariable+"="+dir, folderVariable+"="+folder)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return &process{cmd, stdin, bufio.NewScanner(stdout)}
}

// line returns the next line of the process; "" when it has ended.
func (p *process) line() string {
	p.lines.Scan()
	return p.lines.Text()
}

// up is another process that runs folder.
func up(t *testing.T, dir, folder string) *process {
	t.Helper()
	p := start(t, "up", dir, folder)
	p.stdin.Close()
	if line := p.line(); line != "acquired" {
		t.Fatalf("the other process says %q", line)
	}
	eventually(t, "it serves", func() bool {
		_, err := Dial(dir, folder)
		return err == nil
	})
	return p
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	must(t, p.Process.Kill())
	if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the killed process ended with %v", err)
	}
}
