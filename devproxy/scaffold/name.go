package scaffold

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

const suffix = ".localhost"

// label turns text into a DNS label (RFC 1035 section 2.3.4); "app" if it has no
// usable character.
func label(text string) string {
	const longest = 63
	var out strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			out.WriteRune(r)
		case out.Len() > 0 && !strings.HasSuffix(out.String(), "-"):
			out.WriteByte('-')
		}
	}
	name := out.String()
	if name = strings.Trim(name[:min(len(name), longest)], "-"); name == "" {
		return "app"
	}
	return name
}

// underLocalhost moves a host name of another tool under .localhost: "shop" and
// "shop.test" become "shop.localhost", "api.example.com" becomes
// "api.example.localhost". A "*" as the first label stays.
func underLocalhost(name string) string {
	name = strings.Trim(strings.ToLower(name), ".")
	if name == "localhost" {
		return name
	}
	wildcard := ""
	if rest, ok := strings.CutPrefix(name, "*."); ok {
		name, wildcard = rest, "*."
	}
	parts := strings.Split(strings.TrimSuffix(name, suffix), ".")
	if !strings.HasSuffix(name, suffix) && len(parts) > 1 {
		parts = parts[:len(parts)-1]
	}
	const most = 3 // labels: 253 characters hold three of any length
	parts = parts[max(0, len(parts)-most):]
	for i, part := range parts {
		parts[i] = label(part)
	}
	return wildcard + strings.Join(parts, ".") + suffix
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
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}
