package share

import (
	"net/http"
	"strings"
	"testing"
)

// TestBodyNames: which URLs in bodies become public, and which are reported.
func TestBodyNames(t *testing.T) {
	opts := several()
	opts.PlainPort = "8081"
	opts.NotShared = []string{"mail.shop.localhost"}
	opts.Upstreams = []Upstream{
		{Authority: "localhost:5173", Host: "shop.localhost:8443"}, {Authority: "localhost:5173", Host: "admin.shop.localhost:8443"},
		{Authority: "localhost:3000", Host: "shop.localhost:8443", Path: "/api"}, {Authority: "localhost:9000"},
		{Authority: "localhost:7000", Host: "*.tenant.shop.localhost:8443"},
	}
	for _, test := range []struct{ name, from, text, want, told string }{
		{"as served", shop, "https://shop.localhost:8443/a", "https://" + shop + "/a", ""},
		{"without the port", shop, "http://admin.shop.localhost/a", "https://" + admin + "/a", ""},
		{"the port of plain HTTP", shop, "http://shop.localhost:8081", "https://" + shop, ""},
		{"that port with TLS", shop, "https://shop.localhost:8081", "https://shop.localhost:8081", ""},
		{"an alias", shop, "http://shop.localhost:8080", "https://" + shop, ""},
		{"a wildcard's", shop, "wss://acme.tenant.shop.localhost/ws", "wss://acme" + tenants + "/ws", ""},
		{"another port", shop, "https://shop.localhost:9999", "https://shop.localhost:9999", ""},
		{"an upstream of two hosts, in a response of the first", shop, "http://127.0.0.1:5173", "https://" + shop, ""},
		{"an upstream of two hosts, in a response of the second", admin, "http://localhost:5173", "https://" + admin, ""},
		{"an upstream below a path", shop, "http://[::1]:3000/x", "https://" + shop + "/api/x", ""},
		{"an upstream of tenants", shop, "http://localhost:7000", "http://localhost:7000", "localhost:7000"},
		{"an upstream of no host", shop, "http://localhost:9000", "http://localhost:9000", "localhost:9000"},
		{"nobody's port", shop, "http://localhost:1234", "http://localhost:1234", ""},
		{"a host that is not shared", shop, "https://mail.shop.localhost", "https://mail.shop.localhost", "mail.shop.localhost"},
		{"another port of the relay", shop + ":9443", "https://shop.localhost", "https://" + shop + ":9443", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			told := ""
			bodies := mustNew(t, opts).Bodies(visitorOf(test.from), func(text string) { told += text })
			if got := bodies.Names.String(test.text); got != test.want || (test.told == "") != (told == "") || !strings.Contains(told, test.told) {
				t.Errorf("%s becomes %s, want %s; told %q", test.text, got, test.want, told)
			}
		})
	}
}

// TestMark: entity tags change with everything that the names depend on, and with the
// port that a visitor uses.
func TestMark(t *testing.T) {
	other := several()
	other.Hosts[1].Public = "office--" + shop
	upstream := several()
	upstream.Upstreams = []Upstream{{Authority: "localhost:1", Host: "shop.localhost:8443"}}
	kept := several()
	kept.KeepBodies = true
	seen := map[string]string{}
	for name, mark := range map[string]string{
		"several": mustNew(t, several()).Mark(visitorOf(shop)), "another name": mustNew(t, other).Mark(visitorOf(shop)),
		"an upstream": mustNew(t, upstream).Mark(visitorOf(shop)), "another port": mustNew(t, several()).Mark(visitorOf(shop + ":9443")),
		"kept": mustNew(t, kept).Mark(visitorOf(shop)),
	} {
		if seen[mark] != "" {
			t.Errorf("%s and %s have the same mark %q", name, seen[mark], mark)
		}
		seen[mark] = name
	}
	if again := mustNew(t, several()).Mark(visitorOf(shop)); seen[again] != "several" {
		t.Errorf("the same names have another mark, %q", again)
	}
}

// TestQueriesBecomeLocal: a URL of the share in a query is local for the project, one of
// another site stays.
func TestQueriesBecomeLocal(t *testing.T) {
	for query, want := range map[string]string{
		"redirect_uri=https%3A%2F%2F" + admin + "%2Fcb&x=1": "redirect_uri=https%3A%2F%2Fadmin.shop.localhost%3A8443%2Fcb&x=1",
		"u=https://" + shop:                          "u=https://shop.localhost:8443",
		"u=http://" + shop:                           "u=http://" + shop,
		"u=https://" + strings.Repeat("x", 3) + shop: "u=https://" + strings.Repeat("x", 3) + shop,
		"u=https://other.example":                    "u=https://other.example",
	} {
		in, answer := admit(mustNew(t, several()), ask(http.MethodGet, shop, "/a?"+query, "Referer", "https://"+shop+"/b?"+query))
		if in == nil {
			t.Fatalf("%s: %d", query, answer.Code)
		}
		if in.URL.RawQuery != want || in.RequestURI != "/a?"+want || in.Header.Get("Referer") != "https://shop.localhost:8443/b?"+want {
			t.Errorf("%s becomes %s, %s, %s; want %s", query, in.URL.RawQuery, in.RequestURI, in.Header.Get("Referer"), want)
		}
	}
}
