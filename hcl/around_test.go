package hcl

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const someHash = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

// equalPrefixes compares addresses, which have unexported fields.
func equalPrefixes() cmp.Option {
	return cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
}

func ranges(texts ...string) *Ranges {
	r := &Ranges{}
	for _, text := range texts {
		r.Prefixes = append(r.Prefixes, netip.MustParsePrefix(text))
	}
	return r
}

func TestAround(t *testing.T) {
	tests := []struct {
		written string
		want    Settings
	}{
		{`cors = true`, Settings{CORS: &CORS{Own: true}}},
		{`cors = false`, Settings{CORS: &CORS{Off: true}}},
		{`cors = null`, Settings{CORS: &CORS{Off: true}}},
		{`cors = ["*"]`, Settings{CORS: &CORS{Any: true}}},
		{`cors = ["HTTPS://App.Example.com:443", "http://a:8080", "http://[::1]:80", "https://app.example.com", "tauri://localhost"]`,
			Settings{CORS: &CORS{Origins: []string{"https://app.example.com", "http://a:8080", "http://[::1]", "tauri://localhost"}}}},
		{`basic_auth = { ann = "` + someHash + `" }`, Settings{BasicAuth: &BasicAuth{Users: map[string]string{"ann": someHash}}}},
		{`basic_auth = null`, Settings{BasicAuth: &BasicAuth{Off: true}}},
		{`allow = ["10.0.0.0/8", "::1", "127.0.0.1", "10.0.0.0/8", "::ffff:192.0.2.1"]`,
			Settings{Allow: ranges("10.0.0.0/8", "::1/128", "127.0.0.1/32", "192.0.2.1/32")}},
		{`allow = []`, Settings{Allow: ranges()}},
		{`deny = null`, Settings{Deny: ranges()}},
		{`rate_limit = "10/s"`, Settings{RateLimit: &RateLimit{Count: 10, Per: time.Second, Burst: 10, By: RateByAddress}}},
		{`rate_limit = "1/h"`, Settings{RateLimit: &RateLimit{Count: 1, Per: time.Hour, Burst: 1, By: RateByAddress}}},
		{`rate_limit = { rate = "100/m", burst = 5, by = "user" }`, Settings{RateLimit: &RateLimit{Count: 100, Per: time.Minute, Burst: 5, By: RateByUser}}},
		{`rate_limit = { rate = "2/s", by = "all" }`, Settings{RateLimit: &RateLimit{Count: 2, Per: time.Second, Burst: 2, By: RateByAll}}},
		{`rate_limit = false`, Settings{RateLimit: &RateLimit{Off: true}}},
		{`compress = true`, Settings{Compress: ptr(true)}},
		{`compress = null`, Settings{Compress: ptr(false)}},
		{`cache = true`, Settings{Cache: &Cache{Size: 64 << 20}}},
		{`cache = {}`, Settings{Cache: &Cache{Size: 64 << 20}}},
		{`cache = { size = "1.5MB" }`, Settings{Cache: &Cache{Size: 1_500_000}}},
		{`cache = false`, Settings{Cache: &Cache{Off: true}}},
		{`max_concurrent = 2`, Settings{MaxConcurrent: ptr(2)}},
		{`max_concurrent = false`, Settings{MaxConcurrent: ptr(0)}},
		{`max_concurrent = null`, Settings{MaxConcurrent: ptr(0)}},
		{`max_body = "10MB"`, Settings{MaxBody: ptr(int64(10_000_000))}},
		{`max_body = "1KiB"`, Settings{MaxBody: ptr(int64(1024))}},
		{`max_body = "2kB"`, Settings{MaxBody: ptr(int64(2000))}},
		{`max_body = "1B"`, Settings{MaxBody: ptr(int64(1))}},
		{`max_body = "0"`, Settings{MaxBody: ptr(int64(0))}},
		{`max_body = null`, Settings{MaxBody: ptr(int64(0))}},
		{`simulate = { delay = "300ms", errors = "5%", bandwidth = "1.5Mbit/s" }`,
			Settings{Simulate: &Simulate{Delay: 300 * time.Millisecond, Errors: 0.05, Bandwidth: 187_500}}},
		{`simulate = { bandwidth = "200kB/s" }`, Settings{Simulate: &Simulate{Bandwidth: 200_000}}},
		{`simulate = { errors = "100%", delay = null }`, Settings{Simulate: &Simulate{Errors: 1}}},
		{`simulate = null`, Settings{Simulate: &Simulate{Off: true}}},
	}
	for _, tt := range tests {
		tt.want.Respond = &Respond{Status: 204}
		file := decodeRight(t, "host \"a.localhost\" {\nrespond = 204\n"+tt.written+"\n}\n")
		if diff := cmp.Diff(tt.want, file.Hosts[0].Settings, withoutRanges(), equalPrefixes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.written, diff)
		}
	}
}

// TestAroundOfLocal checks that Proxyfile.local can undo settings of the Proxyfile.
func TestAroundOfLocal(t *testing.T) {
	file, diags := decodeText("host \"a.localhost\" {\n respond = 204\n rate_limit = \"1/s\"\n cache = true\n}\n",
		"host \"a.localhost\" {\n rate_limit = null\n cache = { size = \"1MB\" }\n}\n")
	if len(diags) > 0 {
		t.Fatal(rendered(t, diags, file.Sources))
	}
	s := file.Hosts[0].Settings
	if !s.RateLimit.Off || s.Cache.Size != 1_000_000 {
		t.Errorf("rate_limit %+v, cache %+v; want off, and 1MB", s.RateLimit, s.Cache)
	}
}

func TestBalancing(t *testing.T) {
	tests := []struct {
		written string
		want    Service
	}{
		{``, Service{Balance: BalanceRoundRobin}},
		{`balance = "least_conn"`, Service{Balance: BalanceLeastConn}},
		{`balance = "cookie"`, Service{Balance: BalanceCookie}},
		{`balance = null`, Service{Balance: BalanceRoundRobin}},
		{`health = { path = "/up?x=1" }`, Service{Balance: BalanceRoundRobin, Health: &Health{
			Path: "/up?x=1", Interval: 2 * time.Second, Timeout: time.Second, Rise: 1, Fall: 2}}},
		{`health = { path = "/", interval = "500ms" }`, Service{Balance: BalanceRoundRobin, Health: &Health{
			Path: "/", Interval: 500 * time.Millisecond, Timeout: 500 * time.Millisecond, Rise: 1, Fall: 2}}},
		{`health = { path = "/", timeout = "5s", rise = 3, fall = 4, status = 204 }`, Service{Balance: BalanceRoundRobin, Health: &Health{
			Path: "/", Interval: 5 * time.Second, Timeout: 5 * time.Second, Rise: 3, Fall: 4, Status: 204}}},
		{`health = null`, Service{Balance: BalanceRoundRobin}},
	}
	for _, tt := range tests {
		file := decodeRight(t, "host \"a.localhost\" { upstream = service.s }\nservice \"s\" {\nupstream = 1\n"+tt.written+"\n}\n")
		got := *file.Services[0]
		tt.want.Name, tt.want.Upstream = got.Name, got.Upstream
		if diff := cmp.Diff(tt.want, got, withoutRanges()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.written, diff)
		}
	}
}

// TestServiceOfService checks that a service whose upstream is a service takes the
// settings that it leaves out from that one. A service that is only a fallback
// counts as used.
func TestServiceOfService(t *testing.T) {
	file := decodeRight(t, `
host "a.localhost" { upstream = service.a }
service "a" {
  upstream = service.b
  health   = null
}
service "b" {
  upstream = [1, 2]
  balance  = "cookie"
  health   = { path = "/" }
  hold     = "1s"
  fallback = service.c
}
service "c" { upstream = ["https://example.com", 3] }
`)
	a := file.Services[0]
	if a.Balance != BalanceCookie || a.Health != nil || *a.Hold != time.Second || len(a.Fallback.Members) != 2 || a.Fallback.Service.Name != "c" {
		t.Errorf("service a = %+v; want b's settings without its health", a)
	}
}

// TestPasswordIsNotRepeated checks that a possible password is not in the message.
// The quoted line contains it, but only people with the file see that.
func TestPasswordIsNotRepeated(t *testing.T) {
	_, diags := decodeText("host \"a.localhost\" {\n respond = 204\n basic_auth = { ann = \"hunter2\" }\n}\n", "")
	if len(diags) != 1 || strings.Contains(diags[0].Summary+diags[0].Detail, "hunter2") || !strings.Contains(diags[0].Detail, "devproxy hash-password") {
		t.Errorf("diagnostics %v; want one with the command and without the password", diags)
	}
}
