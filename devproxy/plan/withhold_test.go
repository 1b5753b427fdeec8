package plan

import "testing"

// TestWithhold: the routes of an effect, and no others, say that they need
// consent, and do nothing else.
func TestWithhold(t *testing.T) {
	p, _ := effectsPlan(t, `
share { relay = "t.example.com" }
host "shop.localhost" {
  aliases = ["${env("SUB")}.shop.localhost", "plain.shop.localhost"]
  upstream = 3000
  route "/out" {
    files            = "../outside"
    response_headers = { X = "1" }
    request_headers  = { X = "1" }
    cors             = true
    compress         = true
    simulate         = { delay = "1s" }
    allow            = ["10.0.0.0/8"]
  }
  route "/api" {
    upstream = "https://a.example"
    rewrite  = "/x{rest}"
    cache    = true
  }
  route "/only" {
    respond = 204
    match   = { query = { k = env("SECRET") } }
  }
}
`)
	all := func(*Effect) bool { return true }
	rest := p.Withhold(all)
	routes := map[string]*Route{}
	for _, r := range rest.Hosts()[0].Routes {
		routes[r.Path] = r
		if r.Host != rest.Hosts()[0] {
			t.Errorf("%s belongs to another plan's host", r.Path)
		}
	}
	for path, want := range map[string]bool{"/": false, "/out": true, "/api": true, "/only": true} {
		w, is := routes[path].Answer.(*Withheld)
		if is != want || is && len(w.Effects) != 1 {
			t.Errorf("%s answers with %v", path, routes[path].Answer)
		}
	}
	out := routes["/out"]
	if access, _ := SettingOf[Access](out); out.ResponseHeaders != nil || out.RequestHeaders != nil || len(out.Around) != 1 || len(access.Allow) != 1 {
		t.Errorf("/out does more: %+v", out)
	}
	if api := routes["/api"]; api.Rewrite != "" || len(api.Around) > 0 {
		t.Errorf("/api does more: %+v", api)
	}
	if m, err := rest.Match(Request{Method: "GET", Host: "shop.localhost", Path: "/only"}); err != nil || m.Route != routes["/only"] {
		t.Errorf("whether the query is right shows: %v, %v", m.Route, err)
	}
	if _, err := rest.Match(Request{Host: "plain.shop.localhost", Path: "/"}); err != nil {
		t.Error(err)
	}
	if _, err := rest.Match(Request{Host: "site.shop.localhost", Path: "/"}); err == nil {
		t.Error("the alias of a variable is served")
	}
	if got := rest.Effects(); len(got) != 1 || got[0].Kind != KindRelay || !got[0].ShareOnly() {
		t.Errorf("left are %v", got)
	}
	if p.Withhold(func(*Effect) bool { return false }) != p {
		t.Error("nothing is denied, and the plan is another")
	}
	one := p.Withhold(func(e *Effect) bool { return e.Kind == KindFiles })
	if d := Diff(rest, one); len(d.Changed) != 2 || len(d.AddedNames) != 1 {
		t.Errorf("changed: %v", d)
	}
	if d := Diff(rest, p.Withhold(all)); !d.Empty() {
		t.Errorf("the same twice differs: %v", d)
	}
	for _, r := range p.Hosts()[0].Routes {
		if _, is := r.Answer.(*Withheld); is {
			t.Error("the plan itself was changed")
		}
	}
}
