package hcl

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// serviceForm returns the advice for an attribute that compose files, Procfiles and
// process managers have for what a service does; "" for any other. The advice for a word
// that only takes another name has its value.
func (r *reader) serviceForm(attr *hclsyntax.Attribute, body *hclsyntax.Body, k kind) string {
	if !slices.Contains(k.attrs, "command") {
		if meant := serviceAttribute(attr.Name); meant == "command" && k.name != "listen" && k.name != "share" {
			command := `"pnpm dev"`
			if text := r.literal(attr); text != "" {
				command = Quote(text)
			}
			return `write service "web" { command = ` + command + " }; put it at the top level, and upstream = service.web into the host"
		}
		return ""
	}
	written := r.text.line(attr.Expr)
	switch meant := serviceAttribute(attr.Name); meant {
	case "":
		if list, is := attr.Expr.(*hclsyntax.TupleConsExpr); is && attr.Name == "ports" && len(list.Exprs) > 0 {
			if first, _ := literalText(list.Exprs[0]); portMapping.MatchString(first) {
				return "write upstream = " + portMapping.FindStringSubmatch(first)[1]
			}
		}
		return otherServiceWords()[attr.Name]
	case "env":
		if list, is := attr.Expr.(*hclsyntax.TupleConsExpr); is {
			written = envOf(mapped(list.Exprs, func(e hclsyntax.Expression) string { text, _ := literalText(e); return text }))
		}
		return "write env = " + written
	case "stop":
		if text := r.literal(attr); isWholeNumber.MatchString(text) {
			written = Quote(text + "s")
		}
		return "write stop = " + written
	case "health":
		if body.Attributes["command"] == nil {
			return ""
		}
		return `write ready = { path = "/healthz" } for when it has started; health is for every second after that`
	default:
		return "write " + meant + " = " + written
	}
}

var isWholeNumber = regexp.MustCompile(`^[0-9]+$`)

// serviceAttribute returns the attribute of a service that other tools call by this word;
// "" for none.
func serviceAttribute(word string) string {
	for attribute, words := range map[string]string{
		"command":    "command cmd run start exec entrypoint dev_command run_command start_command",
		"dir":        "cwd workdir working_dir working_directory workingDirectory chdir directory folder",
		"env":        "environment envs env_vars",
		"stop":       "stop_grace_period stop_timeout kill_timeout stopwaitsecs",
		"depends_on": "depends needs requires after wait_for",
		"health":     "healthcheck health_check",
	} {
		if slices.Contains(strings.Fields(words), word) {
			return attribute
		}
	}
	return ""
}

// otherServiceWords returns the advice for words of other tools that have no attribute of
// their own.
func otherServiceWords() map[string]string {
	const (
		container = `write container = "api"; that is a service of compose, which devproxy does not start`
		watch     = "remove it: a dev server watches its files itself"
		always    = "remove it: devproxy starts every service that has a command"
		output    = "remove it; to read the output of a service: devproxy logs"
		asUser    = "remove it: the command runs as you"
		signal    = "remove it: the command gets SIGTERM, and SIGKILL after stop"
		once      = `write a service for each, or upstream = [3001, 3002] for servers that you start`
	)
	return map[string]string{
		"script": `write command = "npm run dev", with the name of the script`, "npm": `write command = "npm run dev", with the name of the script`,
		"args": `write them in command, as in command = "pnpm dev --host"`, "arguments": `write them in command, as in command = "pnpm dev --host"`,
		"shell":    `write command = ["sh", "-c", "…"]; a shell is needed only for pipes and the like`,
		"env_file": `write env = { NAME = "value" }; a dev server reads its .env itself`, "dotenv": `write env = { NAME = "value" }; a dev server reads its .env itself`,
		"image": container, "build": container, "dockerfile": container, "volumes": container, "networks": container, "container_name": container,
		"watch": watch, "ignore_watch": watch,
		"autostart": always, "enabled": always, "profiles": always,
		"autorestart": `write restart = "on_failure", or "never"`, "restart_policy": `write restart = "on_failure", or "never"`,
		"stdout_logfile": output, "logs": output, "log_file": output, "logging": output,
		"user": asUser, "group": asUser,
		"stop_signal": signal, "kill_signal": signal, "stopsignal": signal,
		"instances": once, "scale": once, "replicas": once, "numprocs": once,
	}
}

// envOf is the env attribute for variables as compose files and shells write them:
// "NODE_ENV=development". It is an example if they are not.
func envOf(pairs []string) string {
	var parts []string
	for _, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		if !found || !identifier.MatchString(name) {
			return `{ NODE_ENV = "development" }`
		}
		parts = append(parts, name+" = "+Quote(value))
	}
	if len(parts) == 0 {
		return `{ NODE_ENV = "development" }`
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}
