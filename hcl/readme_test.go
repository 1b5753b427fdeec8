package hcl

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestReadmeHasEveryAttribute compares README.md with the attributes of the
// language: each has a row in a table and is used in an example, and no row
// describes an attribute that does not exist.
func TestReadmeHasEveryAttribute(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, err := range compareAttributes(page, Attributes()) {
		t.Error(err)
	}
	// Without the row and the example there are three problems.
	less := strings.ReplaceAll(page, "| `balance` |", "| `balanced` |")
	less = strings.ReplaceAll(less, "balance         =", "hold_off =")
	if found := compareAttributes(less, Attributes()); len(found) != 3 {
		t.Errorf("without balance: %q", found)
	}
}

var (
	example  = regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$")
	heading  = regexp.MustCompile(`(?m)^##+ (.*)$`)
	tableRow = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")
	code     = regexp.MustCompile("`([a-z_]+)`")
)

// sectionBlocks returns the blocks whose attributes the tables of a section describe.
func sectionBlocks() map[string][]string {
	settings := []string{"host", "route"}
	return map[string][]string{
		"Top level": {""}, "listen": {"listen"}, "service": {"service"}, "A command": {"service"}, "Containers": {"service"}, "share": {"share"}, "tcp and udp": {"tcp", "udp"}, "host and route": {"host"},
		"The answer": settings, "Which requests": {"route"}, "The request that is forwarded": settings, "Around the answer": settings,
	}
}

// compareAttributes returns the differences between page and the attributes of the
// language.
func compareAttributes(page string, attributes []string) []string {
	var problems []string
	described := map[string]bool{}
	at := heading.FindAllStringSubmatchIndex(page, -1)
	for i, section := range at {
		end := len(page)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		blocks := sectionBlocks()[page[section[2]:section[3]]]
		if blocks == nil {
			continue
		}
		for _, row := range tableRow.FindAllStringSubmatch(page[section[1]:end], -1) {
			for _, name := range code.FindAllStringSubmatch(row[1], -1) {
				known := false
				for _, block := range blocks {
					attr := strings.TrimPrefix(block+"."+name[1], ".")
					described[attr] = true
					known = known || slices.Contains(attributes, attr)
				}
				if !known {
					problems = append(problems, "a table describes "+name[1]+", which does not exist there")
				}
			}
		}
	}
	used := usedAttributes(page)
	for _, attr := range attributes {
		if !described[attr] {
			problems = append(problems, "no table describes "+attr)
		}
		// Hosts and routes share their settings.
		setting, shared := strings.CutPrefix(attr, "host.")
		if !used[attr] && (!shared || !used["route."+setting]) {
			setting, shared = strings.CutPrefix(attr, "route.")
			if !shared || !used["host."+setting] {
				problems = append(problems, "no example has "+attr)
			}
		}
	}
	return problems
}

// usedAttributes returns the attributes that the examples of page set.
func usedAttributes(page string) map[string]bool {
	used := map[string]bool{}
	var walk func(block string, body *hclsyntax.Body)
	walk = func(block string, body *hclsyntax.Body) {
		for name := range body.Attributes {
			used[strings.TrimPrefix(block+"."+name, ".")] = true
		}
		for _, inner := range body.Blocks {
			walk(inner.Type, inner.Body)
		}
	}
	for _, block := range example.FindAllStringSubmatch(page, -1) {
		file, _ := hclsyntax.ParseConfig([]byte(block[1]), "Proxyfile", hcl.InitialPos)
		if body, ok := file.Body.(*hclsyntax.Body); ok {
			walk("", body)
		}
	}
	return used
}
