package devproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// fakeContainer is a container that a test server answers for.
func fakeContainer(t *testing.T, name, service string) plan.Container {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(server.Close)
	addr := server.Listener.Addr().String()
	return plan.Container{Name: name, Service: service, State: "running", Reach: func(uint16) (string, string, string) { return addr, "", "" }}
}

// containerProject is a project whose containers are set by the returned function, which
// applies them.
func containerProject(t *testing.T, text string) (p *Project, set func(...plan.Container) Save) {
	t.Helper()
	p, save := consentProject(t, nil)
	current := &plan.Containers{}
	p.Containers = func(agreed *plan.Plan) *plan.Containers {
		if !agreed.UsesContainers() {
			return nil
		}
		return current
	}
	if saved := save(text); saved.Rejected() {
		t.Fatalf("%+v", saved)
	}
	return p, func(all ...plan.Container) Save {
		current = &plan.Containers{All: all}
		return p.refresh()
	}
}

const containersText = `
discover = "docker"
host "shop.localhost" {
  upstream = service.api
  hold     = "0s"
}
service "api" { container = "api" }
`

// TestContainersFollow: members come and go without a file, and without containers the
// page says what helps.
func TestContainersFollow(t *testing.T) {
	p, set := containerProject(t, containersText)
	status, body := ask(p.Server, "/")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "Container api is not running.") || !strings.Contains(body, "docker compose up api") {
		t.Errorf("without containers: %d %s", status, body)
	}
	one, two := fakeContainer(t, "shop-api-1", "api"), fakeContainer(t, "shop-api-2", "api")
	set(one, two)
	var got []string
	for range 4 {
		_, body := ask(p.Server, "/")
		got = append(got, body)
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, []string{"shop-api-1", "shop-api-2"}) {
		t.Errorf("two containers: the answers are of %q", got)
	}
	sick := one
	sick.Health = "unhealthy"
	generation := p.Server.Generation()
	if set(sick, two).Rejected() || p.Server.Generation() != generation {
		t.Error("health made another generation")
	}
	for range 4 {
		if _, body := ask(p.Server, "/"); body != "shop-api-2" {
			t.Errorf("one is unhealthy: the answer is of %s", body)
		}
	}
	members := p.Server.Hosts(context.Background())[0].Routes[0].Members
	if len(members) != 2 || members[0].Upstream != "shop-api-1" || members[0].State != "unhealthy" || members[0].Detail != "its health check fails" {
		t.Errorf("the members are %+v", members)
	}
	set(one, two)
	seen := map[string]bool{}
	for range 40 { // it gets more requests little by little
		_, body := ask(p.Server, "/")
		seen[body] = true
	}
	if len(seen) != 2 {
		t.Errorf("after it is healthy again, the answers are of %v", seen)
	}
	one.State, two.State = "exited", "exited"
	set(one, two)
	if _, body := ask(p.Server, "/"); !strings.Contains(body, "Container api has exited.") {
		t.Errorf("after the exit: %s", body)
	}
}

// TestContainersAreHeldFor: a request that waits for a container is answered once it
// runs.
func TestContainersAreHeldFor(t *testing.T) {
	p, set := containerProject(t, strings.Replace(containersText, `"0s"`, `"1m"`, 1))
	answered := make(chan string)
	go func() {
		w := httptest.NewRecorder()
		p.Server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://shop.localhost/", strings.NewReader("x")))
		answered <- w.Body.String()
	}()
	for p.Server.InFlight() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the request did not begin")
		}
	}
	set(fakeContainer(t, "shop-api-1", "api"))
	if body := <-answered; body != "shop-api-1" {
		t.Errorf("the held request: %s", body)
	}
}

// TestContainersAndMistakes: containers are followed although the last save has a
// mistake, and its mistake is not forgotten.
func TestContainersAndMistakes(t *testing.T) {
	p, set := containerProject(t, containersText)
	load := p.Load
	p.Load = func() (*hcl.File, hcl.Diagnostics, error) {
		file, _, err := load()
		return file, hcl.Diagnostics{{Severity: hcl.Error, Summary: "a mistake"}}, err
	}
	if !p.Apply().Rejected() {
		t.Fatal("a mistake was applied")
	}
	if save := set(fakeContainer(t, "shop-api-1", "api")); save.Rejected() || !save.Containers {
		t.Errorf("%+v", save)
	}
	if _, body := ask(p.Server, "/"); body != "shop-api-1" {
		t.Errorf("the answer is %s", body)
	}
}

// TestLabelsOfTakenNames: a label gets no name of another project, and the rest is served.
func TestLabelsOfTakenNames(t *testing.T) {
	p, set := containerProject(t, containersText)
	p.Register = func(next *plan.Plan) error {
		for _, h := range next.Hosts() {
			if h.Name == "bank.shop.localhost" {
				return &NameError{Name: h.Name, Err: errors.New("bank.shop.localhost is already served by ~/bank/Proxyfile:1")}
			}
		}
		return nil
	}
	bank, mail := fakeContainer(t, "bank-1", "bank"), fakeContainer(t, "mail-1", "mail")
	bank.Host, mail.Host = "bank.shop.localhost", "mail.shop.localhost"
	save := set(bank, mail)
	if save.Rejected() || len(save.Plan.Hosts()) != 2 || save.Plan.Hosts()[1].Name != "mail.shop.localhost" {
		t.Errorf("%+v", save)
	}
	if notes := save.Plan.Notes(); len(notes) != 1 || notes[0].Text != "container bank-1: label devproxy.host: bank.shop.localhost is already served by ~/bank/Proxyfile:1" {
		t.Errorf("the notes are %q", notes)
	}
}

// TestEngineNeedsConsent: the engine is asked only while the user allows it.
func TestEngineNeedsConsent(t *testing.T) {
	allowed := false
	p, save := consentProject(t, func(p *plan.Plan) (*plan.Plan, error) {
		return p.Withhold(func(*plan.Effect) bool { return !allowed }), nil
	})
	asked := 0
	mail := fakeContainer(t, "mail-1", "mail")
	mail.Host = "mail.shop.localhost"
	known := &plan.Containers{All: []plan.Container{mail}}
	p.Containers = func(agreed *plan.Plan) *plan.Containers {
		if !agreed.UsesContainers() {
			return nil
		}
		asked++
		return known
	}
	save(containersText)
	if status, _ := ask(p.Server, "/"); asked != 0 || status != http.StatusForbidden {
		t.Errorf("without consent: asked %d times, status %d", asked, status)
	}
	allowed = true
	if saved := p.Apply(); asked == 0 || len(saved.Plan.Hosts()) != 2 {
		t.Errorf("with consent: asked %d times, %d hosts", asked, len(saved.Plan.Hosts()))
	}
	allowed = false
	if saved := p.Apply(); len(saved.Plan.Hosts()) != 1 {
		t.Errorf("after consent was withdrawn: %d hosts", len(saved.Plan.Hosts()))
	}
}
