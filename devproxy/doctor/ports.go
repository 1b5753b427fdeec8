package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/listen"
)

// statusTimeout bounds what a running devproxy takes to answer: it answers at once.
const statusTimeout = 3 * time.Second

// running are the user's running instances.
type running struct {
	statuses []control.Status // those that answer
	silent   []control.Answer // those that do not
	err      error            // they could not be listed
}

// instances asks every instance of the user for its status.
func (s *Subject) instances(ctx context.Context) running {
	s.runsOnce.Do(func() { s.found = s.askInstances(ctx) })
	return s.found
}

func (s *Subject) askInstances(ctx context.Context) (found running) {
	if s.RuntimeErr != nil {
		return running{err: s.RuntimeErr}
	}
	answers, err := control.All(ctx, s.Runtime, statusTimeout)
	if err != nil {
		return running{err: err}
	}
	for _, a := range answers {
		if a.Err == nil {
			found.statuses = append(found.statuses, a.Status)
		} else {
			found.silent = append(found.silent, a)
		}
	}
	return found
}

// runs reports whether a devproxy serves the project.
func (s *Subject) runs(ctx context.Context) bool {
	return s.Project != nil && slices.ContainsFunc(s.instances(ctx).statuses, func(status control.Status) bool {
		return status.Folder == s.Project.Folder
	})
}

func checkHTTPS(ctx context.Context, s *Subject) []Finding { return s.checkPort(ctx, true) }
func checkHTTP(ctx context.Context, s *Subject) []Finding  { return s.checkPort(ctx, false) }

// checkPort checks the port of HTTPS or HTTP that the project uses: its own if its
// Proxyfile has one, otherwise the default port.
func (s *Subject) checkPort(ctx context.Context, secure bool) []Finding {
	wanted, own := "443", ""
	if !secure {
		wanted = "80"
	}
	if s.Project != nil && secure {
		own = s.Project.HTTPS
	} else if s.Project != nil {
		own = s.Project.HTTP
	}
	wanted = cmp.Or(own, wanted)
	label := portIn(wanted)
	var on, elsewhere []string // folders of instances with the wanted port, and ports of the others
	for _, status := range s.instances(ctx).statuses {
		switch port := portOf(status, secure); {
		case port == label:
			on = append(on, status.Folder)
		case port != "":
			elsewhere = append(elsewhere, port)
		}
	}
	if len(on) > 0 {
		return []Finding{fine(usedBy(on)).about(label)}
	}
	elsewhere = slices.Compact(slices.Sorted(slices.Values(elsewhere)))
	err := listen.Try(ctx, wanted)
	if err == nil && secure && len(elsewhere) > 0 && own == "" {
		return []Finding{warning("free, but your projects run on "+list(elsewhere)+": start them again", "devproxy down --all").about(label)}
	}
	if err == nil {
		return []Finding{fine("free, and devproxy may use it").about(label)}
	}
	if unit := s.activates(err); unit != "" {
		return []Finding{fine("systemd has it, for devproxy (" + unit + ")").about(label)}
	}
	f := portFinding(err, secure, own != "")
	if secure && len(elsewhere) > 0 && f.State == Warning {
		f.Detail += "; your projects use " + list(elsewhere)
	}
	return []Finding{f.about(label)}
}

// portFinding explains why a port cannot be used. Without a port of its own, up uses
// another one.
func portFinding(err error, secure, own bool) Finding {
	bind, ok := errors.AsType[*listen.BindError](err)
	if !ok || bind.Reason == 0 {
		return unknown("can't be tested: "+failure.Text(err), "")
	}
	instead := "up uses 8443 or the next free port"
	if !secure {
		instead = "http:// addresses are not redirected"
	}
	why, fix := "this machine does not allow it", bind.Fix
	if bind.Obstacle != "" {
		why += ", and " + bind.Obstacle
	}
	if bind.Reason == listen.Taken {
		why = bind.Holder.Text + " is using it"
		if bind.Holder.Name == "systemd" {
			why, fix = "systemd, for socket activation, is using it", "systemctl list-sockets"
		}
	}
	if own {
		return fault(why+": up can't start", fix)
	}
	return warning(why+": "+instead, fix)
}

// activates returns the socket unit with which systemd starts devproxy, if systemd has the
// port of err; empty for none.
func (s *Subject) activates(err error) string {
	bind, ok := errors.AsType[*listen.BindError](err)
	if !ok || bind.Holder == nil {
		return ""
	}
	// A process of root's whose name is not shown may be systemd.
	if bind.Holder.Name != "systemd" && (bind.Holder.Name != "" || bind.Holder.User != "root") {
		return ""
	}
	folders := []string{"/etc/systemd/system"}
	if home := s.Getenv("HOME"); filepath.IsAbs(home) {
		folders = append(folders, filepath.Join(home, ".config", "systemd", "user"))
	}
	for _, folder := range folders {
		if unit := filepath.Join(folder, "devproxy.socket"); exists(unit) {
			return unit
		}
	}
	return ""
}

func usedBy(folders []string) string {
	if len(folders) == 1 {
		return "used by devproxy in " + folders[0]
	}
	return fmt.Sprintf("shared by your %d projects", len(folders))
}

// portOf is the port that an instance listens on; empty for none.
func portOf(status control.Status, secure bool) string {
	if secure {
		return portIn(status.HTTPS)
	}
	if status.HTTP == nil {
		return ""
	}
	return portIn(*status.HTTP)
}

// portIn is the port of "127.0.0.1:443", ":443" or "443".
func portIn(addr string) string {
	if _, port, err := net.SplitHostPort(addr); err == nil {
		return port
	}
	return addr
}

// checkInstances reports instances that do not answer: a stopped front keeps all
// projects waiting.
func checkInstances(ctx context.Context, s *Subject) []Finding {
	runs := s.instances(ctx)
	if runs.err != nil && !errors.Is(runs.err, fs.ErrNotExist) {
		text := failure.Text(runs.err)
		detail, fix, _ := strings.Cut(text, "; ") // the texts of runtimedir end in what to do
		return []Finding{fault(detail, fix).about("sockets")}
	}
	var all []Finding
	for _, a := range runs.silent {
		about := "pid " + strconv.Itoa(a.Holder.PID)
		if errors.Is(a.Err, context.DeadlineExceeded) {
			all = append(all, fault(fmt.Sprintf("devproxy in %s does not answer; it may have been stopped", a.Holder.Folder),
				"kill -CONT "+strconv.Itoa(a.Holder.PID)).about(about))
		} else {
			all = append(all, unknown(failure.Text(a.Err), "").about(about))
		}
	}
	return all
}
