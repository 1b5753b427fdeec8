package hcl

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const threeHosts = `
host "shop.localhost" { upstream = 1 }
host "admin.shop.localhost" { upstream = 2 }
host "*.tenant.shop.localhost" { upstream = 3 }
`

func prefixes() cmp.Option { return cmpopts.EquateComparable(netip.Prefix{}) }

func TestShare(t *testing.T) {
	names := func(values ...string) []Name {
		var all []Name
		for _, value := range values {
			all = append(all, Name{Value: value})
		}
		return all
	}
	tests := []struct {
		written string
		want    Share
	}{
		{``, Share{}},
		{`relay = "t.example.com"`, Share{Relays: names("t.example.com")}},
		{`relay = "T.Example.com:8443"`, Share{Relays: names("t.example.com:8443")}},
		{`relay = "t.example.com:443"`, Share{Relays: names("t.example.com")}},
		{`relay = "t.example.com:0443"`, Share{Relays: names("t.example.com")}},
		{`relay = "share.localhost:8444"`, Share{Relays: names("share.localhost:8444")}},
		{`relay = null`, Share{}},
		{`relay = "Cloudflare"`, Share{Relays: names("cloudflare")}},
		{`relay = ["t.example.com", "localhost.run", "ssh://Me@vps.example.com:2222?listen=8080&url=https://demo.example.com"]`,
			Share{Relays: names("t.example.com", "localhost.run", "ssh://Me@vps.example.com:2222?listen=8080&url=https://demo.example.com")}},
		{`relay = ["ssh://vps.example.com/"]`, Share{Relays: names("ssh://vps.example.com")}},
		{`relay = "https://t.example.com"`, Share{Relays: names("t.example.com")}},
		{`relay = "HTTPS://T.example.com:443/"`, Share{Relays: names("t.example.com")}},
		{`relay = "https://share.localhost:8444/"`, Share{Relays: names("share.localhost:8444")}},
		{`hosts = ["admin.shop.localhost"]`, Share{Hosts: names("admin.shop.localhost")}},
		{`hosts = ["*.Tenant.shop.localhost", "SHOP.localhost"]`, Share{Hosts: names("*.tenant.shop.localhost", "shop.localhost")}},
		{`hosts = [for n in ["", "admin."] : "${n}shop.localhost"]`, Share{Hosts: names("shop.localhost", "admin.shop.localhost")}},
		{`hosts = null`, Share{}},
		{`name = "Shop"`, Share{Name: "shop"}},
		{`name = "shop-2"`, Share{Name: "shop-2"}},
		{`name = "0123456789abcdefg"`, Share{Name: "0123456789abcdefg"}},
		{`name = "0123456789abcdef"`, Share{Name: "0123456789abcdef"}}, // not after a "-"
		{`name = "a-0123456789abcdei"`, Share{Name: "a-0123456789abcdei"}},
		{`name = "shopping"`, Share{Name: "shopping"}}, // zones have no "i" and "o"
		{`domain = "Demo.Example.COM"`, Share{Domain: "demo.example.com"}},
		{`domain = "xn--bcher-kva.example"`, Share{Domain: "xn--bcher-kva.example"}},
		{"domain = \"demo.example.com\"\nrelay = [\"cloudflare\", \"t.example.com\"]", Share{Domain: "demo.example.com", Relays: names("cloudflare", "t.example.com")}},
		{`domain = null`, Share{}},
		{`password = env("SET")`, Share{Password: "from the environment"}},
		{`password = "${env("SET")}!"`, Share{Password: "from the environment!"}},
		{`password = env("NOT_SET", null)`, Share{}},
		{`password = env("NOT_SET")`, Share{Unset: "NOT_SET"}},
		{`password = local.word`, Share{Password: "sesame"}},
		{`password = null`, Share{}},
		{`paths = ["/", "/café"]`, Share{Paths: []string{"/", "/café"}}},
		{`public = ["/hooks/stripe"]`, Share{Public: []string{"/hooks/stripe"}}},
		{`public = []`, Share{}},
		{"paths = [\"/hooks\"]\npublic = [\"/\"]", Share{Paths: []string{"/hooks"}, Public: []string{"/"}}},
		{`allow = ["203.0.113.0/24", "2001:db8::/32"]`, Share{Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}}},
		{`allow = ["203.0.113.7", "::ffff:203.0.113.8", "2001:db8::1"]`, Share{Allow: []netip.Prefix{
			netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("203.0.113.8/32"), netip.MustParsePrefix("2001:db8::1/128"),
		}}},
		{`callback = "/auth/callback"`, Share{Callback: []string{"/auth/callback"}}},
		{`callback = ["/", "/a/", "/b.c/~d"]`, Share{Callback: []string{"/", "/a/", "/b.c/~d"}}},
		{`callback = null`, Share{}},
		{`cookies = "shared"`, Share{SharedCookies: true}},
		{`cookies = null`, Share{}},
		{`rewrite_body = false`, Share{KeepBodies: true}},
		{`rewrite_body = true`, Share{}},
		{`rewrite_body = null`, Share{}},
		{`expires = "90m"`, Share{Expires: 90 * time.Minute}},
		{`expires = "20000h"`, Share{Expires: 20000 * time.Hour}},
	}
	for _, tt := range tests {
		file := decodeRight(t, threeHosts+"locals { word = \"sesame\" }\nshare {\n"+tt.written+"\n}\n")
		if diff := cmp.Diff(&tt.want, file.Share, withoutRanges(), prefixes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.written, diff)
		}
	}
	if file := decodeRight(t, threeHosts); file.Share != nil {
		t.Errorf("without a share block: %+v", file.Share)
	}
}

func TestHostShare(t *testing.T) {
	for written, want := range map[string]*bool{"": nil, "share = false": ptr(false), "share = 1 == 1": ptr(true), "share = null": nil} {
		file := decodeRight(t, "host \"a.localhost\" {\n upstream = 1\n "+written+"\n}\n")
		if diff := cmp.Diff(want, file.Hosts[0].Share); diff != "" {
			t.Errorf("%s (-want +got):\n%s", written, diff)
		}
	}
}

// TestShareMistakes checks that each mistake gives one diagnostic and leaves the
// share empty.
func TestShareMistakes(t *testing.T) {
	const zone = "write one with more or fewer than 8 characters, or "
	tests := []struct{ written, summary, detail string }{
		{`cookies = true`, `cookies can only be "shared"`, `write "shared", or remove it: then each host has its own cookies`},
		{`cookies = "Shared"`, `cookies can only be "shared"`, `write "shared", or remove it: then each host has its own cookies`},
		{`callback = true`, "callback must be a string", `write "true"`},
		{`callback = ""`, "callback is empty", callbackExample + ", or remove it"},
		{`callback = []`, "callback is empty", callbackExample + ", or remove it"},
		{`callback = "auth"`, `"auth" is not the path that a browser sends`, `write "/auth"`},
		{`callback = "//evil.example"`, `"//evil.example" is not the path that a browser sends`, `write "/evil.example"`},
		{`callback = "/a/../b"`, `"/a/../b" is not the path that a browser sends`, `write "/b"`},
		{`callback = "/a/*"`, "a callback can't have a *", "list each path"},
		{`callback = "/a%2fb"`, `"/a%2fb" has characters that need encoding`, callbackExample},
		{`callback = "/a\\b"`, `"/a\\b" has characters that need encoding`, callbackExample},
		{`callback = "/a;$(id)"`, `"/a;$(id)" has characters that shells read`, callbackExample},
		{`callback = "/it's"`, `"/it's" has characters that shells read`, callbackExample},
		{`callback = "/a?b"`, "a callback can't have a query", `write "/a"`},
		{`callback = "https://shop.localhost/auth"`, "a callback can't be a URL", `write "/auth"; it is a path of the first shared host`},
		{`relay = ""`, "relay is empty", relayExample + ", or leave it out"},
		{`relay = 8443`, "relay must be a string", `write "8443"`},
		{`relay = "ngrok"`, `relay "ngrok" is not built yet`, "write the domain of a relay, or one of cloudflare, localhost.run, pinggy"},
		{`relay = "cloudfare"`, `"cloudfare" is not the domain of a relay`, `did you mean "cloudflare"?`},
		{`relay = "t"`, `"t" is not the domain of a relay`, relayExample},
		{`relay = "wss://t.example.com:8443/x"`, "a relay can't have a scheme", `write "t.example.com:8443"`},
		{`relay = "http://t.example.com/"`, "a relay can't have a scheme", `write "t.example.com"`},
		{`relay = "https://t.example.com/x"`, "a relay can't have a path", `write "t.example.com"`},
		{`relay = "https://t.example.com//"`, "a relay can't have a path", `write "t.example.com"`},
		{`relay = "https://"`, `"https://" has an empty part`, relayExample},
		{`relay = "t.example.com/x"`, "a relay can't have a path", `write "t.example.com"`},
		{`relay = "t.example.com."`, `a name must not end with "."`, `write "t.example.com"`},
		{`relay = "*.example.com"`, "a relay can't have a wildcard", `write "example.com"`},
		{`relay = "t_1.example.com"`, `"t_1.example.com" contains "_"`, `write "t-1.example.com"`},
		{`relay = "t..example.com"`, `"t..example.com" has an empty part`, relayExample},
		{`relay = "t.example.com:"`, `"" is not a valid port`, `write "t.example.com", or add a port after the colon`},
		{`relay = "t.example.com:https"`, `"https" is not a valid port`, `write "t.example.com", or add a port after the colon`},
		{`relay = "t!.example.com"`, `"t!.example.com" is not a valid name`, `write letters, digits and "-"`},
		{`relay = "t.example.com:0"`, "port 0 is out of range", "write a number from 1 to 65535"},
		{`relay = "t.example.com:65536"`, "port 65536 is out of range", "write a number from 1 to 65535"},
		{`relay = "192.0.2.1:443"`, `"192.0.2.1:443" is an IP address, not a domain`, relayExample + ": the public names are below it"},
		{`relay = "[2001:db8::1]"`, `"[2001:db8::1]" is an IP address, not a domain`, relayExample + ": the public names are below it"},
		{`relay = "` + strings.Repeat("a.", 130) + `com"`, "a name can have at most 253 characters", ""},

		{`hosts = []`, "a share needs at least one host", "remove it to share all hosts without share = false"},
		{`hosts = "shop.localhost"`, "hosts must be a list of host names of this file", `write ["shop.localhost"]`},
		{`hosts = true`, "hosts must be a list of host names of this file", `write ["shop.localhost"]`},
		{`hosts = [null]`, "a host is null", "write a string"},

		{`name = ""`, "name is empty", "remove it for an unguessable name"},
		{`name = ["shop"]`, "name must be a string", "this is a list"},
		{`name = "shop.example.com"`, "name can't contain dots", `write "shop"; the domain of the relay is added`},
		{`name = ".shop"`, `".shop" has an empty part`, `write one like "shop"`},
		{`name = "my shop"`, `"my shop" is not a valid name`, `write letters, digits and "-"`},
		{`name = "my_shop"`, `"my_shop" contains "_"`, `write "my-shop"`},
		{`name = "-shop"`, `"-shop" is not a valid name`, `write letters, digits and "-"`},
		{`name = "café"`, `"café" is not ASCII`, `write letters a to z, digits and "-"`},
		{`name = "` + strings.Repeat("a", 64) + `"`, "the part of a name between two dots can have at most 63 characters", ""},
		{`name = "admin---shop"`, `name can't contain "--", which marks unguessable names`, `write "admin-shop"`},
		{`name = "xn--caf-dma"`, `name can't contain "--", which marks unguessable names`, `write "xn-caf-dma"`},
		{`name = "shop-k3v9x2m7qpr4t8wz"`, `"shop-k3v9x2m7qpr4t8wz" has the form of an unguessable name, which can't be chosen`, "use fewer characters after the last hyphen, or remove name"},
		{`name = "Checkers"`, `"Checkers" has the form of the zone of a key, which can't be chosen`, zone + `"chec-kers"`},
		{`name = "s"`, `"s" is reserved for sealed shares`, `write a longer one, like "shop"`},

		{`domain = ""`, "domain is empty", "remove it for a name of the relay"},
		{`domain = true`, "domain must be a string", `write "true"`},
		{`domain = "https://Demo.example.com:8443/x"`, "domain can't have a scheme", `write "demo.example.com"`},
		{`domain = "demo.example.com/x"`, "domain can't have a path", `write "demo.example.com"`},
		{`domain = "demo.example.com:8443"`, "domain can't have a port", `write "demo.example.com"; visitors use the port of the relay`},
		{`domain = "demo.example.com."`, `a name must not end with "."`, `write "demo.example.com"`},
		{`domain = "*.example.com"`, "domain can't have a wildcard", `write "example.com"; the other hosts have names of the relay`},
		{`domain = "192.0.2.1"`, `"192.0.2.1" is an IP address, not a domain`, domainExample},
		{`domain = "demo"`, `"demo" is not a domain`, domainExample},
		{`domain = "demo..example.com"`, `"demo..example.com" has an empty part`, domainExample},
		{`domain = "my_demo.example.com"`, `"my_demo.example.com" contains "_"`, `write "my-demo.example.com"`},
		{`domain = "demo!.example.com"`, `"demo!.example.com" is not a valid name`, `write letters, digits and "-"`},
		{`domain = "Bücher.example"`, `"Bücher.example" is not ASCII`, `write "xn--bcher-kva.example", which is its form in the DNS`},
		{`domain = "demo .ü"`, `"demo .ü" is not ASCII`, domainExample},
		{`domain = "` + strings.Repeat("a.", 130) + `com"`, "a name can have at most 253 characters", ""},
		{`domain = "demo.Localhost"`, `"demo.Localhost" exists only on this machine`, "write a domain that you own; local names go in host blocks"},

		{`password = ""`, "password is empty", "remove it for no password"},
		{`password = env("NOT_SET", "")`, "password is empty", "remove it for no password"},
		{`password = env("SET", "a", "b")`, "env takes a name and a default, not 3 arguments", ""},
		{`password = "${env("NOT_SET")}"`, `the environment variable "NOT_SET" is not set`, `give env a default: env("NOT_SET", "…")`},

		{`paths = []`, "a share needs at least one path", "remove it to share all paths"},
		{`paths = "/a"`, "paths must be a list of paths", `write ["/a"]`},
		{`public = {}`, "public must be a list of paths", `write ["/"]`},

		{`allow = []`, "allow needs at least one address", "remove it to allow all addresses"},
		{`allow = "203.0.113.0/24"`, "allow must be a list of CIDR ranges", `write ["203.0.113.0/24"]`},
		{`allow = ["203.0.113.7/24"]`, `"203.0.113.7/24" has bits set after the prefix`, `write "203.0.113.0/24"`},
		{`allow = [""]`, `"" is not a valid CIDR range`, `write one like "203.0.113.0/24", or an IP address`},

		{`expires = "0s"`, "expires must be longer than zero", `write one like "8h", which is the default`},
		{`expires = "-1h"`, "expires must be longer than zero", `write one like "8h", which is the default`},
		{`expires = 2`, "a duration must be a string", `write "2s"`},
		{`expires = 2h`, "a duration must be a string", `write "2h"`},
		{`expires = "7 days"`, `"7 days" is not a valid duration`, `write "168h"`},
		{`expires = true`, "a duration must be a string", `write one like "30s"`},
	}
	for _, tt := range tests {
		file, diags := decodeText(threeHosts+"share {\n"+tt.written+"\n}\n", "")
		var got []string
		for _, d := range diags {
			got = append(got, string(d.Severity), d.Summary, d.Detail)
		}
		if diff := cmp.Diff([]string{"error", tt.summary, tt.detail}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.written, diff)
		}
		if diff := cmp.Diff(&Share{}, file.Share, withoutRanges(), prefixes()); diff != "" {
			t.Errorf("%s: the share is not empty:\n%s", tt.written, diff)
		}
	}
}

// TestLiteralPassword checks the warning about a password in a shared file.
func TestLiteralPassword(t *testing.T) {
	tests := []struct {
		name, share, local string
		warned             bool
	}{
		{"a literal", `password = "sesame"`, "", true},
		{"a call of another function", `password = upper("sesame")`, "", true},
		{"the environment", `password = env("SET")`, "", false},
		{"a default for the environment", `password = env("SET", "sesame")`, "", false},
		{"a literal that is not committed", "", `share { password = "sesame" }`, false},
		{"a literal that another replaces", `password = "sesame"`, `share { password = "open" }`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, diags := decodeText(threeHosts+"share {\n"+tt.share+"\n}\n", tt.local)
			if warned := len(diags) == 1 && diags[0].Severity == Warning; warned != tt.warned || len(diags) > 1 {
				t.Errorf("warned %t, want %t: %s", warned, tt.warned, rendered(t, diags, file.Sources))
			}
			if file.Share.Password == "" {
				t.Error("the password is lost")
			}
		})
	}
}

// TestShareOfMistakenHosts checks that a mistake in a host is reported once.
func TestShareOfMistakenHosts(t *testing.T) {
	for _, text := range []string{
		"host \"shop_.example.com\" { upstream = 1 }\nshare { hosts = [\"shop_.example.com\"] }\n",
		"host \"a.localhost\" { upstream = 99999 }\nshare { hosts = [\"a.localhost\"] }\n",
	} {
		file, diags := decodeText(text, "")
		if len(diags) != 1 {
			t.Errorf("%s\n%s", text, rendered(t, diags, file.Sources))
		}
	}
}

func TestLocalShare(t *testing.T) {
	const base = threeHosts + `
share {
  relay   = "t.example.com"
  hosts   = ["shop.localhost"]
  public  = ["/hooks"]
  expires = "1h"
}
`
	file, diags := decodeText(base, `
share {
  relay  = "share.localhost:8444"
  public = null
  hosts  = ["own.localhost", "admin.shop.localhost"]
}
host "own.localhost" { upstream = 9 }
host "shop.localhost" { share = false }
`)
	if len(diags) > 0 {
		t.Fatal(rendered(t, diags, file.Sources))
	}
	want := &Share{Relays: []Name{{Value: "share.localhost:8444"}}, Hosts: []Name{{Value: "own.localhost"}, {Value: "admin.shop.localhost"}}, Expires: time.Hour}
	if diff := cmp.Diff(want, file.Share, withoutRanges()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if share := file.Hosts[0].Share; share == nil || *share {
		t.Error("share = false of the second file is lost")
	}
	file, diags = decodeText(threeHosts, `share { expires = "2h" }`)
	if len(diags) > 0 || file.Share == nil || file.Share.Expires != 2*time.Hour {
		t.Errorf("a share block that only the second file has: %+v %v", file.Share, diags)
	}
	file, diags = decodeText(base, "share {}\nshare {}\n")
	if len(diags) != 1 || diags[0].Summary != "duplicate share block" || diags[0].Range.File != LocalName {
		t.Errorf("two in the second file: %s", rendered(t, diags, file.Sources))
	}
}

// TestShareDomainWith checks what a share can't have together with a domain.
func TestShareDomainWith(t *testing.T) {
	const domain = "domain = \"demo.example.com\"\n"
	tests := []struct{ hosts, written, summary, detail string }{
		{threeHosts, `name = "shop"`, "a share can have a domain or a name, not both", "remove one of the two"},
		{threeHosts, `cookies = "shared"`, "the hosts of a share with a domain can't share cookies: only the first host is in it", `remove cookies = "shared", or remove domain`},
		{threeHosts, `relay = "example.com"`, `"demo.example.com" belongs to the relay example.com`, `choose another, or write name = "demo"`},
		{threeHosts, `relay = ["t.example.net", "demo.example.com:8443"]`, `"demo.example.com" belongs to the relay demo.example.com`, `choose another, or write name = "demo"`},
		{threeHosts, `relay = "t.demo.example.com"`, `"demo.example.com" belongs to the relay t.demo.example.com`, `choose another, or write name = "demo"`},
		{threeHosts, `relay = "cloudflare"`, "cloudflare can't carry a share with a domain", `write relay = "t.example.com", a relay, or remove domain`},
		{threeHosts, `relay = ["ssh://demo.example.com", "pinggy"]`, "ssh://demo.example.com can't carry a share with a domain", `write relay = "t.example.com", a relay, or remove domain`},
		{threeHosts, `hosts = ["*.tenant.shop.localhost"]`, `domain is the public name of the first shared host, and "*.tenant.shop.localhost" is a wildcard`, "write a host without a wildcard before it"},
		{"host \"*.shop.localhost\" { upstream = 1 }\nhost \"shop.localhost\" { upstream = 2 }\n", "",
			`domain is the public name of the first shared host, and "*.shop.localhost" is a wildcard`, "write a host without a wildcard before it"},
	}
	for _, tt := range tests {
		file, diags := decodeText(tt.hosts+"share {\n"+domain+tt.written+"\n}\n", "")
		var got []string
		for _, d := range diags {
			got = append(got, string(d.Severity), d.Summary, d.Detail)
		}
		if diff := cmp.Diff([]string{"error", tt.summary, tt.detail}, got); diff != "" || file.Share.Domain != "" {
			t.Errorf("%s: domain %q (-want +got):\n%s", tt.written, file.Share.Domain, diff)
		}
	}
	for _, written := range []string{`relay = "t.example.com"`, `hosts = ["shop.localhost", "*.tenant.shop.localhost"]`, `relay = ["cloudflare", "t.example.com"]`} {
		if file := decodeRight(t, threeHosts+"share {\n"+domain+written+"\n}\n"); file.Share.Domain != "demo.example.com" {
			t.Errorf("%s: domain %q", written, file.Share.Domain)
		}
	}
}
