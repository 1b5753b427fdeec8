package plan

import (
	"os"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDiffAround(t *testing.T) {
	const other = "$2y$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
	tests := []struct{ before, after, want string }{
		{`rate_limit = "10/s"`, `rate_limit = "20/s"`, "rate_limit 10/s -> 20/s"},
		{``, `rate_limit = { rate = "1/h", burst = 2 }`, "rate_limit none -> 1/h burst 2"},
		{`allow = ["::1"]`, `allow = ["127.0.0.1"]`, "access allow ::1/128 -> allow 127.0.0.1/32"},
		{`deny = ["10.0.0.1"]`, ``, "access deny 10.0.0.1/32 -> none"},
		{`cors = true`, `cors = ["*"]`, "cors pages of a.localhost -> any origin, without credentials"},
		{`basic_auth = { ann = "` + someHash + `" }`, `basic_auth = { ann = "` + other + `" }`, "basic_auth changed"},
		{`max_concurrent = 2`, `max_concurrent = 1`, "max_concurrent 2 -> 1"},
		{`max_concurrent = 2`, `max_concurrent = null`, "max_concurrent 2 -> none"},
		{`max_body = "10MB"`, `max_body = "0"`, "max_body 10MB -> none"},
		{`compress = true`, ``, "compress zstd, br, gzip -> none"},
		{`cache = true`, `cache = { size = "1MB" }`, "cache 64MiB -> 1MB"},
		{`simulate = { delay = "1s" }`, `simulate = { errors = "5%" }`, "simulate delay 1s -> errors 5%"},
		{`allow = ["::1", "10.0.0.0/8"]`, `allow = ["10.0.0.0/8", "10.1.0.0/16", "::1"]`, ""},
		{`cors = ["https://a", "https://b"]`, `cors = ["https://b", "https://a"]`, ""},
		{`rate_limit = "5/s"`, `rate_limit = { rate = "5/s", burst = 5, by = "address" }`, ""},
	}
	for _, tt := range tests {
		plans := make([]*Plan, 2)
		for i, written := range []string{tt.before, tt.after} {
			plans[i], _ = planOf(t, "host \"a.localhost\" {\nupstream = service.a\n"+written+"\n}\nservice \"a\" {\nupstream = [1, 2]\nhealth = { path = \"/\" }\n}\n")
		}
		got := strings.TrimPrefix(Diff(plans[0], plans[1]).String(), "/ ")
		if got != tt.want {
			t.Errorf("%s, then %s: %q; want %q", tt.before, tt.after, got, tt.want)
		}
		// A setting around the answer does not change the upstream: connections stay.
		before, after := routeBy(t, plans[0], "/"), routeBy(t, plans[1], "/")
		if before.ID != after.ID || before.Answer.(*Upstream).Key != after.Answer.(*Upstream).Key {
			t.Errorf("%s, then %s: another route or upstream", tt.before, tt.after)
		}
	}
}

func TestDiffUpstream(t *testing.T) {
	tests := []struct{ before, after, want string }{
		{``, `balance = "cookie"`, "balance round_robin -> cookie"},
		{``, `health = { path = "/" }`, "health changed"},
		{`health = { path = "/" }`, `health = { path = "/", rise = 2 }`, "health changed"},
		{`fallback = 3`, `fallback = [3, 4]`, "fallback :3 -> :3, :4"},
		{`fallback = 3`, ``, "fallback :3 -> none"},
		{``, `balance = "round_robin"`, ""},
	}
	for _, tt := range tests {
		plans := make([]*Plan, 2)
		for i, written := range []string{tt.before, tt.after} {
			plans[i], _ = planOf(t, "host \"a.localhost\" { upstream = service.a }\nservice \"a\" {\nupstream = [1, 2]\n"+written+"\n}\n")
		}
		if got := strings.TrimPrefix(Diff(plans[0], plans[1]).String(), "/ "); got != tt.want {
			t.Errorf("%s, then %s: %q; want %q", tt.before, tt.after, got, tt.want)
		}
	}
}
