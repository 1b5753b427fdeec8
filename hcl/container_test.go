package hcl

import (
	"strings"
	"testing"
)

func TestContainer(t *testing.T) {
	file, diags := decodeText(`
discover = "docker"
domain   = "shop.localhost"
service "api" { container = { service = "api_v2", port = "8080" } }
service "mirror" {
  upstream = service.api
  fallback = service.api
  balance  = "cookie"
}
host "shop.localhost" { upstream = service.mirror }
`, "")
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	api, mirror := file.Services[0], file.Services[1]
	if c := api.Container; c == nil || c.Service != "api_v2" || c.Port != 8080 || len(api.Upstream.Members) != 0 {
		t.Errorf("service api: %+v, container %+v", api, api.Container)
	}
	if mirror.Container != api.Container || mirror.Balance != BalanceCookie || mirror.Fallback.Service != api {
		t.Errorf("service mirror does not have the containers of api: %+v", mirror)
	}
	if file.Discover != DiscoverDocker || file.DiscoverRange.Start.Line != 2 {
		t.Errorf("discover is %q at %v", file.Discover, file.DiscoverRange)
	}
}

// TestDiscoverAlone: containers need a domain to be below, unless there is a host.
func TestDiscoverAlone(t *testing.T) {
	_, diags := decodeText("discover = \"docker\"\n", "")
	if len(diags) != 1 || !strings.Contains(diags[0].Summary, "has no host and no domain") {
		t.Errorf("without a domain: %v", diags)
	}
	if _, diags = decodeText("discover = \"docker\"\ndomain = \"shop.localhost\"\n", ""); len(diags) != 0 {
		t.Errorf("with a domain: %v", diags)
	}
}

// TestLabelNames checks names and paths of labels, which are written by strangers.
func TestLabelNames(t *testing.T) {
	for _, name := range []string{"", "shop", "shop.test", "*.shop.localhost", "shop.localhost.", "shop.localhost:443", "https://shop.localhost", "a b.localhost",
		"127.0.0.1", "devproxy.localhost", "shöp.localhost", "a\x1b[31m.localhost", strings.Repeat("a.", 200) + "localhost"} {
		if got, why := CheckHost(name, nil); got != "" || why == "" || strings.Contains(why, "\x1b") {
			t.Errorf("host %q became %q: %q", name, got, why)
		}
	}
	if got, why := CheckHost("API.shop.test", []string{"shop.test"}); got != "api.shop.test" || why != "" {
		t.Errorf("a name in a trusted domain became %q: %q", got, why)
	}
	for _, path := range []string{"", "api", "/api/", "/a//b", "/a/../b", "/a*", "/%41", "/a\x1b", "/a?b"} {
		if got, why := CheckPath(path); got != "" && why == "" || why == "" {
			t.Errorf("path %q became %q: %q", path, got, why)
		}
	}
	if got, why := CheckPath("/api/v1"); got != "/api/v1" || why != "" {
		t.Errorf("/api/v1 became %q: %q", got, why)
	}
}
