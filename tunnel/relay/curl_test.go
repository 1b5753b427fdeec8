package relay

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestCurl: a client other than Go's, with both protocols, with an upload that curl
// announces (Expect), and one of unknown length.
func TestCurl(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("X-Agent-Saw", r.Method+" "+r.RequestURI+" "+r.Host)
		_, _ = io.Copy(w, r.Body)
	})).grant.Hosts[0]
	dir := t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "file")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.ca.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 5<<20)
	_, _ = rand.Read(data)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(w.addr)
	for _, version := range []string{"--http1.1", "--http2"} {
		for name, args := range map[string][]string{
			"a length": {"-T", file},
			"chunks":   {"-T", "-"},
		} {
			cmd := exec.Command("curl", append([]string{
				"-sS", version, "--path-as-is", "--cacert", ca, "--connect-to", "::127.0.0.1:" + port,
				"-D", filepath.Join(dir, "head"), "https://" + host + "/a/../b%2F?q",
			}, args...)...)
			cmd.Stdin = bytes.NewReader(data)
			var back, errors bytes.Buffer
			cmd.Stdout, cmd.Stderr = &back, &errors
			if err := cmd.Run(); err != nil || !bytes.Equal(back.Bytes(), data) {
				t.Errorf("%s, %s: %v, %d bytes came back; %s", version, name, err, back.Len(), errors.Bytes())
			}
			head, _ := os.ReadFile(filepath.Join(dir, "head"))
			if want := "PUT /a/../b%2F?q " + host; !bytes.Contains(head, []byte(want)) {
				t.Errorf("%s, %s: no %q in\n%s", version, name, want, head)
			}
		}
	}
}
