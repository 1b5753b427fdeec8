package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// readBackends takes the servers that the files of a framework tell of, where no
// command line names them, or adds what those files say to the ones that are
// known.
func (d *discovery) readBackends() {
	d.readPython()
	d.readRuby()
	d.readPHP()
	d.readElixir()
	d.readGo()
	d.readRust()
	d.readJVM()
	d.readDotnet()
	d.readSites()
}

// number is the first group of a pattern in file, as a port, and its line.
func (d *discovery) number(file string, pattern *regexp.Regexp) (port, line int) {
	text := string(d.text(file))
	for _, m := range pattern.FindAllStringSubmatchIndex(text, 20) {
		for g := 2; g+1 < len(m); g += 2 {
			if m[g] < 0 {
				continue
			}
			if port = portOf(text[m[g]:m[g+1]]); port != 0 {
				return port, 1 + strings.Count(text[:m[0]], "\n")
			}
		}
	}
	return 0, 0
}

func (d *discovery) readElixir() {
	for _, folder := range d.folders("mix.exs") {
		file := path.Join(folder, "mix.exs")
		umbrella := d.contains(file, "apps_path:")
		if !umbrella && !d.contains(file, ":phoenix,", ":phoenix ") {
			continue
		}
		if umbrella && d.in(folder, "config/dev.exs") == "" || !umbrella && slices.ContainsFunc(parents(folder)[1:], func(dir string) bool { return d.contains(path.Join(dir, "mix.exs"), "apps_path:") }) {
			continue
		}
		c := d.server(folder, "phoenix", app, 4000, file)
		for _, config := range []string{"config/dev.exs", "config/runtime.exs", "config/config.exs"} {
			at := path.Join(folder, config)
			if port, line := d.number(at, elixirPort); port != 0 && c.evidence < stated && config == "config/dev.exs" {
				c.set(port, stated, at, line)
			}
		}
	}
}

var elixirPort = regexp.MustCompile(`http:\s*\[[^\]]*?port:\s*(?:String\.to_integer\(\s*System\.(?:get_env|fetch_env!)\(\s*"\w+"(?:\s*,\s*"(\d+)")?\s*\)(?:\s*\|\|\s*"(\d+)")?|(\d+))`)

func (d *discovery) readDotnet() {
	for _, file := range d.named("launchSettings.json") {
		folder := path.Dir(path.Dir(file))
		config, _ := d.json(file)
		profiles, _ := config.Field("profiles")
		for _, profile := range profiles.Fields {
			command, _ := profile.Value.Field("commandName")
			urls, _ := profile.Value.Field("applicationUrl")
			port, https := 0, false
			for _, url := range strings.Split(urls.Text, ";") {
				if p := addressPort(url); p != 0 && (port == 0 || strings.HasPrefix(url, "http:")) {
					port, https = p, strings.HasPrefix(url, "https:")
				}
			}
			if command.Text != "Project" || port == 0 {
				continue
			}
			c := d.server(folder, "dotnet", api, 0, file)
			if c.evidence < stated {
				c.https = https
			}
			c.set(port, stated, file, urls.Line)
			break
		}
	}
	for _, file := range d.matching(func(base string) bool { return strings.HasSuffix(base, ".csproj") }) {
		if d.contains(file, "Microsoft.NET.Sdk.Web") && d.kind(path.Dir(file), "dotnet") == nil {
			d.server(path.Dir(file), "dotnet", api, 5000, file)
		}
	}
}
