package relay

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWaitsForAgent: who comes just before the agent is served by it.
func TestWaitsForAgent(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	claim := claimOf(key, "")
	first := w.agent(key, claim, &recorder{})
	host := first.grant.Hosts[0]
	first.Close(nil)
	eventually(t, "the session is known to be over", func() bool { return len(w.table.all()) == 0 })
	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer, 2)
	for _, protocol := range protocols {
		client := w.client(protocol)
		go func() {
			status, body, _ := get(t, client, "https://"+host+"/")
			answers <- answer{status, body}
		}()
	}
	eventually(t, "both wait", func() bool { _, n, _ := w.door.counts(); return n == 2 })
	w.agent(key, claim, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "back") }))
	for range 2 {
		if a := within(t, "an answer", answers); a.status != 200 || a.body != "back" {
			t.Errorf("%+v", a)
		}
	}
}

// TestAbsent: what is told of names that nobody holds.
func TestAbsent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	file, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := start(t, func(o *Options) { o.Registry, o.Limits.Wait = file, 100*time.Millisecond })
	key := testKey("a")
	agent := w.agent(key, claimOf(key, "", "*.x"), &recorder{})
	host := agent.grant.Hosts[0]
	agent.Close(nil)
	eventually(t, "the session is over", func() bool { return len(w.table.all()) == 0 })

	status, body, header := get(t, w.client("h1"), "https://"+host+"/", "Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Dest", "document")
	if status != 503 || !strings.Contains(body, "<h1>This share is asleep.</h1>") || header.Get("X-Robots-Tag") != "noindex" || header.Get("Retry-After") == "" {
		t.Errorf("a navigation: %d %v %s", status, header, body)
	}
	if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(body, "src=") {
		t.Errorf("the page loads something: %q %s", policy, body)
	}
	status, body, header = get(t, w.client("h1"), "https://"+host+"/")
	if status != 503 || !strings.HasPrefix(body, "This share is asleep.\n") || header.Get("Retry-After") != "10" {
		t.Errorf("a script: %d %v %q", status, header, body)
	}
	status, body, _ = get(t, w.client("h1"), "https://shop-0123456789abcdef."+domain+"/", "Accept", "text/html")
	if status != 404 || !strings.Contains(body, "There is no such link.") {
		t.Errorf("an unknown name: %d %s", status, body)
	}

	// The name survives a restart of the relay, and so does its owner.
	w.Close()
	if err := file.Suspend(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	w = start(t, func(o *Options) { o.Registry, o.Limits.Wait = again, 100*time.Millisecond })
	if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 503 {
		t.Errorf("after a restart: %d", status)
	}
	if status, _, _ := get(t, w.client("h1"), "https://y--x--"+host+"/"); status != 503 {
		t.Errorf("a wildcard's name after a restart: %d", status)
	}
	if _, err := w.tryAgent(testKey("b"), claimOf(key, "", "*.x"), &recorder{}); codeFrom(err) != 67 {
		t.Errorf("another key after a restart: %v", err)
	}
}

// TestExpiry: a share ends by itself, at its moment.
func TestExpiry(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	claim := claimOf(key, "")
	claim.Until = time.Now().Add(300 * time.Millisecond)
	host := w.agent(key, claim, &recorder{}).grant.Hosts[0]
	if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 && time.Now().Before(claim.Until) {
		t.Errorf("before its end: %d", status)
	}
	eventually(t, "410", func() bool {
		status, _, _ := get(t, w.client("h1"), "https://"+host+"/")
		return status == 410
	})
	if time.Now().Before(claim.Until) {
		t.Error("ended too early")
	}
}

func TestCandidates(t *testing.T) {
	for name, want := range map[string]string{
		"shop.t.example.com":         "shop.t.example.com *.t.example.com",
		"a--b--shop-x.z.example.com": "a--b--shop-x.z.example.com *--b--shop-x.z.example.com *--shop-x.z.example.com *.z.example.com",
	} {
		if got := strings.Join(candidates(name), " "); got != want {
			t.Errorf("candidates(%s) = %s, want %s", name, got, want)
		}
	}
	if n := len(candidates(strings.Repeat("-", 63) + ".x")); n > 64 {
		t.Errorf("%d candidates of one name", n)
	}
}

// TestSessionLostUnderRequest: what can be repeated goes to the next session,
// and nothing else is sent twice.
func TestSessionLostUnderRequest(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	asked := make(chan string, 10)
	older := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- r.Method
		<-r.Context().Done()
	}))
	host := older.grant.Hosts[0]
	answers := map[string]chan string{http.MethodGet: make(chan string, 1), http.MethodPost: make(chan string, 1)}
	for method, answer := range answers {
		client := w.client("h2")
		go func() {
			r, _ := http.NewRequest(method, "https://"+host+"/", nil)
			res, err := client.Do(r)
			if err != nil {
				answer <- err.Error()
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			answer <- fmt.Sprint(res.StatusCode, " ", string(body))
		}()
		within(t, "the request", asked)
	}
	w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- "again " + r.Method
		fmt.Fprint(w, "newer")
	}))
	if got := within(t, "GET", answers[http.MethodGet]); got != "200 newer" {
		t.Errorf("GET: %s", got)
	}
	if got := within(t, "POST", answers[http.MethodPost]); !strings.HasPrefix(got, "502 ") {
		t.Errorf("POST: %s", got)
	}
	if got := within(t, "the repeated request", asked); got != "again GET" || len(asked) > 0 {
		t.Errorf("sent %q, and %d more", got, len(asked))
	}
}
