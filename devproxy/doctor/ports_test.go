package doctor

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/listen"
)

func TestPortFinding(t *testing.T) {
	nginx := &listen.Holder{PID: 7, Name: "nginx", Text: "nginx (pid 7, root)"}
	systemd := &listen.Holder{PID: 1, Name: "systemd", Text: "systemd (pid 1, root)"}
	for name, test := range map[string]struct {
		err         error
		secure, own bool
		want        string
	}{
		"taken":               {&listen.BindError{Reason: listen.Taken, Holder: nginx, Fix: "kill 7"}, true, false, "warning nginx (pid 7, root) is using it: up uses 8443 or the next free port | kill 7"},
		"taken, plain":        {&listen.BindError{Reason: listen.Taken, Holder: nginx, Fix: "kill 7"}, false, false, "warning nginx (pid 7, root) is using it: http:// addresses are not redirected | kill 7"},
		"a port of its own":   {&listen.BindError{Reason: listen.Taken, Holder: nginx, Fix: "kill 7"}, true, true, "fault nginx (pid 7, root) is using it: up can't start | kill 7"},
		"not allowed":         {&listen.BindError{Reason: listen.Permission, Fix: "allow it"}, true, false, "warning this machine does not allow it: up uses 8443 or the next free port | allow it"},
		"socket activation":   {&listen.BindError{Reason: listen.Taken, Holder: systemd, Fix: "kill 1"}, true, false, "warning systemd, for socket activation, is using it: up uses 8443 or the next free port | systemctl list-sockets"},
		"for another reason":  {&listen.BindError{Err: errors.New("no buffer space")}, true, false, "unknown can't be tested: cannot listen on invalid AddrPort: no buffer space"},
		"an address of a NIC": {errors.New("no such address"), true, false, "unknown can't be tested: no such address"},
	} {
		expect(t, name, []Finding{portFinding(test.err, test.secure, test.own)}, test.want)
	}
}

// TestSocketActivation has a unit of the user, and holders of the port.
func TestSocketActivation(t *testing.T) {
	home := realDir(t)
	unit := filepath.Join(home, ".config", "systemd", "user", "devproxy.socket")
	s := subject(t, `host "shop.localhost" { respond = 204 }`, variables{"HOME": home})
	taken := func(h listen.Holder) error { return &listen.BindError{Reason: listen.Taken, Holder: &h} }
	if got := s.activates(taken(listen.Holder{Name: "systemd"})); got != "" && !strings.HasPrefix(got, "/etc/") {
		t.Errorf("without a unit: %q", got)
	}
	write(t, unit, "[Socket]\n")
	for _, h := range []listen.Holder{{Name: "systemd"}, {User: "root"}} {
		if got := s.activates(taken(h)); got == "" {
			t.Errorf("%+v: no unit", h)
		}
	}
	for _, h := range []listen.Holder{{Name: "nginx", User: "root"}, {User: "ann"}} {
		if got := s.activates(taken(h)); got != "" {
			t.Errorf("%+v: %q", h, got)
		}
	}
}

// TestPorts has instances on several ports, and a free port of the project's own.
func TestPorts(t *testing.T) {
	s := subject(t, `host "shop.localhost" { respond = 204 }`, nil)
	plain := "127.0.0.1:80"
	s.found.statuses = []control.Status{{Folder: "/shop", HTTPS: "127.0.0.1:443", HTTP: &plain}, {Folder: "/blog", HTTPS: "[::1]:443"}, {Folder: "/nas", HTTPS: "127.0.0.1:9443"}}
	s.runsOnce.Do(func() {})
	expect(t, "HTTPS", checkHTTPS(t.Context(), s), "443 fine shared by your 2 projects")
	expect(t, "HTTP", checkHTTP(t.Context(), s), "80 fine used by devproxy in /shop")
	s.Project.HTTPS, s.Project.HTTP = "127.0.0.1:9443", "0"
	expect(t, "its own port, in use", checkHTTPS(t.Context(), s), "9443 fine used by devproxy in /nas")
	expect(t, "its own port, free", checkHTTP(t.Context(), s), "0 fine free, and devproxy may use it")
	taken := listening(t, "tcp", "127.0.0.1:0")
	s.Project.HTTPS = taken
	if got := checkHTTPS(t.Context(), s); len(got) != 1 || got[0].State != Fault || got[0].Check != taken || got[0].Fix == "" {
		t.Errorf("its own port, taken: %+v", got)
	}
}
