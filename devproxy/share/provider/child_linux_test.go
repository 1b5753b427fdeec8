package provider

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// sharer is a process that shares until it is killed, and says when it is up.
func sharer() int {
	carrier := cloudflare().New(Options{
		Claim:  tunnel.Claim{Hosts: []string{""}},
		Getenv: os.Getenv,
		Notify: func(state agent.State) {
			if state.Phase == agent.Up {
				fmt.Println("up")
			}
		},
	})
	fmt.Println(carrier.Run(context.Background()))
	return 1
}

// TestCloudflaredDiesWithUs kills a process that shares.
func TestCloudflaredDiesWithUs(t *testing.T) {
	t.Parallel()
	s := setup(t, scenario{IgnoresTerm: true})
	installFake(t, s.bin, "sharer")
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.bin, "sharer"))
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("%q %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	s.untilGone("start-1-of-fake.trycloudflare.com")
}

// TestChildGroup is a program that is a script, and so two processes.
func TestChildGroup(t *testing.T) {
	t.Parallel()
	s := setup(t, scenario{IgnoresTerm: true})
	real := filepath.Join(t.TempDir(), "real")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	installFake(t, real, "cloudflared")
	script := filepath.Join(s.bin, "cloudflared")
	text, err := os.ReadFile(filepath.Join(s.bin, "scenario.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(real, "scenario.json"), text, 0o600)
	}
	if err == nil {
		err = os.Remove(script)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The lock keeps the descriptor out of programs that start meanwhile, with
	// which the script could not be run (ETXTBSY).
	syscall.ForkLock.RLock()
	err = os.WriteFile(script, []byte("#!/bin/sh\n"+filepath.Join(real, "cloudflared")+" \"$@\"\nexit 1\n"), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	s.start(patient, echo)
	s.up()
	bin := s.bin
	s.bin = real
	starts := s.starts()
	if len(starts) != 1 || strings.HasPrefix(starts[0].Args[0], bin) {
		t.Fatalf("%+v", starts)
	}
	s.stop()
	err = <-s.ended
	s.ended <- err
	for deadline := time.Now().Add(time.Minute); isAlive(starts[0].PID); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the program behind the script is left")
		}
	}
}
