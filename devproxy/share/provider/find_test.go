package provider

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/tunnel/agent"
)

func TestFind(t *testing.T) {
	for relay, want := range map[string]Provider{
		"localhost.run":               {Name: "localhost.run", Operator: "localhost.run"},
		"pinggy":                      {Name: "pinggy", Operator: "Pinggy"},
		"ssh://vps.example.com":       {Name: "ssh://vps.example.com", Operator: "vps.example.com"},
		"SSH://me@VPS.example.com:22": {Name: "SSH://me@VPS.example.com:22", Operator: "vps.example.com"},
		"ssh://me@vps?listen=8080&url=https://demo.example.com": {
			Name: "ssh://me@vps?listen=8080&url=https://demo.example.com", Operator: "vps", MaxHosts: 1,
		},
	} {
		got, err := Find(relay)
		if err != nil || got.Name != want.Name || got.Operator != want.Operator || got.MaxHosts != want.MaxHosts || got.opener == nil {
			t.Errorf("%s is %+v, %v; want %+v", relay, got, err, want)
		}
	}
	for _, relay := range []string{"", "t.example.com", "t.example.com:8443", "localhost.run.example.com", "pinggy.example.com", "ssh", "ssh.example.com", "ssh:", "share.localhost"} {
		if got, err := Find(relay); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q is %+v, %v; want ErrUnknown", relay, got, err)
		}
	}
}

func TestNames(t *testing.T) {
	names := Names()
	for _, name := range []string{"localhost.run", "pinggy", "ssh://"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %v", name, names)
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, "://") {
			name += "vps.example.com"
		}
		if p, err := Find(name); err != nil || p.Operator == "" {
			t.Errorf("%s is %+v, %v", name, p, err)
		}
	}
}

func TestParseSSH(t *testing.T) {
	for text, want := range map[string]sshServer{
		"ssh://vps":                        {host: "vps", port: 22, listen: "localhost", listenPort: 80},
		"ssh://me@tuns.sh:2222/":           {user: "me", host: "tuns.sh", port: 2222, listen: "localhost", listenPort: 80},
		"ssh://192.0.2.1?listen=8080":      {host: "192.0.2.1", port: 22, listen: "localhost", listenPort: 8080},
		"ssh://[2001:db8::1]:22":           {host: "2001:db8::1", port: 22, listen: "localhost", listenPort: 80},
		"ssh://tuns.sh?listen=myapp:80":    {host: "tuns.sh", port: 22, listen: "myapp", listenPort: 80},
		"ssh://vps?listen=172.17.0.1:8080": {host: "vps", port: 22, listen: "172.17.0.1", listenPort: 8080},
		"ssh://vps?listen=[::1]:8080":      {host: "vps", port: 22, listen: "::1", listenPort: 8080},
		"ssh://a+b.c@vps":                  {user: "a+b.c", host: "vps", port: 22, listen: "localhost", listenPort: 80},
		"ssh://m%C3%A9@vps":                {user: "mé", host: "vps", port: 22, listen: "localhost", listenPort: 80},
		"ssh://vps?listen=1&url=https://d.example.com:8443": {
			host: "vps", port: 22, listen: "localhost", listenPort: 1, public: link{"d.example.com", 8443},
		},
		"ssh://vps?url=https%3A%2F%2Fd.example.com%2F&listen=1": {
			host: "vps", port: 22, listen: "localhost", listenPort: 1, public: link{"d.example.com", 443},
		},
		"ssh://plan@localhost.run?listen=example.com:80": {
			user: "plan", host: "localhost.run", port: 22, listen: "example.com", listenPort: 80, command: "--output json", pin: localhostRunServer.pin,
		},
		"ssh://my_vps?listen=my_front:80": {host: "my_vps", port: 22, listen: "my_front", listenPort: 80},
		"ssh://TOKEN@pro.pinggy.io:443":   {user: "TOKEN", host: "pro.pinggy.io", port: 443, listen: "localhost", listenPort: 0},
	} {
		want.word = text
		if got, err := parseSSH(text); err != nil || *got != want {
			t.Errorf("%s is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"ssh://":                              "is not a host",
		"ssh://:22":                           "is not a host",
		"ssh://me:secret@vps":                 "password",
		"ssh://me:@vps":                       "password",
		"ssh://@vps":                          "not a name",
		"ssh://a%0ab@vps":                     "not a name",
		"ssh://a%20b@vps":                     "not a name",
		"ssh://vps/path":                      `no path "/path"`,
		"ssh://vps//":                         "no path",
		"ssh://vps#x":                         "no fragment",
		"ssh://vps:0":                         "not a port",
		"ssh://vps:":                          "not a port",
		"ssh://vps:65536":                     "not a port",
		"ssh://vps:x":                         "not a URL",
		"ssh://-vps":                          "is not a host",
		"ssh://vps%00":                        "not a URL",
		"ssh://[fe80::1%25eth0]":              "is not a host",
		"ssh://vps?port=22":                   `unknown parameter "port"`,
		"ssh://vps?listen=80&listen=81":       "twice",
		"ssh://vps?%zz":                       "NAME=VALUE",
		"ssh://vps?listen=":                   "not a port",
		"ssh://vps?listen=0":                  "not a port",
		"ssh://vps?listen=x":                  "not a port",
		"ssh://vps?listen=a:b:80":             "not PORT or ADDRESS:PORT",
		"ssh://vps?listen=a/b:80":             "is not a host",
		"ssh://vps?listen=*:80":               "is not a host",
		"ssh://vps?listen=:80":                "is not a host",
		"ssh://vps?url=https://d.example.com": "url needs listen",
		"ssh://vps?listen=80&url=http://d.example.com":       "does not begin with https://",
		"ssh://vps?listen=80&url=d.example.com":              "does not begin with https://",
		"ssh://vps?listen=80&url=https://localhost":          "not a public host name",
		"ssh://vps?listen=80&url=https://192.0.2.1":          "is an address",
		"ssh://vps?listen=80&url=https://d.example.com/path": "not a public host name",
		"ssh://vps?listen=80&url=":                           "does not begin with https://",
	} {
		_, err := Find(text)
		e := wantError(t, err, agent.ReasonRelay, says, "write ssh://USER@HOST:PORT", "listen=8080&url=https://demo.example.com")
		if strings.Contains(e.Error()+e.Fix, "secret") {
			t.Errorf("the password is told: %v", e)
		}
	}
}

func TestLogin(t *testing.T) {
	if got := (&sshServer{user: "me"}).login(); got != "me" {
		t.Errorf("the user is %q", got)
	}
	if got := new(sshServer).login(); got == "" || strings.Contains(got, `\`) {
		t.Errorf("the user is %q", got)
	}
}

func TestBase(t *testing.T) {
	for text, want := range map[string]string{
		"ssh://me@vps:22/?listen=80":  "ssh://me@vps",
		"ssh://VPS:2222":              "ssh://vps:2222",
		"ssh://[2001:db8::1]":         "ssh://[2001:db8::1]:22",
		"ssh://m%C3%A9@vps?listen=80": "ssh://m%C3%A9@vps",
	} {
		s, err := parseSSH(text)
		if err != nil || s.base() != want {
			t.Errorf("%s is at %s, %v; want %s", text, s.base(), err, want)
		}
	}
}
