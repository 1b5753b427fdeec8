package doctor

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/programs"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// soonExpired is how long before its end a root is worth a warning.
const soonExpired = 30 * 24 * time.Hour

// checkCA looks at the root itself.
func checkCA(_ context.Context, s *Subject) []Finding {
	ca, err := s.CA()
	storeErr, broken := errors.AsType[*localca.StoreError](err)
	switch {
	case errors.Is(err, localca.ErrNoCA):
		text := "no CA exists yet"
		if _, why, _ := strings.Cut(err.Error(), ": "); why != localca.FirstCA {
			text = "it can't be used: " + why
		}
		return []Finding{warning(text, "devproxy trust")}
	case broken:
		return []Finding{fault("can't "+storeErr.Op+" "+storeErr.Path+": "+failure.Text(storeErr.Err), storeErr.Fix)}
	case err != nil:
		return []Finding{fault(failure.Text(err), "")}
	}
	end := ca.Root().NotAfter
	if left := time.Until(end); left < soonExpired {
		return []Finding{warning("it expires on "+date(end)+"; the next one must be trusted again", "")}
	}
	return []Finding{fine("valid until " + date(end))}
}

func date(t time.Time) string { return t.Format("2 January 2006") }

// checkStores tests each trust store of the machine, as devproxy trust --check does, and
// the browser by a handshake. The roots of other domains follow.
func checkStores(ctx context.Context, s *Subject) []Finding {
	all := s.checkLocalStores(ctx)
	for _, domain := range slices.Sorted(maps.Keys(s.Domains)) {
		for _, store := range s.Domains[domain] {
			if f, ok := s.checkStore(ctx, store, answer{installed: s.answer(ctx, clients()[0]).installed}); ok {
				f.Detail = domain + ": " + f.Detail
				all = append(all, f.about(store.Name()))
			}
		}
	}
	return all
}

func (s *Subject) checkLocalStores(ctx context.Context) []Finding {
	if _, err := s.CA(); err != nil {
		return nil // checkCA has said so
	}
	browser := s.answer(ctx, clients()[0])
	var all []Finding
	for _, store := range s.Stores {
		if f, ok := s.checkStore(ctx, store, browser); ok {
			all = append(all, f.about(store.Name()))
		}
	}
	return all
}

// checkStore returns ok false for a store that does not concern this machine, and for one
// whose client is asked itself.
func (s *Subject) checkStore(ctx context.Context, store trust.Store, browser answer) (Finding, bool) {
	switch {
	case store.Name() == "java":
		return Finding{}, false
	case store.Name() == "chromium" && browser.trust == trusts:
		return fine("the browser trusts the CA: handshake ok"), true
	case store.Name() == "chromium" && browser.trust == refuses:
		return fault("the browser does not trust the CA", "devproxy trust --store chromium"), true
	}
	bounded, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	result := store.Check(bounded)
	switch {
	case bounded.Err() != nil:
		return unknown("its test took too long", ""), true
	case result.State == trust.Trusted:
		return fine(result.Detail), true
	case result.State == trust.Skipped && result.Fix == "", store.Name() == "chromium" && !browser.installed && result.State == trust.Untrusted:
		return Finding{}, false
	case result.State == trust.Skipped:
		return unknown(result.Detail, result.Fix), true
	case result.State == trust.Failed:
		return unknown(result.Detail, result.Fix), true
	}
	return fault(result.Detail, result.Fix), true
}

// checkTrustOfClients reports which clients that are started in this shell trust the CA.
func checkTrustOfClients(ctx context.Context, s *Subject) []Finding {
	if _, err := s.CA(); err != nil {
		return nil
	}
	var good, bad []string
	var java []Finding
	for _, c := range clients()[1:] {
		a := s.answer(ctx, c)
		switch {
		case c.name == "Java" && a.trust == refuses:
			java = append(java, warning("does not trust the CA", javaFix(s, a.home)).about("Java"))
		case a.trust == refuses:
			bad = append(bad, c.name)
		case a.trust == trusts:
			good = append(good, c.name)
		}
	}
	switch {
	case len(bad) > 0:
		return append([]Finding{warning(list(bad)+agree(bad, " does", " do")+" not trust the CA in this shell", shellFix(s)).about("this shell")}, java...)
	case len(good) > 0:
		return append([]Finding{fine(list(good) + agree(good, " trusts", " trust") + " the CA").about("this shell")}, java...)
	}
	return java
}

func agree(subject []string, one, more string) string {
	if len(subject) == 1 {
		return one
	}
	return more
}

// shellFix makes the clients of this shell trust the CA.
func shellFix(s *Subject) string {
	switch {
	case runtime.GOOS == "windows":
		return "devproxy env --shell powershell | Out-String | Invoke-Expression"
	case filepath.Base(s.Getenv("SHELL")) == "fish":
		return "devproxy env --shell fish | source"
	}
	return `eval "$(devproxy env)"`
}

func javaFix(s *Subject, home string) string {
	const command = "devproxy trust --store java"
	if s.Getenv("JAVA_HOME") != "" || home == "" || runtime.GOOS == "windows" {
		return command
	}
	return programs.Line([]string{"env", "JAVA_HOME=" + home}) + " " + command
}
