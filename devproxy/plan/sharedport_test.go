package plan

import (
	"slices"
	"strings"
	"testing"
)

// TestSharedPorts resolves the blocks of a share, tcp before udp.
func TestSharedPorts(t *testing.T) {
	p := portPlan(t, hostOnly+`
share {
  udp = [udp.game]
  tcp = [tcp.postgres]
}
tcp "postgres" {
  upstream = 5432
  allow    = ["203.0.113.0/24"]
}
tcp "own" { upstream = 6379 }
udp "game" {
  upstream = 7777
  public   = true
}
`)
	ports := p.Share().Ports
	if len(ports) != 2 || ports[0] != p.Ports()[0] || ports[1] != p.Ports()[2] {
		t.Fatalf("the share has %v", ports)
	}
	if got := ports[0].Allow; ports[0].Public || len(got) != 1 || got[0].String() != "203.0.113.0/24" || !ports[1].Public {
		t.Errorf("who may connect: %v, %v", ports[0], ports[1])
	}
	next := portPlan(t, hostOnly+`
share { tcp = [tcp.postgres] }
tcp "postgres" {
  upstream = 5432
  allow    = ["203.0.113.7"]
}
`)
	if changes := Diff(p, next); !changes.Share {
		t.Errorf("the changes are %q", changes.String())
	}
	same := Diff(p, portPlan(t, hostOnly+`
tcp "own" { upstream = 6379 }
tcp "postgres" {
  upstream = 5432
  allow    = ["203.0.113.0/24"]
}
udp "game" {
  upstream = 7777
  public   = true
}
share {
  tcp = [tcp.postgres]
  udp = [udp.game]
}
`))
	if same.Share {
		t.Errorf("lines that moved are %q", same.String())
	}
}

// sharedEffects are the effects of sharing ports.
func sharedEffects(t *testing.T, text string) []*Effect {
	t.Helper()
	p, _ := effectsPlan(t, hostOnly+text)
	return slices.DeleteFunc(slices.Clone(p.Effects()), func(e *Effect) bool { return e.Kind != KindPort })
}

// TestSharedPortEffects: sharing a block needs consent to its server and to each range of
// addresses.
func TestSharedPortEffects(t *testing.T) {
	const block = "share { tcp = [tcp.db] }\ntcp \"db\" {\n listen = 6000\n"
	for _, test := range []struct {
		text string
		want []string
	}{
		{block + "upstream = 5432\n public = true\n}", []string{"share port tcp db, port 5432, to everyone"}},
		{block + "upstream = \"unix:run/db.sock\"\n public = true\n}", []string{"share port tcp db, unix:run/db.sock, to everyone"}},
		{block + "upstream = 5432\n allow = [\"203.0.113.0/24\", \"2001:db8::7\"]\n}", []string{"share port tcp db, port 5432, to 203.0.113.0/24", "share port tcp db, port 5432, to 2001:db8::7"}},
		{block + "upstream = service.db\n public = true\n}\nservice \"db\" { command = \"db\" }", []string{"share port tcp db, port {db.port}, to everyone"}},
		{block + "upstream = service.db\n public = true\n}\nservice \"db\" { container = { service = \"pg\", port = 5432 } }", []string{"share port tcp db, container pg port 5432, to everyone"}},
		{block + "upstream = 6001\n public = true\n}\ntcp \"next\" {\n listen = 6001\n upstream = 22\n}", []string{"share port tcp db, port 22, to everyone"}},
		{block + "upstream = tcp.next.port\n public = true\n}\ntcp \"next\" { upstream = 22 }", []string{"share port tcp db, port 22, to everyone"}},
		{block + "upstream = env(\"SECRET\") == \"\" ? 1 : 2\n public = true\n}", []string{`share port tcp db, ${env("SECRET") == "" ? 1 : 2}, to everyone`}},
		{block + "upstream = \"${env(\"SECRET\")}.example:1\"\n public = true\n}", []string{"share port tcp db, ${SECRET}.example:1, to everyone"}},
		{block + "upstream = 1\n allow = [\"10.0.0.${strlen(env(\"SECRET\"))}\"]\n}", []string{`share port tcp db, port 1, to ${["10.0.0.${strlen(env("SECRET"))}"]} with $SECRET`}},
		{"tcp \"db\" {\n upstream = 1\n public = true\n}", nil},
	} {
		var got []string
		for _, e := range sharedEffects(t, test.text) {
			got = append(got, e.String())
			if !e.ShareOnly() {
				t.Errorf("%s happens without a share", e)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s\nhas %q", test.text, got)
		}
	}
}

// TestFewerVisitors: consent to all visitors is consent to some of them, for the same
// server.
func TestFewerVisitors(t *testing.T) {
	const block = "share { tcp = [tcp.db] }\ntcp \"db\" {\n upstream = "
	one := sharedEffects(t, block+"5432\n allow = [\"203.0.113.7\"]\n}")[0]
	all := sharedEffects(t, block+"5432\n public = true\n}")[0]
	some := sharedEffects(t, block+"5432\n allow = [\"203.0.113.0/24\"]\n}")[0]
	other := sharedEffects(t, block+"22\n allow = [\"203.0.113.0/24\"]\n}")[0]
	for _, test := range []struct {
		given, wanted *Effect
		covers        bool
	}{{all, some, true}, {all, one, true}, {some, one, true}, {one, some, false}, {some, all, false}, {all, other, false}, {some, other, false}} {
		if got := test.given.Covers(test.wanted); got != test.covers {
			t.Errorf("%q covers %q: %v", test.given, test.wanted, got)
		}
	}
}

// TestWithheldSharedPort: a block that is withheld is not served, and the share says so.
func TestWithheldSharedPort(t *testing.T) {
	p := portPlan(t, hostOnly+`
share { tcp = [tcp.far, tcp.near] }
tcp "far" {
  upstream = "db.example.com:5432"
  public   = true
}
tcp "near" {
  upstream = 5432
  public   = true
}
`)
	rest := p.Withhold(func(e *Effect) bool { return strings.HasPrefix(e.Target, "tcp://") || e.Kind == KindPort })
	if got := rest.WithheldPorts(); len(got) != 1 || got[0].Name != "far" || !got[0].Withheld || len(rest.Ports()) != 1 {
		t.Errorf("withheld are %v of %v", got, p.Ports())
	}
	if got := rest.Share().Ports; len(got) != 2 || !got[0].Withheld || got[1].Withheld || p.Share().Ports[0].Withheld {
		t.Errorf("the share has %v", got)
	}
	if n := len(rest.Effects()); n != 2 { // those of the share stay
		t.Errorf("%d effects are left", n)
	}
}
