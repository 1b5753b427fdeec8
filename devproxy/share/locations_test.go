package share

import (
	"net/http"
	"testing"
)

// TestLocations: every field that is a URL leads a visitor to the public host, and
// one that leads elsewhere stays as it is.
func TestLocations(t *testing.T) {
	s := mustNew(t, several())
	for _, name := range []string{
		"Location", "Content-Location", "Access-Control-Allow-Origin", "HX-Location", "HX-Redirect", "HX-Push-Url", "HX-Replace-Url",
		"SourceMap", "X-SourceMap", "X-Inertia-Location", "Turbolinks-Location", "X-PJAX-URL",
	} {
		for value, want := range map[string]string{
			"https://shop.localhost:8443/a?b#c":            "https://" + shop + "/a?b#c",
			"http://shop.localhost:8080/a":                 "https://" + shop + "/a",
			"//admin.shop.localhost:8443/x":                "//" + admin + "/x",
			"/only/a/path":                                 "/only/a/path",
			"main.js.map":                                  "main.js.map",
			"https://example.com/?u=//shop.localhost:8443": "https://example.com/?u=//shop.localhost:8443",
			"data:application/json;base64,e30=":            "data:application/json;base64,e30=",
			"":                                             "",
		} {
			h := http.Header{}
			h.Set(name, value)
			for range 2 { // twice changes nothing more
				s.Outward(h, 200, visitorOf(shop), nil)
			}
			if got := h.Get(name); got != want {
				t.Errorf("%s: %q becomes %q, want %q", name, value, got, want)
			}
		}
	}
	for _, c := range []struct{ name, value, want string }{
		{"HX-Location", `{"path":"https://shop.localhost:8443/a&b","target":"#x"}`, `{"path":"https://` + shop + `/a\u0026b","target":"#x"}`},
		{"HX-Location", `{"path": "/a", "target":"#x"}`, `{"path": "/a", "target":"#x"}`},
		{"HX-Location", `{"path": 5}`, `{"path": 5}`},
		{"HX-Location", `{broken`, `{broken`},
		{"Timing-Allow-Origin", "https://shop.localhost:8443, https://example.com,https://admin.shop.localhost:8443", "https://" + shop + ", https://example.com,https://" + admin},
		{"Timing-Allow-Origin", "*", "*"},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		s.Outward(h, 200, visitorOf(shop), nil)
		if got := h.Get(c.name); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// TestCurrentURL: htmx tells its page, which the project compares with its own.
func TestCurrentURL(t *testing.T) {
	s := mustNew(t, several())
	for value, want := range map[string]string{
		"https://" + shop + "/cart?x": "https://shop.localhost:8443/cart?x",
		"https://example.com/cart":    "https://example.com/cart",
	} {
		in, _ := admit(s, ask("GET", shop, "/", "Hx-Current-Url", value))
		if got := in.Header.Get("HX-Current-URL"); got != want {
			t.Errorf("%q becomes %q, want %q", value, got, want)
		}
	}
}
