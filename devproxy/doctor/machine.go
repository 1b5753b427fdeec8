package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/devproxy/devproxy/localca"
)

// checkClock compares the clock with what was there before: the sources of this program,
// the start of the root. A certificate is valid only between its dates.
func checkClock(_ context.Context, s *Subject) []Finding {
	now := time.Now()
	fix := "set the clock"
	if runtime.GOOS == "linux" {
		fix = s.asRoot("timedatectl", "set-ntp", "true")
	}
	ca, err := s.CA()
	if broken, ok := errors.AsType[*localca.StoreError](err); ok && broken.Op == "use" {
		return []Finding{fault("it says "+date(now)+", and the CA is valid only later", fix)}
	}
	if now.Before(s.Built) {
		return []Finding{fault("it says "+date(now)+", and this devproxy was built later", fix)}
	}
	if err != nil {
		return []Finding{fine(date(now) + ", " + now.Format("15:04"))}
	}
	leaf, err := ca.Issue("localhost")
	if err != nil {
		return []Finding{fault("no certificate can be issued: "+err.Error(), "devproxy trust")}
	}
	if now.Before(leaf.Leaf.NotBefore) || now.After(leaf.Leaf.NotAfter) {
		return []Finding{fault("it says "+date(now)+", when certificates are not valid", fix)}
	}
	if made, err := os.Stat(ca.RootFile()); err == nil && made.ModTime().After(now.Add(time.Hour)) {
		return []Finding{warning(fmt.Sprintf("it says %s, and the CA was written on %s", date(now), date(made.ModTime())), fix)}
	}
	return []Finding{fine(date(now) + ", " + now.Format("15:04"))}
}

// checkProxy looks for a proxy in the environment that gets the requests for the
// project's names. Its address may have a password, so no value is shown.
func checkProxy(_ context.Context, s *Subject) []Finding {
	const notChecked = "; the browser's own (PAC) isn't checked"
	var set []string
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		if s.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return []Finding{fine("none set" + notChecked)}
	}
	var exempt []string // the variables that are set
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if s.Getenv(name) != "" {
			exempt = append(exempt, name)
		}
	}
	bad := len(exempt) == 0
	for _, name := range exempt {
		bad = bad || !exempts(s.Getenv(name), s.names)
	}
	if !bad {
		return []Finding{fine(exempt[0] + " covers the names" + notChecked)}
	}
	if len(exempt) == 0 {
		exempt = []string{"NO_PROXY", "no_proxy"}
	}
	fix := "export"
	for _, name := range exempt {
		fix += fmt.Sprintf(` %s="$%[1]s,localhost,127.0.0.1,::1"`, name)
	}
	return []Finding{fault(set[0]+" is set, and NO_PROXY does not have localhost", fix)}
}

// exempts reports whether NO_PROXY has localhost, or each of the project's names. curl,
// Go and Python read an entry as the end of a name.
func exempts(list string, names func() (plain, wild []string)) bool {
	has := func(name string) bool {
		for entry := range strings.SplitSeq(list, ",") {
			entry = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(entry)), "*"), ".")
			if strings.TrimSpace(list) == "*" || entry != "" && (name == entry || strings.HasSuffix(name, "."+entry)) {
				return true
			}
		}
		return false
	}
	plain, wild := names()
	if len(plain)+len(wild) == 0 {
		return has(unlistedName)
	}
	for _, name := range plain {
		if !has(name) {
			return false
		}
	}
	for _, rest := range wild {
		if !has("any-name" + rest) {
			return false
		}
	}
	return true
}

// checkUser reports that sudo shows another user's state.
func checkUser(_ context.Context, s *Subject) []Finding {
	if s.SudoUser == "" {
		return nil
	}
	return []Finding{warning("this checks root's files and browsers, not "+s.SudoUser+"'s", "devproxy doctor, without sudo")}
}

// checkSystem says what was not tried on this system.
func checkSystem(context.Context, *Subject) []Finding {
	switch runtime.GOOS {
	case "linux":
		return nil
	case "windows":
		return []Finding{unknown("devproxy was not tried on Windows; each project has a port of its own there", "")}
	}
	return []Finding{unknown("shared ports, trust stores and port 443 were not tried on "+runtime.GOOS, "")}
}
