package trust

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
)

// windows is the Windows user's store, from inside WSL, where the browsers run.
// certutil.exe asks the user in a window of its own. Written from its
// documentation; not tried on Windows.
type windows struct {
	machine Machine
	root    Root
}

// isWSL asks the kernel too, since sudo drops the variable. With systemd the
// second name is the one.
func isWSL(m Machine) bool {
	const interop = "/proc/sys/fs/binfmt_misc/WSLInterop"
	return m.Getenv("WSL_DISTRO_NAME") != "" || exists(interop) || exists(interop+"-late")
}

func (s *windows) Name() string { return "windows" }

func (s *windows) certutil() (string, *Result) {
	path, err := s.machine.Find("certutil.exe")
	if err != nil {
		return "", &Result{Store: s.Name(), State: Skipped, Detail: "certutil.exe is not on PATH: WSL's interop is off"}
	}
	return path, nil
}

func (s *windows) Check(ctx context.Context) Result {
	certutil, missing := s.certutil()
	if missing != nil {
		return *missing
	}
	if _, err := s.machine.Run(ctx, certutil, "-user", "-store", "Root", s.serial()); err != nil {
		return Result{Store: s.Name(), State: Untrusted, Detail: "the root is not in the Windows store", Fix: "devproxy trust --store windows"}
	}
	return Result{Store: s.Name(), State: Trusted, Detail: "the Windows user's store"}
}

// serial is in whole bytes: certutil.exe takes no odd number of digits.
func (s *windows) serial() string { return hex.EncodeToString(s.root.Cert.SerialNumber.Bytes()) }

func (s *windows) Install(ctx context.Context) Result {
	known := s.Check(ctx)
	if known.State != Untrusted {
		return known
	}
	certutil, _ := s.certutil()
	err := s.root.withCopy(func(file string) error {
		path, err := s.machine.Run(ctx, "wslpath", "-w", file)
		if err != nil {
			return fmt.Errorf("wslpath: %s", firstLine(path))
		}
		if output, err := s.machine.Run(ctx, certutil, "-user", "-addstore", "Root", strings.TrimSpace(string(path))); err != nil {
			return fmt.Errorf("certutil.exe: %s", firstLine(output))
		}
		return nil
	})
	if err != nil {
		return Result{Store: s.Name(), State: Failed, Detail: err.Error()}
	}
	result := s.Check(ctx)
	result.Changed = true
	return result
}

func (s *windows) Uninstall(ctx context.Context) Result {
	if s.root.Cert == nil {
		return Result{Store: s.Name(), State: Skipped, Detail: unknownRoot}
	}
	known := s.Check(ctx)
	if known.State != Trusted {
		known.Detail, known.Fix = "", ""
		return known
	}
	certutil, _ := s.certutil()
	if output, err := s.machine.Run(ctx, certutil, "-user", "-delstore", "Root", s.serial()); err != nil {
		return Result{Store: s.Name(), State: Failed, Detail: "certutil.exe: " + firstLine(output)}
	}
	return Result{Store: s.Name(), State: Untrusted, Changed: true}
}
