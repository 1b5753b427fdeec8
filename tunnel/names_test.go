package tunnel

import (
	"bytes"
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
	label, shared := token, token
	label.Names, shared.Names, shared.SharedCookies = NamesInOneLabel, NamesInOneLabel, true
	plain, plainShared := named, named
	plain.Names, plainShared.Names, plainShared.SharedCookies = NamesInOneLabel, NamesInOneLabel, true
	const d = ".t.example.com"
	start := "shop-" + link
	for _, c := range []struct {
		name  string
		claim Claim
		hosts []string
		zone  string
		want  []string
	}{
		{"one label: no hosts", label, nil, "", nil},
		{"one label: one host", label, []string{""}, "", []string{start + d}},
		{"one label: another host alone", label, []string{"admin"}, "", []string{start + "--admin" + d}},
		{"one label: several", label, []string{"", "admin", "a.b", "xn--bcher-kva", "de", "*.tenant", "*"}, "", []string{
			start + d, start + "--admin" + d, start + "--a--b" + d, start + "--xn--bcher-kva" + d, start + "--de" + d, start + "--*--tenant" + d, start + "--*" + d,
		}},
		{"one label: long and odd", label, []string{strings.Repeat("a", 40), strings.Repeat("a", 41), "my_app", "*.my_app", "*." + strings.Repeat("a", 28), "*." + strings.Repeat("a", 29)}, "", []string{
			start + "--" + strings.Repeat("a", 40) + d, start + "--r3wbtkdw" + d, start + "--7zjr49av" + d, start + "--*--7zjr49av" + d,
			start + "--*--" + strings.Repeat("a", 28) + d, start + "--*--d49wkhzx" + d,
		}},
		{"one label: shared cookies", shared, []string{""}, zone, []string{start + "." + zone}},
		{"one label: several, shared cookies", shared, []string{"", "admin", "*.tenant"}, zone, []string{
			start + "." + zone, start + "--admin." + zone, start + "--*--tenant." + zone,
		}},
		{"one label: plain", plain, []string{"", "admin", "a.b", "*.tenant"}, "", []string{
			"shop" + d, "shop--admin" + d, "shop--a--b" + d, "shop--*--tenant" + d,
		}},
		{"one label: plain, shared cookies", plainShared, []string{"", "admin", "a.b", "*.tenant"}, "shop" + d, []string{
			"shop" + d, "admin.shop" + d, "a.b.shop" + d, "*.tenant.shop" + d,
		}},
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
		{"a host with a slash", Claim{Name: "shop", Hosts: []string{"a/b"}}, "is not a valid name", "letters"},
		{"an empty label", Claim{Name: "shop", Hosts: []string{"a..b"}}, "is not a valid name", "letters"},
		{"a wildcard inside", Claim{Name: "shop", Hosts: []string{"a.*"}}, "wildcard", "*.tenant"},
		{"a wildcard glued", Claim{Name: "shop", Hosts: []string{"*a"}}, "wildcard", "*.tenant"},
		{"a wildcard with nothing", Claim{Name: "shop", Hosts: []string{"*."}}, "is not a valid name", "letters"},
		{"twice", Claim{Name: "shop", Hosts: []string{"a", "a"}}, "claimed twice", "once"},
		{"two characters and a host", Claim{Name: "de", Names: NamesInOneLabel, Hosts: []string{"", "shop"}}, "de--shop.t.example.com, which browsers refuse", "three characters"},
		{"joined alike in one label", Claim{Project: "shop", Link: link, Names: NamesInOneLabel, Hosts: []string{"a.b", "a--b"}}, `"a.b" and "a--b" would both be`, "rename"},
		{"a long plain name", Claim{Name: strings.Repeat("a", 61), Names: NamesInOneLabel, Hosts: []string{"", "b"}}, "has 71 characters", "shorten the name"},
		{"joined alike", Claim{Project: "shop", Link: link, Hosts: []string{"a.b", "a--b"}}, `"a.b" and "a--b" would both be`, "rename"},
		{"an IDN in front", Claim{Project: "shop", Link: link, Hosts: []string{"", "xn--bcher-kva"}}, "browsers would refuse", "plain name"},
		{"a long label", Claim{Project: "shop", Link: link, Hosts: []string{"", strings.Repeat("a", 41)}}, "has 64 characters", "shorten"},
		{"a long name", Claim{Name: "shop", Hosts: []string{strings.Repeat("abcdefg.", 30) + "a"}}, "the DNS allows 253", "shorten"},
		{"many hosts", Claim{Name: "shop", Hosts: make([]string, MaxHosts+1)}, "not 101", "fewer"},
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

// TestRoot: what a relay remembers of each public name, by all rules.
func TestRoot(t *testing.T) {
	const link, other, domain = "1raxdbc1ag3chbxg", "0123456789abcdef", "t.example.com"
	const d, entry = "." + domain, "*-" + link + "." + domain
	for name, want := range map[string]string{
		"shop-" + link + d:                                entry,
		"shop-" + link + "--admin" + d:                    entry,
		"shop-" + link + "--a--b" + d:                     entry,
		"shop-" + link + "--x-" + other + d:               entry, // a host that looks like a link
		"shop-" + link + ".sp7tgtqx" + d:                  entry,
		"shop-" + link + "--admin.sp7tgtqx" + d:           entry,
		"admin--shop-" + link + ".sp7tgtqx" + d:           entry, // NamesByZone
		"shop-" + link + "--x-" + other + ".sp7tgtqx" + d: entry,
		"shop" + d:                         "shop" + d,
		"shop--admin" + d:                  "shop" + d,
		"shop--x-" + link + d:              "shop" + d, // a host of a plain name
		"admin.shop" + d:                   "shop" + d,
		"a.b.shop" + d:                     "shop" + d,
		"sp7tgtqx" + d:                     "sp7tgtqx" + d,
		"sp7tgtqx--admin" + d:              "",
		"x.shop-" + link + ".sp7tgtqx" + d: "",
		"admin.sp7tgtqx" + d:               "",
		"--admin" + d:                      "",
		domain:                             "",
		"shop.example.com":                 "",
	} {
		if got, ok := Root(name, domain); ok != (want != "") || ok && got != want {
			t.Errorf("Root(%s) = %q, %t; want %q", name, got, ok, want)
		}
	}
}

// TestEveryNameHasItsRoot: names of a claim are remembered by its link or plain
// name, whatever its hosts are called.
func TestEveryNameHasItsRoot(t *testing.T) {
	key := testKey('k')
	pub := key.Public().(ed25519.PublicKey)
	hosts := []string{"", "admin", "a.b", "de", "xn--bcher-kva", "x-0123456789abcdef", "sp7tgtqx", "*.tenant", "my_app", strings.Repeat("long.", 20) + "er"}
	for _, rules := range []Names{NamesByZone, NamesInOneLabel, NewestNames + 1} {
		for _, shared := range []bool{false, true} {
			for _, plain := range []string{"", "shop", "abc"} {
				for _, host := range hosts {
					claim := Claim{Project: "de", Name: plain, Names: rules, SharedCookies: shared, Hosts: []string{host}}
					want := plain + ".t.example.com"
					if plain == "" {
						claim.Link = Link(key, 0)
						want = LinkEntry(claim.Link, "t.example.com")
					}
					_, names, err := PublicNames(pub, "t.example.com", claim)
					if err != nil {
						if rules != NamesByZone {
							t.Errorf("%+v: %v", claim, err)
						}
						continue
					}
					if got, ok := Root(names[0], "t.example.com"); !ok || got != want {
						t.Errorf("Root(%s) = %q, %t; want %q", names[0], got, ok, want)
					}
				}
			}
		}
	}
}

// TestOwnName: a key's own name is its alone, and no claim gets it.
func TestOwnName(t *testing.T) {
	a, b := make(ed25519.PublicKey, ed25519.PublicKeySize), bytes.Repeat([]byte{1}, ed25519.PublicKeySize)
	own := OwnName(a, "t.example.com")
	if own != "073myhdjcscqkn0fw3601rv39r.s.t.example.com" || own == OwnName(b, "t.example.com") {
		t.Errorf("the own name is %s", own)
	}
	label, _, _ := strings.Cut(own, ".")
	for _, claim := range []Claim{
		{Name: "s", Hosts: []string{label}, SharedCookies: true, Names: NewestNames}, {Name: "s", Hosts: []string{label}},
		{Name: label + ".s", Hosts: []string{""}},
	} {
		if _, hosts, err := PublicNames(b, "t.example.com", claim); err == nil {
			t.Errorf("%+v gets %q", claim, hosts)
		}
	}
}

// TestPublicNamesDomain: a domain of the user's own is the first host's name. The other
// names do not change.
func TestPublicNamesDomain(t *testing.T) {
	claim := Claim{Project: "shop", Link: strings.Repeat("a", LinkLength), Names: NewestNames, Hosts: []string{"", "admin"}, Domain: "demo.example.com"}
	_, hosts, err := PublicNames(nil, "t.example.com", claim)
	if want := []string{"demo.example.com", "shop-aaaaaaaaaaaaaaaa--admin.t.example.com"}; err != nil || !slices.Equal(hosts, want) {
		t.Errorf("%q, %v; want %q", hosts, err, want)
	}
	claim.Hosts = []string{"*.tenant", ""}
	if _, _, err := PublicNames(nil, "t.example.com", claim); err == nil || !strings.Contains(err.Error(), "wildcard host") {
		t.Errorf("for a wildcard: %v", err)
	}
	claim.Hosts = nil
	if _, hosts, err := PublicNames(nil, "t.example.com", claim); err != nil || hosts != nil {
		t.Errorf("without hosts: %q, %v", hosts, err)
	}
}
