package scaffold

import (
	"cmp"
	"path"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// comparesOrigin reports whether the framework of a package refuses a form whose
// Origin is not http://HOST, whatever X-Forwarded-Proto says:
//
//   - React Router in framework mode since 7.12, for actions, also in the
//     project's own server: packages/react-router/lib/actions.ts
//   - Hono's csrf middleware
//
// Others check it too, but need nothing: SvelteKit and Qwik City do not check in
// development (packages/kit/src/runtime/server/respond.js,
// packages/qwik-city/src/buildtime/vite/dev-server.ts), Next and Remix 2 compare
// host names, and Rails trusts X-Forwarded-Proto.
func (d configReader) comparesOrigin(c *candidate, p javascriptPackage) bool {
	switch c.kind {
	case "react-router":
		return atLeast(p.depends["@react-router/dev"], "7.12.0")
	case "node":
		if version, express := p.depends["@react-router/express"]; express {
			return atLeast(version, "7.12.0")
		}
		return p.has("hono") && strings.HasPrefix(path.Dir(c.file), path.Clean(c.folder)) && d.contains(c.file, "hono/csrf")
	}
	return false
}

// readAstroOrigin reads Astro's security.checkOrigin, which is on since version 5
// and applies to pages that are rendered on demand.
func (d configReader) readAstroOrigin(c *candidate, config javascript.Value) {
	output := config.At("output").Text
	_, adapter := config.Field("adapter")
	server := output == "server" || output == "hybrid" || adapter
	c.plainHTTP = server && !config.At("security.checkOrigin").Is(false) && atLeast(d.packages[c.folder].depends["astro"], "5.0.0")
}

var (
	firstVersion = regexp.MustCompile(`\d+(\.\d+)*`)
	upperBound   = regexp.MustCompile(`<\s*(\d+(?:\.\d+)*)`)
)

// atLeast reports whether a range such as "^7.12.0" or ">=4,<5" reaches a
// version. A range without a number, such as "latest", does.
func atLeast(versions, least string) bool {
	have := firstVersion.FindString(versions)
	if have == "" {
		return true
	}
	compare := func(version string) int { return semver.Compare(canonical(version), canonical(least)) }
	// "^7.1.0" installs the newest 7; "~7.1.0" and "7.1.0" do not.
	if i := strings.Index(versions, have); i == 0 && !strings.Contains(versions, "x") || i > 0 && strings.ContainsAny(versions[:i], "~=<") && !strings.Contains(versions[:i], ">") {
		return compare(have) >= 0
	}
	if strings.Contains(versions, ">") && !strings.Contains(versions, "<") {
		return true
	}
	if upper := submatch(upperBound, versions); upper != "" {
		return compare(upper) > 0
	}
	major, _, _ := strings.Cut(have, ".")
	n, _ := strconv.Atoi(major)
	return compare(strconv.Itoa(n)+".999999.0") >= 0
}

func canonical(v string) string {
	parts := strings.SplitN(v, ".", 4)
	return semver.Canonical("v" + strings.Join(parts[:min(3, len(parts))], "."))
}

var djangoFiles = strings.Fields("requirements.txt requirements/base.txt requirements/local.txt requirements/dev.txt requirements-dev.txt requirements.in pyproject.toml Pipfile setup.cfg setup.py")

// djangoOrigin reports whether Django's CSRF check compares Origin with
// http://HOST: since version 4, unless the settings name a header for the
// scheme.
func (r *repository) djangoOrigin(folder string) bool {
	version := ""
	for _, name := range djangoFiles {
		for _, dir := range parents(folder) {
			version = cmp.Or(version, submatch(djangoVersion, string(r.text(path.Join(dir, name)))))
		}
	}
	if !atLeast(strings.Trim(version, `"' =(`), "4.0") {
		return false
	}
	for _, file := range r.named("*.py") {
		base := path.Base(file)
		settings := base == "settings.py" || strings.Contains(path.Dir(file), "settings") && base != "production.py" && base != "prod.py"
		if settings && r.contains(file, "\nSECURE_PROXY_SSL_HEADER") {
			return false
		}
	}
	return true
}

var djangoVersion = regexp.MustCompile(`(?im)^[ \t"']*django[ \t]*(?:\[[\w,]*\])?[ \t]*([(=<>~!^ \t"']*\d[\d.,<>=~! *]*)`)
