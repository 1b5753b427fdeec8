package trust

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
)

// windows is the Windows user's store, from inside WSL, where the browsers run.
// certutil.exe asks the user in its own window. Written from its documentation; not
// tried on Windows.
type windows struct {
	machine Machine
	root    Root
}

// isWSL looks at the kernel too, since sudo drops the variable. With systemd the
// second name is used.
func isWSL(m Machine) bool {
	const interop = "/proc/sys/fs/binfmt_misc/WSLInterop"
	return m.Getenv("WSL_DISTRO_NAME") != "" || exists(interop) || exists(interop+"-late")
}

// certutil runs certutil.exe. The error is the first line that it prints.
func (s *windows) certutil(ctx context.Context, action, arg string) error {
	program, err := s.machine.Find("certutil.exe")
	if err != nil {
		return err
	}
	if output, err := s.machine.Run(ctx, program, "-user", action, "Root", arg); err != nil {
		return fmt.Errorf("certutil.exe: %s", firstLine(output))
	}
	return nil
}

func (s *windows) check(ctx context.Context) Result {
	if _, err := s.machine.Find("certutil.exe"); err != nil {
		return *skipped("certutil.exe is not on PATH: WSL's interop is off")
	}
	if s.certutil(ctx, "-store", s.serial()) != nil {
		return Result{State: Untrusted, Detail: "the root is not in the Windows store"}
	}
	return Result{State: Trusted, Detail: "the Windows user's store"}
}

// serial is in whole bytes: certutil.exe does not accept an odd number of digits.
func (s *windows) serial() string { return hex.EncodeToString(s.root.Cert.SerialNumber.Bytes()) }

func (s *windows) add(ctx context.Context) *Result {
	err := s.root.withCopy(func(file string) error {
		path, err := s.machine.Run(ctx, "wslpath", "-w", file)
		if err != nil {
			return fmt.Errorf("wslpath: %s", firstLine(path))
		}
		return s.certutil(ctx, "-addstore", strings.TrimSpace(string(path)))
	})
	if err != nil {
		return failed(err)
	}
	return nil
}

func (s *windows) remove(ctx context.Context) Result {
	if s.root.Cert == nil {
		return *skipped(unknownRoot)
	}
	if known := s.check(ctx); known.State != Trusted {
		return Result{State: known.State}
	}
	if err := s.certutil(ctx, "-delstore", s.serial()); err != nil {
		return *failed(err)
	}
	return Result{State: Untrusted, Changed: true}
}
