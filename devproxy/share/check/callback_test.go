package check

import (
	"net/http"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/doctor"
)

// TestCallback: the callback host must lead to this machine for a state that no share knows.
func TestCallback(t *testing.T) {
	to := func(origin string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("the callback host gets the token of the check")
			}
			w.Header().Set("Location", origin+r.URL.RequestURI())
			w.WriteHeader(http.StatusFound)
		}
	}
	for name, step := range map[string]struct {
		answer http.HandlerFunc
		want   doctor.State
		text   string
	}{
		"to this machine":        {to("https://shop.localhost:8443"), doctor.Fine, "https://shop.localhost:8443"},
		"without a local origin": {status(http.StatusNotFound), doctor.Fine, "only to the share"},
		"to a share":             {to("https://host0.share.example"), doctor.Fault, "not on this machine"},
		"without the state": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://shop.localhost/auth/callback")
			w.WriteHeader(http.StatusFound)
		}, doctor.Fault, "not on this machine"},
		"an app": {page("<h1>app</h1>"), doctor.Fault, "200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := startEdge(t, nil, "shop.localhost")
			e.on("/auth/callback", step.answer)
			s.Share.Callback = []string{strings.Replace(e.hosts[0].URL, "host0.", "callback.", 1) + "/auth/callback"}
			wants(t, e.check(s), "callback", step.want, step.text)
		})
	}
}
