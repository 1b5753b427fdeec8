package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

func (d *discovery) readGo() {
	for _, folder := range d.folders("go.mod") {
		if air := d.in(folder, ".air.toml"); air != "" {
			var config struct {
				Build struct {
					FullBin string   `toml:"full_bin"`
					Args    []string `toml:"args_bin"`
				}
				Proxy struct {
					Enabled   bool
					ProxyPort int `toml:"proxy_port"`
				}
			}
			_ = toml.Unmarshal(d.text(air), &config)
			c := d.server(folder, "go", api, 0, air)
			for _, cmd := range append(commands(config.Build.FullBin, func(string) (string, bool) { return "", false }), command{words: append([]string{"go"}, config.Build.Args...)}) {
				c.set(programs[len(programs)-1].portIn(cmd), stated, air, 0)
			}
			if config.Proxy.Enabled {
				c.set(config.Proxy.ProxyPort, stated, air, 0)
			}
		}
		var sources []string
		for _, file := range d.matching(func(base string) bool { return strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go") }) {
			dir := path.Dir(file)
			if dir == folder || strings.HasPrefix(dir, path.Join(folder, "cmd")) || strings.HasPrefix(dir, path.Join(folder, "internal")) || folder == "." && strings.Count(dir, "/") <= 1 {
				sources = append(sources, file)
			}
		}
		slices.SortStableFunc(sources, func(a, b string) int { return goRank(a) - goRank(b) })
		sources = sources[:min(len(sources), maxSources)]
		if !slices.ContainsFunc(sources, func(file string) bool { return d.contains(file, goServers...) }) {
			sources = nil
		}
		for _, file := range sources {
			if !d.contains(file, "ListenAndServe", "net.Listen(", "http.Server{", ".Listen(", ".Run(\":", ".Start(\":", "\"addr\"", "\"port\"", "\"PORT\"", "\"http\"") {
				continue
			}
			port, line := d.number(file, goPort)
			if port == 0 || nothingHTTP(port) {
				continue
			}
			c := d.server(folder, "go", api, 0, file)
			c.set(port, sample, file, line)
			break
		}
		if c := d.kind(folder, "go"); c != nil {
			if port, file, line := d.environmentPort(folder, "PORT", "HTTP_PORT", "APP_PORT", "SERVER_PORT"); port != 0 {
				c.set(port, stated, file, line)
			}
		}
	}
}

// maxSources is how many files of a Go module are looked at.
const maxSources = 200

// goServers are in the source of what serves HTTP.
var goServers = []string{"ListenAndServe", "http.Server{", "http.Serve(", "gin.New(", "gin.Default(", "echo.New(", "fiber.New(", "chi.NewRouter(", "connect.New", "httptransport"}

// goRank orders the files of a Go program: main first.
func goRank(file string) int {
	switch {
	case path.Base(file) == "main.go":
		return 0
	case strings.Contains(path.Base(file), "server"), strings.Contains(path.Base(file), "config"):
		return 1
	}
	return 2
}

var goPort = regexp.MustCompile(`ListenAndServe(?:TLS)?\(\s*"[^"]*:(\d+)"|(?:Addr|Address):?\s*[:=]+\s*"[^"]*:(\d+)"|net\.Listen\(\s*"tcp",\s*"[^"]*:(\d+)"|\.(?:Run|Start|Listen)\(\s*"[^"]*:(\d+)"|flag\.(?:String|Int)(?:Var)?\([^)]*"[^"]*(?:addr|port|listen|http|bind)[^"]*",\s*"?[^",]*?:?(\d{2,5})"?|\b(?:[a-z]\w*(?:Port|Addr)|port|addr|PORT|ADDR)\s*:?=\s*":?(\d{4,5})"|\b(?:[a-z]\w*Port|port|PORT)\s*:?=\s*(\d{4,5})\b|(?i:getenv|envor|getenvdefault|env|lookup)\w*\("[A-Z_]*PORT",\s*"?:?(\d{2,5})`)
