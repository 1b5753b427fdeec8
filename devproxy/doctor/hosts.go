package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/hostsfile"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// checkHosts reports lines of the hosts file that send a name of the project elsewhere,
// and what is wrong with the lines that devproxy has written.
func checkHosts(ctx context.Context, s *Subject) []Finding {
	text, err := hostsfile.Read(s.Hosts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return []Finding{unknown("can't be read: "+failure.Text(err), "")}
	}
	names, _ := s.names()
	var all []Finding
	reported := 0 // the last line
	for entry := range hostsfile.Entries(text) {
		if entry.Line != reported && elsewhere(entry.Address) && slices.Contains(names, entry.Name) {
			reported = entry.Line
			detail := fmt.Sprintf("line %d sends %s to %s", entry.Line, entry.Name, entry.Address)
			all = append(all, fault(detail, s.hostsFix(entry.Line, entry.Address)))
		}
	}
	return append(all, s.checkBlock(ctx, text)...)
}

// checkBlock reports names in the user's block that neither a running project nor this
// one has.
func (s *Subject) checkBlock(ctx context.Context, text []byte) []Finding {
	listed, err := hostsfile.Names(text, s.User)
	if err != nil {
		return []Finding{fault(failure.Text(err), "remove the lines of "+s.Hosts+` that begin with "# devproxy:", and those between them`)}
	}
	served, _ := s.names()
	runs := s.instances(ctx)
	if len(runs.statuses) > 0 {
		served = append(served, plan.OwnHost)
	}
	for _, status := range runs.statuses {
		for _, host := range status.Hosts {
			served = append(append(served, host.Name), host.Aliases...)
		}
	}
	old := slices.DeleteFunc(listed, func(name string) bool { return slices.Contains(served, name) })
	if len(old) == 0 || len(runs.silent) > 0 || runs.err != nil {
		return nil
	}
	return []Finding{warning("it has "+some(old)+", which no project serves now", "devproxy names sync")}
}

// hostsFix makes a comment of a line, if it still begins with addr.
func (s *Subject) hostsFix(line int, addr string) string {
	if runtime.GOOS != "linux" { // other systems' sed has other flags
		return fmt.Sprintf("remove line %d of %s", line, s.Hosts)
	}
	script := fmt.Sprintf(`%d{/^[[:space:]]*%s/s/^/# /}`, line, strings.ReplaceAll(addr, ".", `\.`))
	return s.asRoot("sed", "-i", script, s.Hosts)
}

// wildFix makes programs find every name below localhost.
func (s *Subject) wildFix() string {
	if runtime.GOOS == "linux" && exists("/etc/debian_version") {
		return s.asRoot("apt", "install", "libnss-myhostname")
	}
	return ""
}
