package forward

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// maker says how to run a kind of proxy.
type maker struct {
	name    string
	program string
	// versionArgs make the program print its version; nil for none.
	versionArgs []string
	// config is a file of configs, and configName its name in the proxy's folder.
	config, configName string
	args               func(config string) []string
	// reload makes the proxy read its changed configuration; nil when it watches
	// the file.
	reload func(*proxy) error
}

// makers lists the peers that are installed, then every devproxy of the command
// line. Ratios refer to the first one.
func (b bench) makers() ([]maker, error) {
	var list []maker
	for _, m := range peers() {
		path, err := find(m.program)
		if err != nil || !slices.Contains(b.peers, m.name) {
			continue
		}
		m.program = path
		list = append(list, m)
	}
	for i, program := range strings.Split(b.devproxy, ",") {
		path, err := filepath.Abs(program)
		if err == nil {
			_, err = exec.LookPath(path)
		}
		if err != nil {
			return nil, fmt.Errorf("find devproxy: %w; `make build` makes it", err)
		}
		// It has a user's features on: the recorder, matching, its own CA. Only
		// the lines about requests are off.
		m := maker{
			name: "devproxy", program: path, config: "devproxy.hcl", configName: "Proxyfile",
			args: func(string) []string { return []string{"up", "--json", "--quiet"} },
		}
		if i > 0 {
			m.name += fmt.Sprint(" ", i+1)
		}
		list = append(list, m)
	}
	return list, nil
}

func peerNames() []string {
	var names []string
	for _, m := range peers() {
		names = append(names, m.name)
	}
	return names
}

func peers() []maker {
	return []maker{
		{
			name: "nginx", program: "nginx", versionArgs: []string{"-v"}, config: "nginx.conf", configName: "nginx.conf",
			args:   func(config string) []string { return []string{"-c", config} },
			reload: func(p *proxy) error { return p.child.Signal(syscall.SIGHUP) },
		},
		{
			name: "haproxy", program: "haproxy", versionArgs: []string{"-v"}, config: "haproxy.cfg", configName: "haproxy.cfg",
			args:   func(config string) []string { return []string{"-W", "-db", "-f", config} },
			reload: func(p *proxy) error { return p.child.Signal(syscall.Signal(12)) }, // SIGUSR2 on Linux
		},
		{
			name: "caddy", program: "caddy", versionArgs: []string{"version"}, config: "caddy.caddyfile", configName: "Caddyfile",
			args: func(config string) []string { return []string{"run", "--adapter", "caddyfile", "--config", config} },
			reload: func(p *proxy) error {
				out, err := exec.Command(p.program, "reload", "--adapter", "caddyfile", "--config", p.configFile(), "--address", "unix/"+filepath.Join(p.dir, "admin.sock")).CombinedOutput()
				if err != nil {
					return fmt.Errorf("caddy reload: %w\n%s", err, out)
				}
				return nil
			},
		},
	}
}

// firstVersion is the first word of text that looks like a version.
func firstVersion(text string) string {
	return regexp.MustCompile(`v?\d+\.\d+(\.\d+)?[-\w.]*`).FindString(text)
}
