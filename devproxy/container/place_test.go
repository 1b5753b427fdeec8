package container

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/failure"
)

// getenv returns a function for Options.Getenv.
func getenv(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// TestPlaces finds out where an engine may listen.
func TestPlaces(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	context := func(dir, name, meta string) {
		t.Helper()
		id := sha256.Sum256([]byte(name))
		path := filepath.Join(dir, "contexts", "meta", hex.EncodeToString(id[:]), "meta.json")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(meta), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docker, other, broken := filepath.Join(home, ".docker"), t.TempDir(), t.TempDir()
	context(docker, "colima", `{"Name": "colima", "Endpoints": {"docker": {"Host": "unix:///home/u/.colima/docker.sock"}}}`)
	context(docker, "remote", `{"Name": "remote", "Endpoints": {"docker": {"Host": "ssh://u@server"}}}`)
	context(docker, "empty", `{}`)
	for dir, config := range map[string]string{docker: `{"currentContext": "colima"}`, other: `{"currentContext": "default"}`, broken: `{`} {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	usual := "unix:///var/run/docker.sock unix:///run/user/7/docker.sock unix://" + home + "/.docker/run/docker.sock unix:///run/user/7/podman/podman.sock unix:///run/podman/podman.sock"
	runtime := []string{"XDG_RUNTIME_DIR", "/run/user/7"}
	for name, test := range map[string]struct {
		env  []string
		want string // the addresses, or the error
	}{
		"DOCKER_HOST":          {[]string{"DOCKER_HOST", "unix:///x/y.sock", "DOCKER_CONTEXT", "colima"}, "unix:///x/y.sock"},
		"current context":      {nil, "unix:///home/u/.colima/docker.sock"},
		"another config":       {append([]string{"DOCKER_CONFIG", other}, runtime...), usual},
		"no config":            {append([]string{"DOCKER_CONFIG", filepath.Join(other, "none")}, runtime...), usual},
		"a broken config":      {append([]string{"DOCKER_CONFIG", broken}, runtime...), usual},
		"the default context":  {append([]string{"DOCKER_CONTEXT", "default"}, runtime...), usual},
		"no runtime directory": {[]string{"DOCKER_CONTEXT", "default"}, "unix:///var/run/docker.sock unix://" + home + "/.docker/run/docker.sock unix:///run/podman/podman.sock"},
		"a relative one":       {[]string{"DOCKER_CONTEXT", "default", "XDG_RUNTIME_DIR", "run"}, "unix:///var/run/docker.sock unix://" + home + "/.docker/run/docker.sock unix:///run/podman/podman.sock"},
		"a remote context":     {[]string{"DOCKER_CONTEXT", "remote"}, `the Docker context "remote" says "ssh://u@server", and devproxy only uses engines on this machine`},
		"no such context":      {[]string{"DOCKER_CONTEXT", "../../x"}, `can't read the Docker context "../../x": `},
		"an empty context":     {[]string{"DOCKER_CONTEXT", "empty"}, `can't read the Docker context "empty": it has no address`},
		"TCP":                  {[]string{"DOCKER_HOST", "tcp://127.0.0.1:2375"}, `DOCKER_HOST says "tcp://127.0.0.1:2375", and devproxy only uses engines on this machine`},
		"SSH":                  {[]string{"DOCKER_HOST", "ssh://u@server"}, `DOCKER_HOST says "ssh://u@server", and`},
		"a path":               {[]string{"DOCKER_HOST", "/var/run/docker.sock"}, `DOCKER_HOST says "/var/run/docker.sock", and`},
		"a relative socket":    {[]string{"DOCKER_HOST", "unix://docker.sock"}, `DOCKER_HOST says "unix://docker.sock", and`},
	} {
		opts := Options{Home: home, Getenv: getenv(test.env...)}
		all, err := opts.places()
		var got []string
		for _, p := range all {
			got = append(got, p.address())
		}
		if err != nil {
			got = []string{err.Error()}
			if f, ok := errors.AsType[*failure.Error](err); !ok || f.Fix == "" {
				t.Errorf("%s: %v has no fix", name, err)
			}
		}
		if text := strings.Join(got, " "); text != test.want && (err == nil || !strings.HasPrefix(text, test.want)) {
			t.Errorf("%s: %s, want %s", name, text, test.want)
		}
	}
}

// TestFirstThatAccepts has no socket, one where nothing listens, and one of an engine.
func TestFirstThatAccepts(t *testing.T) {
	t.Parallel()
	real := strings.TrimPrefix(serve(t, http.NotFoundHandler()), "unix://")
	none, dead := filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "dead")
	if err := os.WriteFile(dead, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	places := func(paths ...string) (all []place) {
		for _, path := range paths {
			all = append(all, place{network: "unix", path: path, source: "the default"})
		}
		return all
	}
	if p, err := firstThatAccepts(t.Context(), places(none, dead, real)); err != nil || p.path != real {
		t.Errorf("found %+v, %v", p, err)
	}
	_, err := firstThatAccepts(t.Context(), places(none, dead))
	want := fmt.Sprintf("no container engine: tried %s (does not exist), %s (nothing listens)", none, dead)
	if f, ok := errors.AsType[*failure.Error](err); !ok || err.Error() != want || f.Fix != startEngine {
		t.Errorf("without an engine: %v, want %s", err, want)
	}
}
