package credentials

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/failure"
)

// TestLoginIsPrivate: other users cannot read the token.
func TestLoginIsPrivate(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	store := Store{Home: home, Getenv: os.Getenv}
	if none, err := store.Logins(); err != nil || len(none) != 0 {
		t.Errorf("before any login: %+v, %v", none, err)
	}
	want := Login{Relay: "t.example.com", Token: "secret", Pin: "sha256/x"}
	if err := store.Remember(want); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Logins(); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("remembered %+v, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(home, loginsFile))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(home, loginsFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var e *failure.Error
	if _, err := store.Logins(); !errors.As(err, &e) || !strings.Contains(e.Fix, "devproxy relay login") {
		t.Errorf("a broken file is %v", err)
	}
}

// TestLogins: each login keeps its token and pin, the last one is the
// default, and files of older versions are read.
func TestLogins(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	store := Store{Home: home, Getenv: os.Getenv}
	t.Setenv(RelayVariable, "")
	t.Setenv(TokenVariable, "")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	old := `{"relay": "old.example.com", "token": "first", "pin": "sha256/o"}`
	if err := os.WriteFile(filepath.Join(home, loginsFile), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, relay := range []Login{{Relay: "a.example.com", Token: "a1"}, {Relay: "b.example.com:8443", Token: "b"}, {Relay: "cloudflare"}, {Relay: "a.example.com", Token: "a2", Pin: "sha256/a"}} {
		if err := store.Remember(relay); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.Logins()
	want := []Login{{"a.example.com", "a2", "sha256/a"}, {Relay: "cloudflare"}, {Relay: "b.example.com:8443", Token: "b"}, {"old.example.com", "first", "sha256/o"}}
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("%+v, %v", all, err)
	}
	for name, c := range map[string]struct {
		flag string
		want Login
	}{
		"the last login":         {"", want[0]},
		"an earlier one":         {"b.example.com:8443", want[2]},
		"one of an older file":   {"old.example.com", want[3]},
		"the same, with port":    {"old.example.com:443", Login{"old.example.com:443", "first", "sha256/o"}},
		"another port":           {"old.example.com:8443", Login{Relay: "old.example.com:8443"}},
		"one never logged in to": {"c.example.com", Login{Relay: "c.example.com"}},
	} {
		if got, err := store.Relays(c.flag, nil); err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	for i := range 2 * maxLogins {
		if err := store.Remember(Login{Relay: "r" + strconv.Itoa(i) + ".example.com"}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := store.Logins(); err != nil || len(all) != maxLogins {
		t.Errorf("%d are remembered, %v", len(all), err)
	}
	// An older version reads the last one.
	text, err := os.ReadFile(filepath.Join(home, loginsFile))
	var last Login
	if err != nil || json.Unmarshal(text, &last) != nil || last.Relay != all[0].Relay && !strings.HasPrefix(last.Relay, "r") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestRelayName(t *testing.T) {
	for text, want := range map[string]string{
		"t.example.com": "t.example.com", "https://t.example.com": "t.example.com", "HTTPS://T.example.com:8443/": "t.example.com:8443", "ssh://Me@t.example.com/": "ssh://Me@t.example.com/",
		" https://t.example.com/ ": "t.example.com", "https://t.example.com/x": "t.example.com/x", "http://t.example.com": "http://t.example.com",
		"https://": "https://", "": "",
	} {
		if got := RelayName(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	relays, err := (Store{Home: t.TempDir(), Getenv: os.Getenv}).Relays("https://A.example.com/, b.example.com:8443,https://c.example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, relay := range relays {
		names = append(names, relay.Relay)
	}
	if got := strings.Join(names, " "); got != "a.example.com b.example.com:8443 c.example.com" {
		t.Errorf("a list of relays is %q", got)
	}
	if !sameRelay("https://T.example.com/", "t.example.com:443") {
		t.Error("one relay counts as two")
	}
}

// TestSameRelay: the spellings of a relay's name.
func TestSameRelay(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"t.example.com", "T.Example.com:443", true}, {"t.example.com.", "t.example.com", true},
		{"t.example.com:8443", "t.example.com", false}, {"t.example.com", "u.example.com", false}, {"", "", false}, {"t.example.com", "", false},
	} {
		if got := sameRelay(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: %t", tt.a, tt.b, got)
		}
	}
}

// TestTokenGoesToNamedRelays: the environment's token goes to relays that the
// user names, however, and to none that only a Proxyfile does.
func TestTokenGoesToNamedRelays(t *testing.T) {
	const token, own = "0123456789abcdef", "fedcba9876543210"
	for name, tt := range map[string]struct {
		flag, file, env string
		login           Login
		relay, token    string
	}{
		"the flag":                 {flag: "a.example", file: "b.example", relay: "a.example", token: token},
		"the environment":          {env: "a.example", relay: "a.example", token: token},
		"the login":                {login: Login{Relay: "a.example"}, relay: "a.example", token: token},
		"the login's own":          {login: Login{Relay: "a.example", Token: own}, relay: "a.example", token: own},
		"the file":                 {file: "a.example", relay: "a.example"},
		"file over environment":    {file: "a.example", env: "b.example", relay: "a.example"},
		"file over login":          {file: "a.example", login: Login{Relay: "b.example", Token: own}, relay: "a.example"},
		"file and environment":     {file: "a.example", env: "A.example:443", relay: "a.example", token: token},
		"file and login":           {file: "a.example", login: Login{Relay: "a.example"}, relay: "a.example", token: token},
		"a file's almost the same": {file: "a.example.evil.example", env: "a.example", relay: "a.example.evil.example"},
	} {
		store := Store{Home: filepath.Join(t.TempDir(), "home"), Getenv: os.Getenv}
		if tt.login.Relay != "" {
			if err := store.Remember(tt.login); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv(TokenVariable, token)
		t.Setenv(RelayVariable, tt.env)
		var file []string
		if tt.file != "" {
			file = []string{tt.file}
		}
		all, err := store.Relays(tt.flag, file)
		if err != nil || len(all) != 1 || all[0].Relay != tt.relay || all[0].Token != tt.token {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
}
