package devproxy

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// consentProject is a project in its own folder, with $SECRET, whose consent is
// decided by decide.
func consentProject(t *testing.T, decide func(*plan.Plan) (*plan.Plan, error)) (p *Project, save func(text string) Save) {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "Proxyfile")
	p = &Project{
		Server: newServer(t), Consent: decide,
		Load: func() (*hcl.File, hcl.Diagnostics, error) {
			return hcl.Load(path, hcl.Options{WorkDir: folder, Getenv: func(string) string { return "s3cr3t-t0ken" }})
		},
		Bind: func(*hcl.File) (plan.Env, error) { return plan.Env{}, nil },
	}
	return p, func(text string) Save {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p.Apply()
	}
}

func ask(s *Server, path string) (int, string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://shop.localhost"+path, nil)
	r.Header.Set("Accept", "text/html")
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestWithheldPage: a route that is withheld says why, with the command that
// helps and without values; a program gets the same words.
func TestWithheldPage(t *testing.T) {
	p, save := consentProject(t, func(p *plan.Plan) (*plan.Plan, error) {
		return p.Withhold(func(*plan.Effect) bool { return true }), nil
	})
	saved := save(`host "shop.localhost" {
  respond = 204
  route "/old" { redirect = "https://docs.example.com/?k=${env("SECRET")}" }
}
`)
	if saved.Rejected() || len(saved.Withheld) != 1 || saved.Withheld[0].Kind != plan.KindRedirect {
		t.Fatalf("%+v", saved)
	}
	status, body := ask(p.Server, "/old")
	if status != http.StatusForbidden || !strings.Contains(body, "devproxy allow") || !strings.Contains(body, "redirect https://docs.example.com with $SECRET") || strings.Contains(body, "s3cr3t") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := ask(p.Server, "/"); status != 204 {
		t.Errorf("the rest: %d", status)
	}
	for _, route := range p.Server.Hosts(t.Context())[0].Routes {
		if (route.State == control.StateWithheld) != (route.Path == "/old") {
			t.Errorf("%s is %s", route.Path, route.State)
		}
	}
}

// TestWithheldPageOfAnOracle: the page of a withheld route does not show the
// computed value that it is withheld for.
func TestWithheldPageOfAnOracle(t *testing.T) {
	p, save := consentProject(t, func(p *plan.Plan) (*plan.Plan, error) {
		return p.Withhold(func(*plan.Effect) bool { return true }), nil
	})
	var pages []string
	for _, letter := range []string{"s", "x"} {
		saved := save(`host "shop.localhost" {
  respond = 204
  route "/a" {
    redirect = substr(env("SECRET"), 0, 1) == "` + letter + `" ? "https://a.example" : null
    basic_auth = { ann = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" }
  }
  route "/b" { upstream = substr(env("SECRET"), 0, 1) == "` + letter + `" ? "https://a.example" : 3000 }
}
`)
		if saved.Rejected() {
			t.Fatalf("%+v", saved)
		}
		for _, path := range []string{"/a", "/b"} {
			status, body := ask(p.Server, path)
			if status != 403 || !strings.Contains(body, "devproxy allow") {
				t.Errorf("%s: %d %s", path, status, body)
			}
			pages = append(pages, body)
		}
	}
	if pages[0] != pages[2] || pages[1] != pages[3] {
		t.Errorf("the pages differ:\n%s", strings.Join(pages, "\n"))
	}
}

// TestConsentIsAskedFirst: devproxy neither binds ports for a refused plan nor
// serves it; the previous plan is still served.
func TestConsentIsAskedFirst(t *testing.T) {
	refused := errors.New("refused")
	bound := 0
	p, save := consentProject(t, func(p *plan.Plan) (*plan.Plan, error) {
		if len(p.Effects()) > 0 {
			return nil, refused
		}
		return p, nil
	})
	p.Bind = func(*hcl.File) (plan.Env, error) { bound++; return plan.Env{}, nil }
	const outside = `host "shop.localhost" { files = "/" }`
	if s := save(outside); !errors.Is(s.Err, refused) || !s.Rejected() || bound != 0 || p.Server.Generation() != 0 {
		t.Errorf("first: %+v, bound %d times", s, bound)
	}
	if s := save(`host "shop.localhost" { respond = 204 }`); s.Rejected() || bound != 1 {
		t.Errorf("without: %+v", s)
	}
	if s := save(outside); !errors.Is(s.Err, refused) || bound != 1 || s.Plan != nil {
		t.Errorf("later: %+v", s)
	}
	if status, _ := ask(p.Server, "/etc/passwd"); status != 204 {
		t.Errorf("then: %d", status)
	}
}

// TestConsentTakenBack: a file with a mistake does not keep routes alive that
// are no longer allowed.
func TestConsentTakenBack(t *testing.T) {
	denied := false
	p, save := consentProject(t, func(p *plan.Plan) (*plan.Plan, error) {
		return p.Withhold(func(*plan.Effect) bool { return denied }), nil
	})
	outside := t.TempDir()
	good := `host "shop.localhost" { files = "` + filepath.ToSlash(outside) + `" }`
	if err := os.WriteFile(filepath.Join(outside, "index.html"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	save(good)
	if status, body := ask(p.Server, "/"); status != 200 || body != "hello" {
		t.Fatalf("%d %s", status, body)
	}
	if s := save("host {"); s.Plan != nil || len(s.Withheld) > 0 {
		t.Errorf("a mistake alone: %+v", s)
	}
	denied = true
	s := save("host {")
	if !s.Rejected() || s.Plan == nil || len(s.Withheld) != 1 {
		t.Errorf("%+v", s)
	}
	if status, _ := ask(p.Server, "/"); status != http.StatusForbidden {
		t.Errorf("what was taken back answers with %d", status)
	}
	denied = false
	if s := save("host {"); s.Plan != nil {
		t.Errorf("given again: %+v", s)
	}
	if s := save(good); s.Rejected() {
		t.Errorf("%+v", s)
	}
	if status, _ := ask(p.Server, "/"); status != 200 {
		t.Errorf("given again it answers with %d", status)
	}
}

// TestLoad: all diagnostics of file and plan come at once, and a line that the file has
// an error on is not reported again by the plan.
func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Proxyfile")
	for text, want := range map[string]int{
		"host \"shop.localhost\" { respond = 204 }\n":                                                               0,
		"host \"shop.localhost\" {\n  respond = 204\n  upstrem = 1\n}\nhost \"shop.localhost\" { respond = 204 }\n": 2,
		"host \"shop.localhost\" { upstrem = 1 }\n":                                                                 1,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(
			func() (*hcl.File, hcl.Diagnostics, error) { return hcl.Load(path, hcl.Options{}) },
			func(*hcl.File) plan.Env { return plan.Env{} },
		)
		if err != nil || len(loaded.Diagnostics) != want || loaded.Plan == nil {
			t.Errorf("%s%v, want %d; %v", text, loaded.Diagnostics, want, err)
		}
	}
}
