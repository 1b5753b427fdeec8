package tunnel

import (
	"crypto/ed25519"
	"net/url"
	"strings"
	"testing"
)

func TestCallbackName(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	name := CallbackName(key, "t.example.com")
	if name != "callback-t20f0z2azny6wwp9.t.example.com" || !TokenName(name) {
		t.Errorf("the name is %q", name)
	}
	if other := CallbackName(key, "u.example.com"); strings.HasPrefix(other, name[:len("callback-")+LinkLength]) {
		t.Errorf("at another relay the name is %q", other)
	}
	for text, want := range map[string]string{"callback": "callbacks", "Callback!": "callbacks", "my-callback": "my-callback"} {
		if got := Label(text); got != want {
			t.Errorf("the label of %q is %q, want %q", text, got, want)
		}
	}
}

func TestCallbackPath(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/auth/callback": true, "/a/": true, "/a.b/~c/$d;e=f": true, "/" + strings.Repeat("a", MaxCallbackPath-1): true,
		"": false, "auth": false, "//": false, "//evil.example": false, "/a//b": false, "/.": false, "/a/..": false, "/../a": false, "/a%2fb": false,
		`/\evil.example`: false, "/a?b": false, "/a#b": false, "/a b": false, "/é": false, "/a\n": false, "/" + strings.Repeat("a", MaxCallbackPath): false,
	} {
		if got := IsCallbackPath(path); got != want {
			t.Errorf("%q: %t, want %t", path, got, want)
		}
	}
}

func TestLocalOrigin(t *testing.T) {
	for origin, want := range map[string]bool{
		"https://shop.localhost": true, "https://localhost": true, "https://a.b.localhost:8443": true, "https://feature_x.shop.localhost:1": true,
		"": false, "http://shop.localhost": false, "https://evil.example": false, "https://localhost.evil.example": false, "https://evillocalhost": false,
		"https://x@shop.localhost": false, "https://shop.localhost:443": false, "https://shop.localhost:0": false, "https://shop.localhost:08": false,
		"https://shop.localhost:": false, "https://shop.localhost:70000": false, "https://shop.localhost/": false, "https://shop.localhost?x": false, "https://shop.localhost#x": false,
		"https://.localhost": false, "https://SHOP.localhost": false, "https://evil.example\\.localhost": false, "https://evil.example/.localhost": false, "//shop.localhost": false,
		"https://shop.localhost:1:2": false, "https://127.0.0.1": false, "https://*.localhost": false,
	} {
		if got := IsLocalOrigin(origin); got != want {
			t.Errorf("%q: %t, want %t", origin, got, want)
		}
		if u, err := url.Parse(origin); want && (err != nil || u.Scheme != "https" || !strings.HasSuffix("."+u.Hostname(), ".localhost") || u.User != nil) {
			t.Errorf("%q is parsed as %v, %v", origin, u, err)
		}
	}
}

func TestStateOf(t *testing.T) {
	long := strings.Repeat("s", MinState)
	for _, test := range []struct {
		query, form string
		want        string
	}{{"state=" + long, "", long}, {"", "state=" + long, long}, {"state=" + long, "state=" + long, ""}, {"state=" + long[1:], "", ""}, {"", "", ""}} {
		query, _ := url.ParseQuery(test.query)
		form, _ := url.ParseQuery(test.form)
		if got, ok := StateOf(query, form); got != test.want || ok != (test.want != "") {
			t.Errorf("%q and %q: %q, %t", test.query, test.form, got, ok)
		}
	}
	if hash := StateHash(long); !IsStateHash(hash) || hash == StateHash(long+"s") || IsStateHash(hash+"x") || IsStateHash("") {
		t.Errorf("the hash is %q", hash)
	}
}
