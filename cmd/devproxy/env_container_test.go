package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// TestContainerEnvCompose reads what is printed as a compose file would be read.
func TestContainerEnvCompose(t *testing.T) {
	t.Setenv("DEVPROXY_HOME", t.TempDir()+"/it's: \"#$HOME\\x")
	for goos, want := range map[string]struct{ mode, host string }{"linux": {"host", "shop.localhost:127.0.0.1"}, "darwin": {"", "shop.localhost:host-gateway"}} {
		e, err := newContainerEnv([]string{"shop.localhost"}, goos)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(e.compose()) {
			if strings.HasPrefix(line, "#") && len(line) > 80+len("\n") {
				t.Errorf("%s: a comment is wider than a terminal: %s", goos, line)
			}
		}
		var file struct {
			Services map[string]struct {
				NetworkMode string            `yaml:"network_mode"`
				ExtraHosts  []string          `yaml:"extra_hosts"`
				Environment map[string]string `yaml:"environment"`
				Volumes     []struct {
					Type, Source, Target string
					ReadOnly             bool `yaml:"read_only"`
				} `yaml:"volumes"`
			} `yaml:"services"`
		}
		if err := yaml.Unmarshal([]byte(e.compose()), &file); err != nil {
			t.Fatalf("%v in\n%s", err, e.compose())
		}
		service := file.Services["NAME"]
		if service.NetworkMode != want.mode || len(service.ExtraHosts) != 1 || service.ExtraHosts[0] != want.host {
			t.Errorf("%s: %+v", goos, service)
		}
		if diff := cmp.Diff(e.Environment, service.Environment); diff != "" {
			t.Errorf("%s: the environment (-want +got):\n%s", goos, diff)
		}
		for i, m := range service.Volumes {
			// Compose reads "$$" as "$".
			if m.Type != "bind" || !m.ReadOnly || strings.ReplaceAll(m.Source, "$$", "$") != e.Mounts[i].Source || m.Target != e.Mounts[i].Target {
				t.Errorf("%s: %+v, want %+v", goos, m, e.Mounts[i])
			}
		}
	}
}
