package tunnel

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
)

func testKey(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(b), ed25519.SeedSize)))
}

// TestGeneratedParts pins what a key's names are made of: a folder's link must
// be the same after an update of devproxy.
func TestGeneratedParts(t *testing.T) {
	key := testKey('k')
	if got, want := Link(key, 0), "1raxdbc1ag3chbxg"; got != want {
		t.Errorf("Link of generation 0 = %s, want %s", got, want)
	}
	if got, want := Zone(key.Public().(ed25519.PublicKey)), "sp7tgtqx"; got != want {
		t.Errorf("Zone = %s, want %s", got, want)
	}
	seen := map[string]bool{}
	for _, k := range []ed25519.PrivateKey{key, testKey('l')} {
		for generation := range uint64(100) {
			link := Link(k, generation)
			if !isGenerated(link, LinkLength) || seen[link] {
				t.Fatalf("Link(generation %d) = %q; want one of its own in Crockford's alphabet", generation, link)
			}
			seen[link] = true
		}
	}
}

func TestPublicNames(t *testing.T) {
	key := testKey('k')
	pub := key.Public().(ed25519.PublicKey)
	link, zone := Link(key, 0), Zone(pub)+".t.example.com"
	token := Claim{Project: "shop", Link: link}
	named := Claim{Name: "shop"}
	for _, c := range []struct {
		name  string
		claim Claim
		hosts []string
		zone  string
		want  []string
	}{
		{"no hosts", token, nil, "", nil},
		{"one host", token, []string{""}, "", []string{"shop-" + link + ".t.example.com"}},
		{"one other host", token, []string{"admin"}, "", []string{"shop-" + link + ".t.example.com"}},
		{"one wildcard is several", token, []string{"*.tenant"}, zone, []string{"*--tenant--shop-" + link + "." + zone}},
		{"a bare wildcard", token, []string{"*"}, zone, []string{"*--shop-" + link + "." + zone}},
		{"several", token, []string{"", "admin", "a.b", "*.tenant"}, zone, []string{
			"shop-" + link + "." + zone, "admin--shop-" + link + "." + zone,
			"a--b--shop-" + link + "." + zone, "*--tenant--shop-" + link + "." + zone,
		}},
		{"plain", named, []string{"", "admin", "*.tenant"}, "shop.t.example.com", []string{
			"shop.t.example.com", "admin.shop.t.example.com", "*.tenant.shop.t.example.com",
		}},
		{"plain, one host", named, []string{""}, "shop.t.example.com", []string{"shop.t.example.com"}},
		{"plain, an IDN", named, []string{"xn--bcher-kva"}, "shop.t.example.com", []string{"xn--bcher-kva.shop.t.example.com"}},
	} {
		c.claim.Hosts = c.hosts
		gotZone, got, err := PublicNames(pub, "t.example.com", c.claim)
		if err != nil || gotZone != c.zone || !slices.Equal(got, c.want) {
			t.Errorf("%s: zone %q, hosts %q, error %v\nwant %q, %q", c.name, gotZone, got, err, c.zone, c.want)
		}
	}
}

func TestPublicNamesRefuse(t *testing.T) {
	key := testKey('k')
	pub := key.Public().(ed25519.PublicKey)
	link := Link(key, 0)
	for _, c := range []struct {
		name   string
		claim  Claim
		reason string // part of it
		fix    string
	}{
		{"neither", Claim{Project: "shop", Hosts: []string{""}}, "not 16 characters", "update"},
		{"both", Claim{Project: "shop", Link: link, Name: "shop", Hosts: []string{""}}, "not both", "update"},
		{"a forged link", Claim{Project: "shop", Link: "0123456789abcdeI", Hosts: []string{""}}, "not 16 characters", "update"},
		{"a project with dots", Claim{Project: "a.b", Link: link, Hosts: []string{""}}, `"a.b" cannot begin`, "use a-b"},
		{"a project that is punycode", Claim{Project: "xn--x", Link: link, Hosts: []string{""}}, "cannot begin", "use xn-x"},
		{"a token name as plain name", Claim{Name: "shop-" + link, Hosts: []string{""}}, "unguessable", "last 17"},
		{"a zone as plain name", Claim{Name: Zone(pub), Hosts: []string{""}}, "zone of a key", "-dev"},
		{"joints in a plain name", Claim{Name: "a--b", Hosts: []string{""}}, `has "--"`, `"a-b"`},
		{"a plain name of two labels", Claim{Name: "a.b", Hosts: []string{""}}, "not one label", "shop"},
		{"upper case", Claim{Name: "Shop", Hosts: []string{""}}, "not one label", "shop"},
		{"sealed", Claim{Name: "s", Hosts: []string{""}}, "relay's own", "longer"},
		{"a host with a slash", Claim{Name: "shop", Hosts: []string{"a/b"}}, "is no name", "letters"},
		{"an empty label", Claim{Name: "shop", Hosts: []string{"a..b"}}, "is no name", "letters"},
		{"a wildcard inside", Claim{Name: "shop", Hosts: []string{"a.*"}}, "wildcard", "*.tenant"},
		{"a wildcard glued", Claim{Name: "shop", Hosts: []string{"*a"}}, "wildcard", "*.tenant"},
		{"a wildcard with nothing", Claim{Name: "shop", Hosts: []string{"*."}}, "is no name", "letters"},
		{"twice", Claim{Name: "shop", Hosts: []string{"a", "a"}}, "claimed twice", "once"},
		{"joined alike", Claim{Project: "shop", Link: link, Hosts: []string{"a.b", "a--b"}}, `"a.b" and "a--b" would both be`, "plain name"},
		{"an IDN in front", Claim{Project: "shop", Link: link, Hosts: []string{"", "xn--bcher-kva"}}, "browsers would refuse", "plain name"},
		{"a long label", Claim{Project: "shop", Link: link, Hosts: []string{"", strings.Repeat("a", 41)}}, "has 64 characters", "shorten"},
		{"a long name", Claim{Name: "shop", Hosts: []string{strings.Repeat("abcdefg.", 30) + "a"}}, "the DNS allows 253", "shorten"},
		{"many hosts", Claim{Name: "shop", Hosts: make([]string, MaxHosts+1)}, "101 hosts", "fewer"},
	} {
		_, _, err := PublicNames(pub, "t.example.com", c.claim)
		var refused *NameError
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, c.reason) || !strings.Contains(refused.Fix, c.fix) {
			t.Errorf("%s: error %#v; want a NameError with %q, fix with %q", c.name, err, c.reason, c.fix)
		}
	}
	longest := Claim{Project: "shop", Link: link, Hosts: []string{"", strings.Repeat("a", 40)}}
	if _, _, err := PublicNames(pub, "t.example.com", longest); err != nil {
		t.Errorf("a label of 63 characters: %v", err)
	}
}

func TestLabel(t *testing.T) {
	for text, want := range map[string]string{
		"shop": "shop", "My Shop!": "my-shop", "a--b": "a-b", "xn--bcher-kva": "xn-bcher-kva", "Bücher": "b-cher",
		"": "share", "…": "share", "_x_": "x", "-a-": "a", strings.Repeat("ab-", 30): "ab-ab-ab-ab-ab-ab-ab-ab",
	} {
		got := Label(text)
		if got != want || Label(got) != got {
			t.Errorf("Label(%q) = %q, and of that %q; want %q", text, got, Label(got), want)
		}
	}
}
