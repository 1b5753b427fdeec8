package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const recipeFolder = "../../testdata/recipes"

// recipe is a page of testdata/recipes: how to start a framework's dev server,
// and the Proxyfile for it.
type recipe struct {
	name      string   // of the page, and of the app in testdata/frameworks
	packages  []string // of npm, with their versions; other tools are Debian's
	start     string   // for a shell
	proxyfile string
	port      string // in start and in proxyfile
}

var (
	recipePackage = regexp.MustCompile("`([^`]+@[0-9][^`]*)`")
	recipePort    = regexp.MustCompile(`upstream\s+= (\d+)`)
)

// readRecipe reads the page of a framework.
func readRecipe(t *testing.T, name string) *recipe {
	t.Helper()
	text := readText(t, filepath.Join(recipeFolder, name+".md"))
	r := &recipe{name: name}
	_, tested, _ := strings.Cut(text, "\nTested with ")
	tested, _, _ = strings.Cut(tested, "\n")
	for _, found := range recipePackage.FindAllStringSubmatch(tested, -1) {
		r.packages = append(r.packages, found[1])
	}
	start, proxyfiles := fenced(text, "sh"), fenced(text, "hcl")
	if tested == "" || len(start) != 1 || len(proxyfiles) == 0 {
		t.Fatalf("%s.md: want a line \"Tested with\", one block of sh, and a block of hcl", name)
	}
	r.start, r.proxyfile = strings.TrimSpace(start[0]), proxyfiles[0]
	if port := recipePort.FindStringSubmatch(r.proxyfile); port != nil {
		r.port = port[1]
	}
	return r
}

// fenced returns the code blocks of a language in a Markdown text.
func fenced(text, language string) []string {
	var blocks []string
	for _, found := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// recipeNames returns the names of the pages.
func recipeNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recipeFolder, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name != "README" {
			names = append(names, name)
		}
	}
	return names
}

// TestRecipes checks the Proxyfiles of the recipes. TestE2ERecipes and
// TestFrameworks run them with the frameworks.
func TestRecipes(t *testing.T) {
	names := recipeNames(t)
	var listed []string
	for _, link := range regexp.MustCompile(`\((\w+)\.md\)`).FindAllStringSubmatch(readText(t, recipeFolder+"/README.md"), -1) {
		listed = append(listed, link[1])
	}
	slices.Sort(listed)
	if !slices.Equal(listed, names) {
		t.Errorf("README.md lists %q, and there are %q", listed, names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r := readRecipe(t, name)
			if r.port == "" || !strings.Contains(r.start, r.port) {
				t.Errorf("%q starts on another port than %q", r.start, r.port)
			}
			for _, text := range fenced(readText(t, filepath.Join(recipeFolder, name+".md")), "hcl") {
				planOf(t, t.TempDir(), text)
			}
		})
	}
}
