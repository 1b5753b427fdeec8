package share

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestAnUnguessableNameStaysHere: of what the project says, only policies that
// tell other sites no origin count.
func TestAnUnguessableNameStaysHere(t *testing.T) {
	zoned := several()
	zoned.Password = "open sesame"
	for name, opts := range map[string]Options{"one host": oneHost(), "several": several(), "with a password": zoned} {
		s := mustNew(t, opts)
		for said, want := range map[string]string{
			"":                                "same-origin",
			"no-referrer":                     "no-referrer",
			"same-origin":                     "same-origin",
			"NO-REFERRER ":                    "no-referrer",
			"no-referrer-when-downgrade":      "same-origin",
			"origin":                          "same-origin",
			"strict-origin":                   "same-origin",
			"origin-when-cross-origin":        "same-origin",
			"strict-origin-when-cross-origin": "same-origin",
			"unsafe-url":                      "same-origin",
			"unknown":                         "same-origin",
			"no-referrer, unsafe-url":         "same-origin",
			"unsafe-url, no-referrer":         "no-referrer",
			"unsafe-url|no-referrer":          "no-referrer",
			"no-referrer|origin":              "same-origin",
			"no-referrer, unknown":            "no-referrer",
			"no-referrer, ,":                  "no-referrer",
			"no-referrer; x":                  "same-origin",
		} {
			for _, status := range []int{200, 302, 304, 404, 503} {
				h := http.Header{}
				if said != "" {
					h["Referrer-Policy"] = strings.Split(said, "|")
				}
				s.Outward(h, status, visitorOf(firstHost(s)), nil)
				if got := strings.Join(h["Referrer-Policy"], "|"); got != want {
					t.Errorf("%s, %d: %q became %q, want %q", name, status, said, got, want)
				}
			}
		}
	}
}

// TestEveryPolicy of the Referrer Policy (section 3) is known: the last one
// counts, and a share with a plain name leaves it as it is.
func TestEveryPolicy(t *testing.T) {
	hidden, plain := mustNew(t, oneHost()), mustNew(t, plainName())
	for _, policy := range []string{
		"no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin", "origin-when-cross-origin",
		"strict-origin-when-cross-origin", "unsafe-url",
	} {
		want := "same-origin"
		if policy == "no-referrer" {
			want = policy
		}
		if got := outward(hidden, "Referrer-Policy", "no-referrer, "+policy); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q", policy, got)
		}
		if got := outward(plain, "Referrer-Policy", policy); !slices.Equal(got, []string{policy}) {
			t.Errorf("a plain name, %s: %q", policy, got)
		}
		if got := outward(hidden, "Referrer-Policy", "no-referrer, x"+policy+", "+policy+"x"); !slices.Equal(got, []string{"no-referrer"}) {
			t.Errorf("what is like %s: %q", policy, got)
		}
	}
}

// TestAPlainNameIsNoSecret: there the project's policy counts, and nothing is added.
func TestAPlainNameIsNoSecret(t *testing.T) {
	s := mustNew(t, plainName())
	for said, want := range map[string]string{
		"unsafe-url": "unsafe-url", "origin, strict-origin": "origin, strict-origin", "": "", "unknown": "unknown",
	} {
		h := http.Header{}
		if said != "" {
			h.Set("Referrer-Policy", said)
		}
		s.Outward(h, 200, visitorOf(firstHost(s)), nil)
		if got := h.Get("Referrer-Policy"); got != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
	}
}

// TestThePagesOfTheGateTellNoName either.
func TestThePagesOfTheGateTellNoName(t *testing.T) {
	s := mustNew(t, withPassword())
	for name, r := range map[string]*http.Request{
		"the login": browse(ask("GET", single, "/")), "a text": ask("GET", single, "/"), "a redirect": sendPassword(single, "open sesame"),
		"hidden": ask("GET", single, "/.env"), "a preflight": asPreflight(single, "/", "https://"+single),
	} {
		if _, answer := admit(s, r); answer == nil || answer.Header().Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}
