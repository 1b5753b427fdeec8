package cache

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// made is one answer of the model's upstream, and all that says who may have it.
type made struct {
	path, foo  string
	authorized bool
	vary       bool
	public     bool
	nobody     bool // no-store or private
	always     bool // no-cache: to be validated each time
	maxAge     time.Duration
	at         time.Time
	confirmed  time.Time // by the last 304
	version    int       // of the path
}

// TestModel walks at random, with an upstream that remembers what it answered:
// whatever comes from the cache must be something that this request may have.
func TestModel(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { walk(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func walk(t *testing.T, random *rand.Rand) {
	c := New(60_000)
	defer c.Close()
	var all []*made
	versions := map[string]int{}
	hits := 0
	for range 400 {
		time.Sleep(time.Duration(random.IntN(4)) * time.Second)
		path := fmt.Sprintf("/%d", random.IntN(4))
		if random.IntN(15) == 0 {
			versions[path]++
			r := httptest.NewRequest("POST", "http://shop.localhost"+path, strings.NewReader("x"))
			r.RequestURI = path
			_ = c.ask(httptest.NewRecorder(), r, (&up{}).answer)
			continue
		}
		r := get(t.Context(), path)
		foo, authorized, noCache := fmt.Sprint(random.IntN(3)), random.IntN(4) == 0, random.IntN(8) == 0
		r.Header.Set("Foo", foo)
		if authorized {
			r.Header.Set("Authorization", "x")
		}
		if noCache {
			r.Header.Set("Cache-Control", "no-cache")
		}
		asked := false
		w := httptest.NewRecorder()
		err := c.ask(w, r, func(w http.ResponseWriter, r *http.Request) error {
			asked = true
			if tag := r.Header.Get("If-None-Match"); tag != "" {
				var n int
				fmt.Sscanf(tag, `"%d"`, &n)
				if m := all[n]; m.version == versions[path] && random.IntN(2) == 0 {
					m.confirmed = time.Now()
					w.Header().Set("Etag", tag)
					w.WriteHeader(http.StatusNotModified)
					return nil
				}
			}
			m := &made{path: path, foo: foo, authorized: authorized, at: time.Now(), confirmed: time.Now(), version: versions[path],
				vary: random.IntN(2) == 0, public: random.IntN(3) == 0, nobody: random.IntN(5) == 0, always: random.IntN(6) == 0,
				maxAge: time.Duration(random.IntN(10)) * time.Second}
			all = append(all, m)
			return m.answer(w, len(all)-1, random)
		})
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscanf(w.Body.String(), "%d ", &n); err != nil || w.Body.String() != all[n].body(n) {
			t.Fatalf("%.40q is not a complete response", w.Body)
		}
		if !asked {
			hits++
		}
		check(t, all[n], path, foo, versions[path], authorized, noCache, asked)
	}
	if hits < 20 {
		t.Errorf("only %d hits: this proves nothing", hits)
	}
}

func (m *made) body(n int) string { return fmt.Sprintf("%d ", n) + strings.Repeat("x", n*37%2000) }

func (m *made) answer(w http.ResponseWriter, n int, random *rand.Rand) error {
	h := w.Header()
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Etag", fmt.Sprintf(`"%d"`, n))
	h.Add("Cache-Control", fmt.Sprintf("max-age=%d", m.maxAge/time.Second))
	if m.vary {
		h.Set("Vary", "foo")
	}
	for directive, is := range map[string]bool{"public": m.public, []string{"no-store", "private"}[random.IntN(2)]: m.nobody, "no-cache": m.always} {
		if is {
			h.Add("Cache-Control", directive)
		}
	}
	body := m.body(n)
	_, err := w.Write([]byte(body[:len(body)/2]))
	if err == nil {
		_, err = w.Write([]byte(body[len(body)/2:]))
	}
	return err
}

// check holds what m was made with against who got it.
func check(t *testing.T, m *made, path, foo string, version int, authorized, noCache, asked bool) {
	t.Helper()
	now := time.Now()
	switch {
	case m.path != path:
		t.Fatalf("%s is answered with %s", path, m.path)
	case m.at.Equal(now) && m.foo == foo && m.authorized == authorized && asked:
		return // made for this request
	case m.nobody:
		t.Fatal("what must not be kept was kept")
	case m.vary && m.foo != foo:
		t.Fatalf("foo %s is answered with foo %s", foo, m.foo)
	case m.authorized && !m.public:
		t.Fatal("what belongs to one client is served to others")
	case m.version != version:
		t.Fatal("what was changed since is still given")
	case asked && m.confirmed.Equal(now):
		return // by a 304
	case noCache, m.always:
		t.Fatal("the upstream had to get a request")
	case now.Sub(m.confirmed) >= m.maxAge:
		t.Fatalf("%v old, fresh for %v", now.Sub(m.confirmed), m.maxAge)
	}
}

// FuzzDirectives: whatever comes, the parser ends, and what it reads is read
// again from its own form.
func FuzzDirectives(f *testing.F) {
	for _, seed := range []string{"max-age=60", `private="a, b", no-store`, `a="\"`, `=,=",`, "no-cache", `x="\\\"",y`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := parseDirectives([]string{line})
		for name, arguments := range d {
			if name != strings.ToLower(name) || strings.ContainsAny(name, ",=") {
				t.Fatalf("%q: a directive %q", line, name)
			}
			quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(arguments[0])
			if again := parseDirectives([]string{name + `="` + quoted + `"`}); name != "" && (len(again[name]) != 1 || again[name][0] != arguments[0]) {
				t.Fatalf("%q: %q is read again as %q", line, arguments[0], again)
			}
			d.seconds(name)
		}
	})
}
