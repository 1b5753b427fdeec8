package hcl

import (
	"regexp"
	"strings"
)

// environmentSummary is the summary of a variable of the environment that is read
// as other tools do.
const environmentSummary = "a variable of the environment is read with env()"

// otherVariable matches how other tools read a variable: $PORT and ${PORT} of
// shells, ${PORT:-3000}, {env.PORT} and {$PORT:3000} of Caddy, %PORT% of
// Windows, process.env.PORT and import.meta.env.PORT of JavaScript, {{PORT}}.
// In each, one group has the name, and the next the default.
var otherVariable = regexp.MustCompile(`\$\{[ \t]*(?:process\.env\.|import\.meta\.env\.|\.?[Ee]nv\.)?([A-Za-z_]\w*)(?::?-([^{}"]*))?[ \t]*\}` +
	`|\{\$([A-Za-z_]\w*)(?::([^{}"]*))?\}` +
	`|\$(?:env:)?([A-Za-z_]\w*)()` +
	`|\{\{?[ \t]*(?:env\.|\.Env\.|\$)?([A-Z_][A-Z0-9_]*)[ \t]*\}\}?()` +
	`|%([A-Za-z_]\w*)%()` +
	`|\b(?:process\.env|import\.meta\.env|Deno\.env|os\.environ|ENV)(?:\.|\[["'])([A-Za-z_]\w*)(?:["']\])?(?:[ \t]*(?:\|\||\?\?)[ \t]*["']?([^"'\s}]*)["']?)?`)

// environmentHabit returns the expression for text, a string or a value without
// quotes, that reads variables as other tools do. It is empty if text reads none.
func envExpression(text string) string {
	found := otherVariable.FindAllStringSubmatchIndex(text, -1)
	if found == nil {
		return ""
	}
	if m := found[0]; len(found) == 1 && m[0] == 0 && m[1] == len(text) {
		return variableCall(text, m)
	}
	var out strings.Builder
	at := 0
	for _, m := range found {
		out.WriteString(text[at:m[0]] + "${" + variableCall(text, m) + "}")
		at = m[1]
	}
	return `"` + out.String() + text[at:] + `"`
}

// variableCall returns env("NAME", "DEFAULT") for a match of otherVariable.
func variableCall(text string, m []int) string {
	for i := 2; i+3 < len(m); i += 4 {
		if m[i] < 0 {
			continue
		}
		fallback := ""
		if m[i+2] >= 0 {
			fallback = text[m[i+2]:m[i+3]]
		}
		return envCall(text[m[i]:m[i+1]], fallback)
	}
	return ""
}

// envCall returns a call of env(). An empty fallback means the usual one for such a
// name, if there is one.
func envCall(name, fallback string) string {
	if upper := strings.ToUpper(name); fallback == "" {
		switch {
		case strings.HasSuffix(upper, "PORT"):
			fallback = "3000"
		case strings.HasSuffix(upper, "HOST"), strings.HasSuffix(upper, "HOSTNAME"):
			fallback = "localhost"
		case strings.HasSuffix(upper, "URL"), strings.HasSuffix(upper, "ORIGIN"):
			fallback = "http://localhost:3000"
		}
	}
	if fallback == "" {
		return `env("` + name + `")`
	}
	return `env("` + name + `", ` + Quote(fallback) + `)`
}
