//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// containerClient is a program that requests its argument and prints the response.
const containerClient = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	response, err := http.Get(os.Args[1])
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Printf("answered: %s\n", body)
}
`

// TestE2EEnvContainer runs a container with the lines that `devproxy env --container`
// prints, given to podman run: it reaches a host of the project and trusts the CA, and
// without them it does not. Debian's podman-compose joins a network next to that of the
// host, which Podman refuses.
func TestE2EEnvContainer(t *testing.T) {
	if !onMachine(t) {
		return
	}
	p := newPodman(t)
	dir := shortDir(t)
	saveFile(t, filepath.Join(dir, "main.go"), containerClient)
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "server"), filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	saveFile(t, filepath.Join(dir, "Containerfile"), "FROM scratch\nCOPY server /client\nENTRYPOINT [\"/client\"]\n")
	p.run("build", "--format", "docker", "--isolation", "chroot", "--tag", "localhost/client", dir)

	patient := newPatient(t, `host "shop.localhost" { respond = { status = 200, body = "from the host" } }`)
	startBeside(t, patient.place, patient.dir, "up", "--json").await("ready")
	printed, err := patient.run("devproxy env --container --json")
	if err != nil {
		t.Fatal(err)
	}
	var e containerEnv
	if err := json.Unmarshal([]byte(printed), &e); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	trust := []string{"run", "--rm"}
	for _, m := range e.Mounts {
		trust = append(trust, "--volume", m.Source+":"+m.Target+":ro")
	}
	for name, value := range e.Environment {
		trust = append(trust, "--env", name+"="+value)
	}
	if len(e.ExtraHosts) != 1 || e.NetworkMode != "host" {
		t.Fatalf("devproxy env --container printed %s", printed)
	}
	run := func(want string, args ...string) {
		t.Helper()
		out, _ := p.try("podman", append(args, "localhost/client", "https://shop.localhost/")...) // the output says whether it worked
		if !strings.Contains(out, want) {
			t.Errorf("%q printed\n%s\nwant %s", args, out, want)
		}
	}
	reach := []string{"--network", e.NetworkMode, "--add-host", e.ExtraHosts[0]}
	run("answered: from the host", append(slices.Clone(trust), reach...)...)
	run("certificate signed by unknown authority", append([]string{"run", "--rm"}, reach...)...)
	// The bridge's address is that of this machine, and nothing listens there.
	gateway := p.run("network", "inspect", "podman", "--format", "{{(index .Subnets 0).Gateway}}")
	run("connection refused", append(slices.Clone(trust), "--add-host", "shop.localhost:"+gateway)...)
	// The key is nowhere in the container.
	for _, m := range e.Mounts {
		if text := readText(t, m.Source); strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("%s has a key", m.Source)
		}
	}
}
