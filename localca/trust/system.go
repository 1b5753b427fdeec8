package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/smallstep/truststore"
)

// system is the operating system's store, which curl, Go and OpenSSL read. It
// is written through smallstep/truststore, which knows the distributions,
// macOS and Windows; only as root, so that it never runs sudo by itself.
type system struct {
	machine Machine
	root    Root
}

// prefix begins the name of our file in the system's folder.
const prefix = "devproxy"

func (s *system) Name() string { return "system" }

func (s *system) Check(ctx context.Context) Result {
	clients, failures := s.prove(ctx)
	switch {
	case len(failures) > 0:
		return Result{Store: s.Name(), State: Untrusted, Detail: "not accepted by " + strings.Join(failures, ", "), Fix: "devproxy trust --store system"}
	case len(clients) == 0:
		return Result{Store: s.Name(), State: Skipped, Detail: "nothing here can prove it"}
	}
	return Result{Store: s.Name(), State: Trusted, Detail: strings.Join(clients, ", ") + ": handshake ok", Places: bundles()}
}

func (s *system) Install(ctx context.Context) Result {
	if known := s.Check(ctx); known.State == Trusted {
		return known
	}
	if refusal := s.refuse("trust"); refusal != nil {
		return *refusal
	}
	err := s.root.withCopy(func(path string) error { return truststore.InstallFile(path, truststore.WithPrefix(prefix)) })
	if err != nil {
		return Result{Store: s.Name(), State: Failed, Detail: describe(err)}
	}
	result := s.Check(ctx)
	result.Changed = true
	return result
}

// Uninstall looks for files rather than at the proof: a root that one client
// accepts and another does not, or an older one, is to go too.
func (s *system) Uninstall(ctx context.Context) Result {
	accept, _ := s.prove(ctx)
	stale := anchors()
	if s.root.Cert == nil && platformVerifies() {
		return Result{Store: s.Name(), State: Skipped, Detail: unknownRoot}
	}
	if len(accept) == 0 && len(stale) == 0 {
		return Result{Store: s.Name(), State: Untrusted}
	}
	if refusal := s.refuse("untrust"); refusal != nil {
		return *refusal
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return Result{Store: s.Name(), State: Failed, Detail: err.Error(), Places: stale}
		}
	}
	if err := s.withdraw(ctx); err != nil {
		return Result{Store: s.Name(), State: Failed, Detail: describe(err)}
	}
	if accept, _ = s.prove(ctx); len(accept) > 0 {
		return Result{Store: s.Name(), State: Failed, Detail: "still accepted by " + strings.Join(accept, ", ")}
	}
	return Result{Store: s.Name(), State: Untrusted, Changed: true}
}

// withdraw runs the system's own update, after all of ours are gone.
func (s *system) withdraw(ctx context.Context) error {
	if s.root.Cert == nil {
		return update(ctx, s.machine)
	}
	return s.root.withCopy(func(path string) error { return truststore.UninstallFile(path, truststore.WithPrefix(prefix)) })
}

// refuse is the result where this process cannot write to the store.
func (s *system) refuse(verb string) *Result {
	if exists("/etc/NIXOS") {
		return &Result{Store: s.Name(), State: Skipped, Detail: "NixOS makes the store from its configuration",
			Fix: fmt.Sprintf("security.pki.certificateFiles = [ %q ];", s.root.File)}
	}
	if !s.machine.Root {
		refusal := needsRoot(s.Name(), "the system store needs root", s.machine.SystemCommand(verb))
		return &refusal
	}
	// truststore would write the file, and only then find that nothing reads it.
	if program, err := updateProgram(s.machine); err != nil {
		return &Result{Store: s.Name(), State: Failed, Detail: program + " is not on PATH", Fix: "install the package ca-certificates, or add /usr/sbin to PATH"}
	}
	return nil
}

// describe is truststore's error with what the program it ran had to say.
func describe(err error) string {
	var failed *truststore.CmdError
	if errors.As(err, &failed) {
		return fmt.Sprintf("%s: %v: %s", strings.Join(failed.Cmd().Args, " "), failed.Err(), firstLine(failed.Out()))
	}
	return err.Error()
}

// prove makes each client that is here connect, with nothing but the system's
// store to trust. It returns those that accept, and those that refuse.
func (s *system) prove(ctx context.Context) (accept, failures []string) {
	if s.machine.Handshake == nil {
		return nil, nil
	}
	addr, stop, err := s.machine.Handshake(ctx)
	if err != nil {
		return nil, nil // without loopback there is nothing to serve either
	}
	defer stop()
	for _, client := range []struct {
		name string
		try  func(context.Context, string) (bool, error)
	}{{"curl", s.curl}, {"Go", s.goClient}, {"OpenSSL", s.openssl}} {
		here, err := client.try(ctx, addr)
		switch {
		case !here:
		case err == nil:
			accept = append(accept, client.name)
		default:
			failures = append(failures, client.name)
		}
	}
	return accept, failures
}

func (s *system) curl(ctx context.Context, addr string) (bool, error) {
	curl, err := s.machine.Find("curl")
	if err != nil {
		return false, nil
	}
	_, port, _ := net.SplitHostPort(addr) // our own listener's
	// -q: a .curlrc may say --insecure or name other roots.
	_, err = s.machine.Run(ctx, curl, "-q", "-sS", "--noproxy", "*", "--connect-to", "localhost:"+port+":"+addr, "https://localhost:"+port+"/")
	return true, err
}

func (s *system) openssl(ctx context.Context, addr string) (bool, error) {
	openssl, err := s.machine.Find("openssl")
	if err != nil || platformVerifies() { // there it reads files of its own
		return false, nil
	}
	_, err = s.machine.Run(ctx, openssl, "s_client", "-connect", addr, "-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error", "-brief")
	return true, err
}

// platformVerifies reports whether certificates are verified by the operating
// system rather than by each library from files (crypto/x509, root_darwin.go
// and root_windows.go). Not tried there.
func platformVerifies() bool { return runtime.GOOS == "darwin" || runtime.GOOS == "windows" }

// goClient verifies as crypto/x509 does, from the same files. Go's own pool is
// read once a process, so that it would not see what was just installed.
func (s *system) goClient(ctx context.Context, addr string) (bool, error) {
	config := &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12} // nil roots: the platform is asked
	if !platformVerifies() {
		config.RootCAs = x509.NewCertPool()
		found := false
		for _, path := range bundles() {
			if text, err := os.ReadFile(path); err == nil {
				found = config.RootCAs.AppendCertsFromPEM(text)
			}
		}
		if !found {
			return false, nil
		}
	}
	d := tls.Dialer{Config: config}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return true, err
	}
	return true, conn.Close()
}
