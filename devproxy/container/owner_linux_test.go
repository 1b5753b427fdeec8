package container

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestOtherOwner refuses a socket of another user in a usual place, where that user could
// have put it. It accepts one that DOCKER_HOST names.
func TestOtherOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root to give a socket away")
	}
	host := serve(t, http.NotFoundHandler())
	path := strings.TrimPrefix(host, "unix://")
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	_, err := firstThatAccepts(t.Context(), []place{{network: "unix", path: path, source: "the default"}})
	if err == nil || !strings.Contains(err.Error(), "(belongs to another user)") {
		t.Errorf("the socket of another user: %v", err)
	}
	chosen, err := parsePlace(host, "DOCKER_HOST")
	if err == nil {
		_, err = firstThatAccepts(t.Context(), []place{chosen})
	}
	if err != nil {
		t.Errorf("the socket that DOCKER_HOST names: %v", err)
	}
}
