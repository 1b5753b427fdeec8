package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// openTerminal returns a terminal and the person's end of it.
func openTerminal(t *testing.T) (terminal, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal, person
}

// TestAskToken reads a token that the terminal does not show.
func TestAskToken(t *testing.T) {
	terminal, person := openTerminal(t)
	type answer struct {
		token string
		err   error
	}
	asked := make(chan answer, 1)
	go func() {
		token, err := askToken(&streams{In: terminal, Err: terminal, InTTY: true}, "t.example.com")
		asked <- answer{token, err}
	}()
	for deadline := time.Now().Add(scriptPatience); ; time.Sleep(time.Millisecond) {
		state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the terminal goes on showing what is typed")
		}
	}
	if _, err := io.WriteString(person, " s3cret \n"); err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got.err != nil || got.token != "s3cret" {
		t.Errorf("the token is %q, %v", got.token, got.err)
	}
	shown := make([]byte, 1024)
	n, err := person.Read(shown)
	if text := string(shown[:n]); err != nil || !strings.HasPrefix(text, "token of t.example.com: ") || strings.Contains(text, "s3cret") {
		t.Errorf("the terminal shows %q, %v", text, err)
	}
}

// TestMayAskForToken: only when another token could help, and nobody has said one.
func TestMayAskForToken(t *testing.T) {
	unknown := fmt.Errorf("wrapped: %w", &agent.Error{Reason: agent.ReasonUnknownKey, Err: errors.New("x")})
	for _, test := range []struct {
		err   error
		token string
		tty   bool
		want  bool
	}{
		{unknown, "", true, true},
		{unknown, "", false, false},
		{unknown, "said", true, false},
		{&agent.Error{Reason: agent.ReasonRevoked, Err: errors.New("x")}, "", true, false},
		{nil, "", true, false},
	} {
		if got := mayAsk(&streams{InTTY: test.tty}, loginOptions{token: test.token}, test.err); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}
