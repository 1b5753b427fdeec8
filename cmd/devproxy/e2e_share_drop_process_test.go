//go:build e2e && linux

package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dropEvent is a line that a devproxy prints with --json.
type dropEvent struct {
	Event  string
	PID    int
	URL    string    // of a share
	Listen string    // where a relay does
	Line   string    `json:"-"`
	At     time.Time `json:"-"` // when it was read here
}

// dropProcess is a devproxy in a namespace, with those that replace it.
type dropProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	end    os.Signal
	log    string // the path of its standard error
	events chan dropEvent
	pid    int          // of the one that serves
	alive  map[int]bool // relays that are ready and not stopped
	ended  bool         // waited for
}

// startDrop runs cmd until end, which the test's end sends; it must then exit
// with 0. cmd comes from a link, so its process is `ip`, which becomes the
// program itself.
func startDrop(t *testing.T, cmd *exec.Cmd, env []string, end os.Signal) *dropProcess {
	t.Helper()
	p := &dropProcess{t: t, cmd: cmd, end: end, events: make(chan dropEvent, maxEvents), alive: map[int]bool{}}
	log, err := os.CreateTemp(shortDir(t), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	out, in, err := os.Pipe() // successors write to it as well
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p.log, cmd.Env, cmd.Stdout, cmd.Stderr = log.Name(), env, in, log
	if err := cmd.Start(); err != nil {
		out.Close()
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	go p.read(out)
	t.Cleanup(p.cleanup)
	return p
}

// read sends the events until every process with this standard output has
// ended.
func (p *dropProcess) read(out *os.File) {
	defer out.Close()
	defer close(p.events)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		e := dropEvent{Line: lines.Text(), At: time.Now()}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e.Event = "not JSON"
		}
		select {
		case p.events <- e:
		default: // no reader waits for it
		}
	}
}

// await returns the next event of a kind, and leaves out those before it.
func (p *dropProcess) await(kind string) dropEvent {
	p.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e, open := <-p.events:
			if !open {
				p.t.Fatalf("%s ended while %q was waited for", p.name(), kind)
			}
			p.note(e)
			if e.Event == kind {
				return e
			}
		case <-timer.C:
			p.t.Fatalf("%s has not said %q within %v", p.name(), kind, patience)
		}
	}
}

// same wants a share that has said nothing but how its relay is: its link is
// the one that it was.
func (p *dropProcess) same() {
	p.t.Helper()
	for len(p.events) > 0 {
		if e := <-p.events; e.Event != "relay" {
			p.t.Errorf("%s says %s", p.name(), e.Line)
		}
	}
}

// note keeps count of a relay's processes.
func (p *dropProcess) note(e dropEvent) {
	switch {
	case e.Event == "ready" && e.PID != 0:
		p.pid = e.PID
		p.alive[e.PID] = true
	case e.Event == "stopped":
		delete(p.alive, e.PID)
	}
}

// name is the verb.
func (p *dropProcess) name() string {
	for i, arg := range p.cmd.Args {
		if strings.HasSuffix(arg, "devproxy") && i+1 < len(p.cmd.Args) {
			return "devproxy " + p.cmd.Args[i+1]
		}
	}
	return p.cmd.Path
}

func (p *dropProcess) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		p.t.Fatalf("%s: %v", p.name(), err)
	}
}

// kill ends it without a word.
func (p *dropProcess) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait() // killed
	p.ended = true
	clear(p.alive)
}

// wait wants the first process to end with 0.
func (p *dropProcess) wait() {
	p.t.Helper()
	if p.ended {
		return
	}
	p.ended = true
	killer := time.AfterFunc(2*patience, func() { _ = p.cmd.Process.Kill() })
	defer killer.Stop()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%s ended with %v, want exit code 0", p.name(), err)
	}
}

// cleanup ends the remaining processes, and looks for races, also in processes
// whose exit code no one sees.
func (p *dropProcess) cleanup() {
	if !p.ended {
		_ = p.cmd.Process.Signal(p.end)
	}
	for pid := range p.alive {
		if pid != p.cmd.Process.Pid {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	p.wait()
	p.drain()
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	if strings.Contains(string(text), "DATA RACE") {
		p.t.Errorf("%s has a data race", p.name())
	}
	if p.t.Failed() {
		p.t.Logf("%s, standard error:\n%s", p.name(), lastBytes(text, 32<<10))
	}
}

// drain wants standard output to be closed: by then every process has ended.
func (p *dropProcess) drain() {
	timer := time.NewTimer(2 * patience)
	defer timer.Stop()
	for {
		select {
		case e, open := <-p.events:
			if !open {
				return
			}
			p.note(e)
		case <-timer.C:
			p.t.Errorf("%s: the processes %v do not end", p.name(), p.alive)
			for pid := range p.alive {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
	}
}

func lastBytes(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

// writeCertificate makes one for a domain and the names below it, that is its
// own root, and returns it as PEM.
func writeCertificate(t *testing.T, certFile, keyFile, domain string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: domain}, DNSNames: []string{domain, "*." + domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, text := range map[string][]byte{certFile: cert, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert
}
