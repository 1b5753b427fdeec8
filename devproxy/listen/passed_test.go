package listen

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// TestSortPassed checks what each socket that systemd passes is used for.
func TestSortPassed(t *testing.T) {
	const frontPath = "/run/user/1000/devproxy/front.sock"
	for _, test := range []struct {
		sockets string // NAME=ADDRESS
		want    string // the names in order, or an error
	}{
		{"https=127.0.0.1:443 https=[::1]:443 http=127.0.0.1:80 front=" + frontPath, "https 127.0.0.1:443 [::1]:443 http 127.0.0.1:80 front"},
		{"http=127.0.0.1:8443 https=127.0.0.1:80", "https 127.0.0.1:80 http 127.0.0.1:8443"},
		{"=127.0.0.1:443 =[::1]:443 =127.0.0.1:80 =" + frontPath, "https 127.0.0.1:443 [::1]:443 http 127.0.0.1:80 front"},
		{"devproxy.socket=127.0.0.1:80 devproxy.socket=127.0.0.1:443", "https 127.0.0.1:443 http 127.0.0.1:80"},
		{"=127.0.0.1:9443 =127.0.0.1:8080", "https 127.0.0.1:9443 http 127.0.0.1:8080"},
		{"front=" + frontPath, "https http front"},
		{"https=0.0.0.0:443", "which others could reach, and devproxy serves this machine only: write ListenStream=127.0.0.1:443"},
		{"=[::]:443", "which others could reach"},
		{"=192.0.2.1:443", "which others could reach"},
		{"=/tmp/front.sock", "projects look for the front at " + frontPath},
		{"https=127.0.0.1:443 admin=127.0.0.1:9000", `127.0.0.1:9000 with the name "admin": use https or http for TCP, and front for the one unix socket`},
		{"front=127.0.0.1:443", `the name "front"`},
		{"https=" + frontPath, `the name "https"`},
	} {
		var all []passedSocket
		addresses := map[*os.File]net.Addr{}
		for entry := range strings.FieldsSeq(test.sockets) {
			name, address, _ := strings.Cut(entry, "=")
			s := passedSocket{name: name, file: new(os.File), addr: &net.UnixAddr{Name: address, Net: "unix"}}
			if !strings.HasPrefix(address, "/") {
				tcp, err := net.ResolveTCPAddr("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				s.addr = tcp
			}
			addresses[s.file] = s.addr
			all = append(all, s)
		}
		p, err := sortPassed(all, frontPath)
		got := fmt.Sprint(err)
		if err == nil {
			got = "https"
			for _, f := range p.https {
				got += " " + addresses[f].String()
			}
			got += " http"
			for _, f := range p.http {
				got += " " + addresses[f].String()
			}
			if p.front != nil {
				got += " front"
			}
		}
		if err == nil && got != test.want || err != nil && !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.sockets, got, test.want)
		}
	}
}
