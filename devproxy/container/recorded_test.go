package container

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// serve runs handler as an engine until the test ends, and returns its DOCKER_HOST.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = listener.Close(); _ = server.Close(); <-done })
	return "unix://" + path
}

// TestRecorded reads what real engines have answered. Their container "evil" has an
// image with the labels of the project's service.
func TestRecorded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		engine Engine
		text   string
	}{
		"docker-20.10": {Engine{Name: "Docker", Version: "20.10.24+dfsg1"}, `
hand running healthy 127.0.0.1:32769
shop-api-1 running healthy 127.0.0.1:32768
shop-api-2 running healthy 172.17.0.3:8000
shop-net-1 running healthy 127.0.0.1:8000
shop-old-1 exited container shop-old-1 is not running: its state is "exited"
shop-side-1 exited container shop-side-1 is not running: its state is "exited"
problem evil: its image has the label com.docker.compose.project.working_dir, so nothing says where the container belongs`},
		"podman-4.3": {Engine{Name: "Podman", Version: "4.3.1"}, `
hand running 127.0.0.1:45221
shop-api-1 running healthy 127.0.0.1:36079
shop-api-2 running 10.88.0.3:8000
shop-net-1 running 127.0.0.1:8000
shop-old-1 exited container shop-old-1 is not running: its state is "exited"
shop-side-1 exited container shop-side-1 is not running: its state is "exited"
problem evil: its image has the label com.docker.compose.project.working_dir, so nothing says where the container belongs`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			answers := map[string][]byte{}
			for _, file := range archive.Files {
				answers[file.Name] = file.Data
			}
			opts := options(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer, found := answers[r.URL.Path]
				if !found {
					http.NotFound(w, r)
					return
				}
				_, _ = w.Write(answer) // the client sees that it is cut
			})))
			opts.Folder = "/srv/shop"
			opts.network = func() network {
				return network{own: []netip.Addr{netip.MustParseAddr("172.17.0.1"), netip.MustParseAddr("10.88.0.1")}, direct: true, host: true}
			}
			s := List(t.Context(), opts)
			if s.Engine.Name != want.engine.Name || s.Engine.Version != want.engine.Version {
				t.Errorf("the engine is %+v", s.Engine)
			}
			if diff := cmp.Diff(strings.TrimSpace(want.text), describe(s)); diff != "" {
				t.Error(diff)
			}
			for _, c := range s.Containers {
				if c.Created.IsZero() || (c.Service == "") != (c.Name == "hand") || c.Folder != "/srv/shop" {
					t.Errorf("container %+v", c)
				}
			}
			stirs := 0
			err = readEvents(strings.NewReader(string(answers["/events"])), func() { stirs++ })
			// Events of commands in containers don't count; all others do.
			all := strings.Count(string(answers["/events"]), "\n") - strings.Count(string(answers["/events"]), `"Action":"exec`)
			if err == nil || err.Error() != "it has ended the stream of events" || stirs != all {
				t.Errorf("%d of %d events counted, then: %v", stirs, all, err)
			}
		})
	}
}
