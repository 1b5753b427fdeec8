package scaffold

import (
	"cmp"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
	"github.com/devproxy/devproxy/hcl"
)

const suffix = ".localhost"

// label turns text into a DNS label (RFC 1035 section 2.3.4); "app" if it has no
// usable character.
func label(text string) string {
	return cmp.Or(hcl.Label(text), "app")
}

// underLocalhost moves a host name of another tool under .localhost: "shop" and
// "shop.test" become "shop.localhost", "api.example.com" becomes
// "api.example.localhost". A "*" as the first label stays.
func underLocalhost(name string) string {
	name = strings.Trim(strings.ToLower(name), ".")
	if name == "localhost" {
		return name
	}
	base := strings.TrimPrefix(name, "*.")
	parts := strings.Split(strings.TrimSuffix(base, suffix), ".")
	if !strings.HasSuffix(base, suffix) && len(parts) > 1 {
		parts = parts[:len(parts)-1]
	}
	const most = 3 // labels: 253 characters hold three of any length
	parts = parts[max(0, len(parts)-most):]
	for i, part := range parts {
		parts[i] = label(part)
	}
	return allowed(strings.TrimSuffix(name, base) + strings.Join(parts, ".") + suffix)
}

// allowed returns another name instead of that of devproxy's own page.
func allowed(name string) string {
	if name == hcl.OwnHost {
		return "app" + suffix
	}
	return name
}

// placeholders are names of the root package that name the repository and not the
// project.
var placeholders = []string{"root", "repo", "source", "src", "monorepo", "workspace", "workspaces", "skeleton", "website-skeleton"}

// projectName returns the name in the root's package.json or composer.json,
// without its scope; if there is none, the folder's.
func (r *repository) projectName(folder string) string {
	for _, file := range []string{"package.json", "composer.json", "deno.json", "deno.jsonc", "jsr.json"} {
		config, _ := r.json(file)
		name := config.At("name").Text
		scope, base, scoped := strings.Cut(name, "/")
		if !scoped {
			base = name
		}
		if scope = strings.TrimPrefix(scope, "@"); scoped && slices.Contains(placeholders, base) {
			base = scope // "@acme/root" is acme
		}
		if base != "" && !slices.Contains(placeholders, base) && name != "laravel/laravel" && scope != "symfony" {
			return base
		}
	}
	return folder
}

// folderLabel names the server of a folder.
func folderLabel(folder string) string {
	base := path.Base(folder)
	if slices.Contains([]string{"src", "app", "cmd", "source"}, base) && path.Dir(folder) != "." {
		base = path.Base(path.Dir(folder))
	}
	return label(base)
}

// portOf returns text as a port; 0 if it is not one.
func portOf(text string) int {
	return javascript.Value{Kind: javascript.String, Text: text}.Port()
}

// targetOf splits a URL of another tool into an upstream and a path. ok is false
// if a Proxyfile cannot express it.
func targetOf(text string) (upstream, prefix string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", "", false
	}
	scheme := map[string]string{"http": "http", "ws": "http", "https": "https", "wss": "https"}[u.Scheme]
	if scheme == "" || u.Port() != "" && portOf(u.Port()) == 0 || !plainHost.MatchString(u.Hostname()) {
		return "", "", false
	}
	prefix = strings.TrimSuffix(u.Path, "/")
	if scheme == "http" && loopback(u.Hostname()) {
		return cmp.Or(u.Port(), "80"), prefix, true
	}
	return scheme + "://" + strings.TrimSuffix(u.Host, ":"), prefix, true
}

// plainHost matches host names. A Proxyfile with any other name would fail its
// check later, far from the line that has the name.
var plainHost = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,3}|[0-9a-fA-F:]*:[0-9a-fA-F:]+)$`)

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~@+*-]+)+$|^/$`)

// routePath turns a prefix of another tool into the path of a route; empty if a
// Proxyfile cannot express it. A "*" within a path stays. One at the end means the
// prefix, unless it follows a part of a word, as in "/app_*".
func routePath(text string) string {
	if rest, star := strings.CutSuffix(text, "*"); star && !strings.HasSuffix(rest, "_") && !strings.HasSuffix(rest, "-") {
		text = rest
	}
	if text != "/" {
		text = strings.TrimSuffix(text, "/")
	}
	if !plainPath.MatchString(text) || path.Clean(text) != text {
		return ""
	}
	return text
}

// addressTail matches the port at the end of an address or a URL.
var addressTail = regexp.MustCompile(`(?:^|:)(\d{2,5})/?(?:;.*|\?.*)?$`)

// addressPort returns the port of "3000", ":3000", "0.0.0.0:3000",
// "tcp://[::]:3000" and "http://localhost:5000;https://…"; 0 for anything else.
func addressPort(text string) int { return portOf(submatch(addressTail, text)) }

// submatch returns the first group of pattern in text; empty if it does not match.
func submatch(pattern *regexp.Regexp, text string) string {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}
