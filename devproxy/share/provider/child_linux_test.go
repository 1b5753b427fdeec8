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

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// isAlive reports whether a process runs: one that no one has waited for does not.
func isAlive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // proc(5): after the name in brackets comes the state
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

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
	behind := filepath.Join(t.TempDir(), "behind")
	if err := os.Mkdir(behind, 0o700); err != nil {
		t.Fatal(err)
	}
	installFake(t, behind, "cloudflared")
	script := filepath.Join(s.bin, "cloudflared")
	text, err := os.ReadFile(filepath.Join(s.bin, "scenario.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(behind, "scenario.json"), text, 0o600)
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
	err = os.WriteFile(script, []byte("#!/bin/sh\n"+filepath.Join(behind, "cloudflared")+" \"$@\"\nexit 1\n"), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	s.start(fastTimes, echo)
	s.up()
	bin := s.bin
	s.bin = behind
	starts := s.starts()
	if len(starts) != 1 || strings.HasPrefix(starts[0].Args[0], bin) {
		t.Fatalf("%+v", starts)
	}
	s.stop()
	err = <-s.ended
	s.ended <- err
	s.untilGone("start-1-of-fake.trycloudflare.com")
}
