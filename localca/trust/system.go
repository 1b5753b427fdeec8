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
// is written through smallstep/truststore, which knows the distributions, macOS
// and Windows, and only as root, so that truststore never runs sudo.
type system struct {
	machine Machine
	root    Root
}

// prefix begins the name of the root's file in the system's folder, before its serial
// number. A domain has no "_", so no two domains share files.
func (r Root) prefix() string {
	if r.Domain != "" {
		return "devproxy_" + r.Domain + "_"
	}
	return "devproxy"
}

func (s *system) check(ctx context.Context) Result {
	accept, refuse := s.prove(ctx)
	switch {
	case len(refuse) > 0:
		return Result{State: Untrusted, Detail: "not accepted by " + strings.Join(refuse, ", ")}
	case len(accept) == 0:
		return *skipped("nothing here can prove it")
	}
	return Result{State: Trusted, Detail: strings.Join(accept, ", ") + ": handshake ok", Places: bundles()}
}

func (s *system) add(context.Context) *Result {
	if refusal := s.refuse("trust"); refusal != nil {
		return refusal
	}
	err := s.root.withCopy(func(path string) error { return truststore.InstallFile(path, truststore.WithPrefix(s.root.prefix())) })
	if err != nil {
		return failed(withOutput(err))
	}
	return nil
}

// remove looks for files as well as for the proof: it also removes an older root, and
// one that only some clients accept.
func (s *system) remove(ctx context.Context) Result {
	accept, _ := s.prove(ctx)
	stale := anchors(s.root.prefix())
	if s.root.Cert == nil && platformVerifies() {
		return *skipped(unknownRoot)
	}
	if len(accept) == 0 && len(stale) == 0 {
		return Result{State: Untrusted}
	}
	if refusal := s.refuse("untrust"); refusal != nil {
		return *refusal
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return *failed(err, stale...)
		}
	}
	if err := s.withdraw(ctx); err != nil {
		return *failed(withOutput(err))
	}
	if accept, _ = s.prove(ctx); len(accept) > 0 {
		return *failed(errors.New("still accepted by " + strings.Join(accept, ", ")))
	}
	return Result{State: Untrusted, Changed: true}
}

// withdraw runs the system's own update after all our files were removed.
func (s *system) withdraw(ctx context.Context) error {
	if s.root.Cert == nil {
		return update(ctx, s.machine)
	}
	return s.root.withCopy(func(path string) error { return truststore.UninstallFile(path, truststore.WithPrefix(s.root.prefix())) })
}

// refuse is the result where this process cannot write to the store.
func (s *system) refuse(verb string) *Result {
	if exists("/etc/NIXOS") {
		return &Result{State: Skipped, Detail: "NixOS builds the store from its configuration",
			Fix: fmt.Sprintf("security.pki.certificateFiles = [ %q ];", s.root.File)}
	}
	if !s.machine.Root {
		return needsRoot("the system store needs root", s.machine.SystemCommand(verb))
	}
	// truststore would write the file, and only then find that nothing reads it.
	if program, err := updateProgram(s.machine); err != nil {
		return &Result{State: Failed, Detail: program + " is not on PATH", Fix: "install the package ca-certificates, or add /usr/sbin to PATH"}
	}
	return nil
}

// withOutput adds the output of the program that truststore ran to its error.
func withOutput(err error) error {
	if failed, ok := errors.AsType[*truststore.CmdError](err); ok {
		return fmt.Errorf("%s: %w: %s", strings.Join(failed.Cmd().Args, " "), failed.Err(), firstLine(failed.Out()))
	}
	return err
}

// prove makes each installed client connect, with only the system's store to trust. It
// returns those that accept and those that refuse the certificate.
func (s *system) prove(ctx context.Context) (accept, refuse []string) {
	if s.machine.Handshake == nil {
		return nil, nil
	}
	addr, stop, err := s.machine.Handshake(ctx)
	if err != nil {
		return nil, nil // without loopback nothing can be served either
	}
	defer stop()
	for _, client := range []struct {
		name string
		try  func(context.Context, string) (installed bool, err error)
	}{{"curl", s.curl}, {"Go", s.goClient}, {"OpenSSL", s.openssl}} {
		installed, err := client.try(ctx, addr)
		switch {
		case !installed:
		case err == nil:
			accept = append(accept, client.name)
		default:
			refuse = append(refuse, client.name)
		}
	}
	return accept, refuse
}

func (s *system) curl(ctx context.Context, addr string) (installed bool, err error) {
	curl, err := s.machine.Find("curl")
	if err != nil {
		return false, nil
	}
	_, port, _ := net.SplitHostPort(addr) // our own listener's
	// -q: a .curlrc may say --insecure or name other roots.
	_, err = s.machine.Run(ctx, curl, "-q", "-sS", "--noproxy", "*", "--connect-to", s.root.host()+":"+port+":"+addr, "https://"+s.root.host()+":"+port+"/")
	return true, err
}

func (s *system) openssl(ctx context.Context, addr string) (installed bool, err error) {
	openssl, err := s.machine.Find("openssl")
	if err != nil || platformVerifies() { // there it reads its own files
		return false, nil
	}
	_, err = s.machine.Run(ctx, openssl, "s_client", "-connect", addr, "-servername", s.root.host(), "-verify_hostname", s.root.host(), "-verify_return_error", "-brief")
	return true, err
}

// platformVerifies reports whether the operating system verifies certificates, and not
// each library from files (crypto/x509, root_darwin.go and root_windows.go). Not tried
// there.
func platformVerifies() bool { return runtime.GOOS == "darwin" || runtime.GOOS == "windows" }

// goClient verifies as crypto/x509 does, from the same files. Go reads its own
// pool once per process, so it would not see a root that was just installed.
func (s *system) goClient(ctx context.Context, addr string) (installed bool, err error) {
	config := &tls.Config{ServerName: s.root.host(), MinVersion: tls.VersionTLS12} // nil roots: the platform verifies
	if !platformVerifies() {
		config.RootCAs = x509.NewCertPool()
		if text, _ := publicRoots(); !config.RootCAs.AppendCertsFromPEM(text) {
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
