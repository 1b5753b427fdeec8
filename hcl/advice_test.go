package hcl

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	advised = regexp.MustCompile(`\^ (?:.*; )?write (.+)$`)
	// prose matches what follows "write" if it is prose and not code.
	prose = regexp.MustCompile(`^(?:NAME = |all |a |an |one |it |its |letters|the |like|\{rest\}: |%20|"\}"|".*" without|".*" like|each|digits|none|TYPE|them|http, https|service\.NAME|one,)|^"\}" where`)
)

// adviceContexts returns the places in which advised code is tried.
func adviceContexts() []string {
	const other = "host \"other.localhost\" { upstream = 1 }\n"
	return []string{
		"%\n" + other,
		"% }\n" + other,
		"%\n upstream = 1\n}\n" + other,
		"host % { upstream = 1 }\n" + other,
		"locals {\n % }\n}\n" + other,
		"host \"a.localhost\" {\n upstream = 1\n %\n}\n",
		"host \"a.localhost\" {\n upstream = 1\n %\n}\n}\n",
		"host \"a.localhost\" {\n %\n}\n",
		"host \"a.localhost\" {\n upstream = 1\n route \"/x\" {\n %\n }\n}\n",
		"host \"a.localhost\" {\n files = \".\"\n %\n}\n",
		"host \"a.localhost\" {\n redirect = \"/x\"\n %\n}\n",
		"host \"a.localhost\" {\n upstream = service.s\n}\nservice \"s\" {\n upstream = 1\n %\n}\n",
		"host \"a.localhost\" {\n upstream = service.s\n}\nservice \"s\" {\n %\n}\n",
		"share {\n %\n}\n" + other,
		"listen {\n %\n}\n" + other,
		"locals {\n %\n}\n" + other,
		"locals {\n a = %\n}\n" + other,
		"host \"a.localhost\" { upstream = % }\nservice \"api\" { upstream = 1 }\n",
		"host \"a.localhost\" { % }\nservice \"unused\" { upstream = 1 }\n",
		"host \"a.localhost\" {\n upstream = 1\n route \"/x\" {\n %\n }\n }\n}\n",
		"host \"a.localhost\" {\n upstream = 1\n % = true\n}\n",
		"locals {\n a = { % }\n}\n" + other,
		other + ports + "share { tcp = [%] }\n",
		other + ports + "share { udp = % }\n",
		"host % { upstream = 1 }\n",
		"host \"a.localhost\" {\n upstream = 1\n route % {}\n}\n",
	}
}

// ports are blocks that can be shared.
const ports = "tcp \"office\" {\n upstream = 1\n public = true\n}\ntcp \"NAME\" {\n upstream = 2\n public = true\n}\nudp \"game\" {\n upstream = 3\n public = true\n}\n"

// TestGoldenAdvice checks that the code in the advice of the golden files is valid
// somewhere in a Proxyfile.
func TestGoldenAdvice(t *testing.T) {
	files, err := filepath.Glob("../testdata/proxyfile/*/*.golden")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	tried := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			m := advised.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil || prose.MatchString(m[1]) {
				continue
			}
			tried++
			if !validSomewhere(m[1]) {
				t.Errorf("%s: %q is not valid anywhere", filepath.Base(file), m[1])
			}
		}
	}
	if tried < 100 {
		t.Errorf("tried only %d pieces of code, want at least 100", tried)
	}
}

// validSomewhere reports whether code is valid in one of the contexts. Only its
// beginning needs to be, if an explanation follows.
func validSomewhere(code string) bool {
	ends := []string{"", "; ", ": ", ", ", " or ", " in ", " and ", " for ", " to ", " next to "}
	for _, end := range ends {
		part := code
		if end != "" {
			i := strings.Index(code, end)
			if i < 0 {
				continue
			}
			part = code[:i]
		}
		for _, context := range adviceContexts() {
			text := []byte(strings.Replace(context, "%", part, 1))
			file := &File{Path: "/p/Proxyfile", Dir: "/p", Sources: Sources{"Proxyfile": text}}
			diags := decode(file, []source{{"Proxyfile", text}}, environment{
				getenv: func(string) string { return "x" },
				folder: func(string) (bool, bool) { return true, true },
			})
			if !diags.HasErrors() {
				return true
			}
		}
	}
	return false
}
