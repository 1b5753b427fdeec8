package middleware

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

func TestCORS(t *testing.T) {
	own := plan.CORS{Hosts: []string{"*.tenant.localhost", "admin.localhost", "shop.localhost"}}
	listed := plan.CORS{Origins: []string{"https://app.example.com", "tauri://localhost"}}
	anybody := plan.CORS{Any: true}
	tests := []struct {
		cors        plan.CORS
		port        string
		plain       bool
		origin      string
		allowed     string // the expected field; empty for none
		credentials bool
	}{
		{cors: own, origin: "https://admin.localhost", allowed: "https://admin.localhost", credentials: true},
		{cors: own, origin: "https://ADMIN.localhost", allowed: "https://ADMIN.localhost", credentials: true},
		{cors: own, origin: "https://a.tenant.localhost", allowed: "https://a.tenant.localhost", credentials: true},
		{cors: own, origin: "https://a.b.tenant.localhost"},
		{cors: own, origin: "https://tenant.localhost"},
		{cors: own, origin: "https://.tenant.localhost"},
		{cors: own, origin: "https://admin.localhost:8443"},
		{cors: own, origin: "https://admin.localhost:443"},
		{cors: own, origin: "https://admin.localhost:"},
		{cors: own, origin: "http://admin.localhost"},
		{cors: own, origin: "https://admin.localhost.evil.example"},
		{cors: own, origin: "https://eviladmin.localhost"},
		{cors: own, origin: "https://admin.localhost/"},
		{cors: own, origin: "https://u@admin.localhost"},
		{cors: own, origin: "null"},
		{cors: own, origin: ""},
		{cors: own, port: "8443", origin: "https://admin.localhost:8443", allowed: "https://admin.localhost:8443", credentials: true},
		{cors: own, port: "8443", origin: "https://admin.localhost"},
		{cors: own, plain: true, port: "8080", origin: "http://admin.localhost:8080", allowed: "http://admin.localhost:8080", credentials: true},
		{cors: listed, origin: "https://app.example.com", allowed: "https://app.example.com", credentials: true},
		{cors: listed, origin: "tauri://localhost", allowed: "tauri://localhost", credentials: true},
		{cors: listed, origin: "https://app.example.com:444"},
		{cors: listed, origin: "https://admin.localhost"},
		{cors: anybody, origin: "https://evil.example", allowed: "*"},
		{cors: anybody, origin: "null", allowed: "*"},
		{cors: anybody, origin: "", allowed: "*"},
	}
	for _, test := range tests {
		route := routeOf(func(r *plan.Route) { put(r, test.cors) })
		s := newState(route)
		from := here()
		from.Port, from.Plain = test.port, test.plain
		broken := errors.New("broken")
		for _, fails := range []bool{false, true} {
			r := get()
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			w, err := ask(s, route, from, r, func(w http.ResponseWriter, _ *http.Request) error {
				if fails {
					return broken
				}
				// The upstream's own fields are replaced.
				w.Header().Set("Access-Control-Allow-Origin", "https://upstream.example")
				w.Header().Set("Access-Control-Allow-Credentials", "true")
				w.Header().Set("Access-Control-Expose-Headers", "X-Total")
				w.Header().Set("Vary", "Accept")
				w.WriteHeader(http.StatusCreated)
				return nil
			})
			if fails != errors.Is(err, broken) {
				t.Fatalf("%q: %v", test.origin, err)
			}
			checkAllowed(t, test.origin, w.Header(), test.allowed, test.credentials)
			if varies := strings.Contains(strings.Join(w.Header()["Vary"], ","), "Origin"); varies == test.cors.Any {
				t.Errorf("%q: Vary %q", test.origin, w.Header()["Vary"])
			}
			if !fails && w.Header().Get("Access-Control-Expose-Headers") != "X-Total" {
				t.Errorf("%q: %v", test.origin, w.Header())
			}
		}
		if test.origin != "" {
			testPreflight(t, s, route, from, test.origin, test.allowed, test.credentials)
		}
	}
}

func checkAllowed(t *testing.T, origin string, h http.Header, allowed string, credentials bool) {
	t.Helper()
	if got := strings.Join(h["Access-Control-Allow-Origin"], "|"); got != allowed {
		t.Errorf("%q: Access-Control-Allow-Origin %q, want %q", origin, got, allowed)
	}
	if got := h.Get("Access-Control-Allow-Credentials") == "true"; got != credentials {
		t.Errorf("%q: with credentials %v", origin, got)
	}
}

func testPreflight(t *testing.T, s *State, route *plan.Route, from From, origin, allowed string, credentials bool) {
	t.Helper()
	r := request("OPTIONS", "", "Origin", origin, "Access-Control-Request-Method", "PATCH",
		"Access-Control-Request-Headers", "content-type,x-debug", "Access-Control-Request-Private-Network", "true")
	w, err := ask(s, route, from, r, func(http.ResponseWriter, *http.Request) error {
		t.Errorf("%q: the upstream got a request", origin)
		return nil
	})
	checkAllowed(t, origin, w.Header(), allowed, credentials)
	var refused *OriginError
	if allowed == "" {
		if !errors.As(err, &refused) || refused.Origin != origin {
			t.Errorf("%q: %v", origin, err)
		}
		return
	}
	h := w.Header()
	if err != nil || w.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Methods") != "PATCH" || h.Get("Access-Control-Allow-Headers") != "content-type,x-debug" ||
		h.Get("Access-Control-Allow-Private-Network") != "true" || h.Get("Access-Control-Max-Age") != "600" || !strings.Contains(strings.Join(h["Vary"], ","), "Access-Control-Request-Headers") {
		t.Errorf("%q: %d %v, %v", origin, w.Code, h, err)
	}
}

// TestPreflightBeforePassword: browsers send preflights without credentials.
func TestPreflightBeforePassword(t *testing.T) {
	route := routeOf(func(r *plan.Route) {
		put(r, plan.CORS{Hosts: []string{"admin.localhost"}})
		put(r, plan.BasicAuth{{Name: "ana", Hash: hashed(t, "secret", 4)}})
	})
	s := newState(route)
	w, err := ask(s, route, here(), request("OPTIONS", "", "Origin", "https://admin.localhost", "Access-Control-Request-Method", "PUT"), fine)
	if err != nil || w.Code != http.StatusNoContent {
		t.Errorf("%d, %v", w.Code, err)
	}
	w, err = ask(s, route, here(), get("Origin", "https://admin.localhost"), fine)
	var unauthorized *UnauthorizedError
	if !errors.As(err, &unauthorized) || w.Header().Get("Access-Control-Allow-Origin") != "https://admin.localhost" {
		t.Errorf("%v, %v: a script must be able to read why", w.Header(), err)
	}
}

// TestOwnOrigin: requests of a page to its own host need no CORS fields.
func TestOwnOrigin(t *testing.T) {
	route := routeOf(func(r *plan.Route) { put(r, plan.CORS{Origins: []string{"https://app.example.com"}}) })
	s := newState(route)
	asked := false
	w, err := ask(s, route, here(), request("OPTIONS", "", "Origin", "https://shop.localhost", "Access-Control-Request-Method", "PUT"), func(w http.ResponseWriter, _ *http.Request) error {
		asked = true
		w.WriteHeader(http.StatusOK)
		return nil
	})
	if err != nil || !asked || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v, %v", w.Header(), err)
	}
}

func TestPreflightIsBounded(t *testing.T) {
	route := routeOf(func(r *plan.Route) { put(r, plan.CORS{Any: true}) })
	s := newState(route)
	for _, fields := range []string{strings.Repeat("x", maxAskedFields+1), "a b", "x\"y", "é"} {
		_, err := ask(s, route, here(), request("OPTIONS", "", "Origin", "https://a.test", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", fields), fine)
		if err == nil {
			t.Errorf("%.20q is sent back", fields)
		}
	}
}

// TestTokens puts every byte first, in the middle and last in what a preflight
// names (RFC 9110 section 5.6.2).
func TestTokens(t *testing.T) {
	for c := range 256 {
		text := string([]byte{byte(c)})
		want := strings.Contains("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", text)
		for _, token := range []string{text, text + "a", "a" + text + "b", "b" + text} {
			if got := field.IsToken(token); got != want {
				t.Errorf("%q: %v", token, got)
			}
		}
	}
	if field.IsToken("") {
		t.Error("nothing is a token")
	}
}

// FuzzOrigin: no origin is allowed that a plain reading of the list does not have.
func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://a.tenant.localhost", "https://admin.localhost:8443", "null", "https://admin.localhost:", "https://admin.localhost@evil.example", "https://[::1]", "https://admin.localhost\x00"} {
		f.Add(seed, "")
		f.Add(seed, "8443")
	}
	hosts := []string{"*.tenant.localhost", "admin.localhost"}
	f.Fuzz(func(t *testing.T, origin, port string) {
		if !isHost(&plan.CORS{Hosts: hosts}, origin, From{Port: port}) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil {
			t.Fatalf("%q is not a URL", origin)
		}
		end := ""
		if port != "" {
			end = ":" + port
		}
		label, below := strings.CutSuffix(u.Hostname(), ".tenant.localhost")
		if origin != "https://admin.localhost"+end && (!below || label == "" || strings.Contains(label, ".") || origin != "https://"+label+".tenant.localhost"+end) {
			t.Fatalf("%q is let in on port %q", origin, port)
		}
	})
}

// TestAnswerWithoutAWord: net/http writes the head of an answer that is nothing
// else, and it says who may read it too.
func TestAnswerWithoutAWord(t *testing.T) {
	route := routeOf(func(r *plan.Route) { put(r, plan.CORS{Any: true}) })
	w, err := ask(newState(route), route, here(), get(), func(http.ResponseWriter, *http.Request) error { return nil })
	if err != nil || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v, %v", w.Header(), err)
	}
}
