package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

const hostOnly = "host \"shop.localhost\" { upstream = 5173 }\n"

// portPlan is the plan of a file without mistakes.
func portPlan(t *testing.T, text string) *Plan {
	t.Helper()
	p, diags := planOf(t, text)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return p
}

// TestPorts resolves ports, and compares plans with them.
func TestPorts(t *testing.T) {
	before := portPlan(t, hostOnly+`
tcp "postgres" {
  listen   = 15432
  upstream = service.db
}
udp "dns" { upstream = "localhost:5353" }
tcp "six" {
  listen   = "[::1]:15433"
  upstream = 5432
}
service "db" {
  upstream = 5432
  hold     = "30s"
}
`)
	var got []string
	for _, p := range before.Ports() {
		got = append(got, strings.Join([]string{p.String(), p.Listen(), p.Text, p.Hold.String(), strings.Join(p.Members[0].Addrs, ",")}, " "))
	}
	want := []string{
		"tcp postgres 127.0.0.1:15432 :5432 30s 127.0.0.1:5432,[::1]:5432",
		"tcp six [::1]:15433 :5432 10s 127.0.0.1:5432,[::1]:5432",
		"udp dns 127.0.0.1:20000 localhost:5353 10s 127.0.0.1:5353,[::1]:5353",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the ports are\n%q, want\n%q", got, want)
	}
	after := portPlan(t, hostOnly+`

tcp "postgres" {
  listen   = 15432
  upstream = 5433
}
udp "dns" {
  listen   = 20000
  upstream = "localhost:5353"
}
tcp "redis" { upstream = 6379 }
`)
	changes := Diff(before, after)
	if got, want := changes.String(), "tcp postgres :5432 -> :5433 · + tcp redis · - tcp six"; got != want || changes.Empty() {
		t.Errorf("the changes are %q", got)
	}
	if same := Diff(after, after); !same.Empty() {
		t.Errorf("no changes are %q", same)
	}
}

// TestPortEffects: an upstream on another machine needs consent, and without it the port
// is left out, and nothing else.
func TestPortEffects(t *testing.T) {
	p := portPlan(t, hostOnly+`
tcp "near" { upstream = 5432 }
tcp "far" { upstream = "DB.Example.com.:5432" }
udp "far" { upstream = "db.example.com:5432" }
`)
	var got []string
	for _, e := range p.Effects() {
		got = append(got, e.String())
	}
	if want := []string{"upstream tcp://db.example.com:5432", "upstream udp://db.example.com:5432"}; !slices.Equal(got, want) {
		t.Fatalf("the effects are %q", got)
	}
	rest := p.Withhold(func(e *Effect) bool { return strings.HasPrefix(e.Target, "tcp://") })
	got = nil
	for _, port := range rest.Ports() {
		got = append(got, port.String())
	}
	if !slices.Equal(got, []string{"tcp near", "udp far"}) {
		t.Errorf("without consent the ports are %q", got)
	}
	for _, r := range rest.routes() {
		if _, withheld := r.Answer.(*Withheld); withheld {
			t.Errorf("route %s is withheld", r.Label())
		}
	}
}

// TestPortContainers: without consent to the engine, ports of containers are left out.
func TestPortContainers(t *testing.T) {
	p := portPlan(t, hostOnly+"service \"db\" { container = \"db\" }\ntcp \"postgres\" { upstream = service.db }\n")
	port := p.Ports()[0]
	if port.Group == nil || port.Text != "container db" || port.Members[0].Network != NetworkNone || len(p.Groups()) != 1 {
		t.Errorf("the port is %+v", port)
	}
	if rest := p.Withhold(func(*Effect) bool { return true }); len(rest.Ports()) > 0 {
		t.Error("without consent the port is served")
	}
}

// TestPortCircle: ports that lead to each other are a mistake.
func TestPortCircle(t *testing.T) {
	_, diags := planOf(t, hostOnly+`
tcp "a" {
  listen   = 6001
  upstream = 6002
}
tcp "b" {
  listen   = 6002
  upstream = 6003
}
tcp "c" {
  listen   = 6003
  upstream = tcp.b.port
}
`)
	var got []string
	for _, d := range diags {
		if d.Severity == hcl.Error {
			got = append(got, d.Summary)
		}
	}
	if want := []string{"tcp b leads to itself: tcp b -> tcp c -> tcp b", "tcp c leads to itself: tcp c -> tcp b -> tcp c"}; !slices.Equal(got, want) {
		t.Errorf("the mistakes are %q", got)
	}
}
