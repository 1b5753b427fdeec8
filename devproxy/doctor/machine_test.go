package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/localca"
)

func TestProxy(t *testing.T) {
	const noted = "; the browser's own (PAC) isn't checked"
	const missing = " is set, and NO_PROXY does not have localhost"
	const secret = "http://ann:secret@proxy.example:8080"
	for name, test := range map[string]struct {
		env  variables
		want string
	}{
		"none":                         {variables{}, "fine none set" + noted},
		"without exceptions":           {variables{"https_proxy": secret}, `fault https_proxy` + missing + ` | export NO_PROXY="$NO_PROXY,localhost,127.0.0.1,::1" no_proxy="$no_proxy,localhost,127.0.0.1,::1"`},
		"with others":                  {variables{"ALL_PROXY": secret, "no_proxy": "intern.example, 10.0.0.0/8"}, `fault ALL_PROXY` + missing + ` | export no_proxy="$no_proxy,localhost,127.0.0.1,::1"`},
		"localhost":                    {variables{"HTTP_PROXY": secret, "NO_PROXY": "a.example, localhost"}, "fine NO_PROXY covers the names" + noted},
		"its own name":                 {variables{"HTTP_PROXY": secret, "NO_PROXY": ".shop.localhost,shop.localhost"}, "fine NO_PROXY covers the names" + noted},
		"everything":                   {variables{"HTTP_PROXY": secret, "NO_PROXY": "*"}, "fine NO_PROXY covers the names" + noted},
		"another name":                 {variables{"HTTP_PROXY": secret, "NO_PROXY": "p.localhost"}, `fault HTTP_PROXY` + missing + ` | export NO_PROXY="$NO_PROXY,localhost,127.0.0.1,::1"`},
		"one of two variables has it":  {variables{"HTTP_PROXY": secret, "NO_PROXY": "localhost", "no_proxy": "a"}, `fault HTTP_PROXY` + missing + ` | export NO_PROXY="$NO_PROXY,localhost,127.0.0.1,::1" no_proxy="$no_proxy,localhost,127.0.0.1,::1"`},
		"a proxy, and only spaces too": {variables{"HTTP_PROXY": secret, "NO_PROXY": " , "}, `fault HTTP_PROXY` + missing + ` | export NO_PROXY="$NO_PROXY,localhost,127.0.0.1,::1"`},
	} {
		got := checkProxy(t.Context(), subject(t, `host "shop.localhost" { respond = 204 }`, test.env))
		expect(t, name, got, test.want)
	}
}

func TestClock(t *testing.T) {
	s := subject(t, `host "shop.localhost" { respond = 204 }`, nil)
	s.Built = time.Now().Add(48 * time.Hour)
	got := checkClock(t.Context(), s)
	if len(got) != 1 || got[0].State != Fault || !strings.HasSuffix(got[0].Detail, "and this devproxy was built later") || got[0].Fix == "" {
		t.Errorf("a clock before the build: %+v", got)
	}
	s.Built = time.Time{}
	if got := checkClock(t.Context(), s); len(got) != 1 || got[0].State != Fine {
		t.Errorf("without a CA: %+v", got)
	}

	s = subject(t, `host "shop.localhost" { respond = 204 }`, nil)
	ca, err := localca.Open(s.Home)
	if err != nil {
		t.Fatal(err)
	}
	if got := checkClock(t.Context(), s); len(got) != 1 || got[0].State != Fine {
		t.Errorf("with a CA: %+v", got)
	}
	later := time.Now().Add(48 * time.Hour)
	if err := os.Chtimes(ca.RootFile(), later, later); err != nil {
		t.Fatal(err)
	}
	if got := checkClock(t.Context(), s); len(got) != 1 || got[0].State != Warning || !strings.Contains(got[0].Detail, "the CA was written on") {
		t.Errorf("a clock before the CA's file: %+v", got)
	}
}

func TestHosts(t *testing.T) {
	s := subject(t, `host "shop.localhost" {
  aliases = ["old.localhost"]
  respond = 204
}`, nil)
	expect(t, "without a file", checkHosts(t.Context(), s))
	write(t, s.Hosts, `127.0.0.1 localhost
127.0.0.1 shop.localhost # 10.0.0.1 shop.localhost
::1 shop.localhost
10.0.0.5 nas OLD.localhost
127.0.1.1 shop.localhost
10.0.0.6 other.localhost
`)
	sed := func(line, addr string) string {
		return s.asRoot("sed", "-i", line+`{/^[[:space:]]*`+addr+`/s/^/# /}`, s.Hosts)
	}
	expect(t, "lines that lead elsewhere", checkHosts(t.Context(), s),
		"fault line 4 sends old.localhost to 10.0.0.5 | "+sed("4", `10\.0\.0\.5`),
		"fault line 5 sends shop.localhost to 127.0.1.1 | "+sed("5", `127\.0\.1\.1`))

	write(t, s.Hosts, "127.0.0.1 localhost\n# devproxy: begin of the names of user 1000\n127.0.0.1 blog.localhost\n127.0.0.1 shop.localhost\n# devproxy: end of the names of user 1000\n")
	expect(t, "a name that nothing serves", checkHosts(t.Context(), s), "warning it has blog.localhost, which no project serves now | devproxy names sync")
	write(t, s.Hosts, "# devproxy: begin of the names of user 1000\n127.0.0.1 shop.localhost\n")
	got := checkHosts(t.Context(), s)
	if len(got) != 1 || got[0].State != Fault || !strings.Contains(got[0].Detail, "line 1") {
		t.Errorf("a block without its end: %+v", got)
	}
	s.Hosts = filepath.Dir(s.Hosts)
	if got := checkHosts(t.Context(), s); len(got) != 1 || got[0].State != Unknown {
		t.Errorf("a hosts file that can't be read: %+v", got)
	}
}
