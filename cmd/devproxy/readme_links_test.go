package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	mdFence   = regexp.MustCompile("(?ms)^```.*?^```$")
	mdCode    = regexp.MustCompile("`[^`\n]+`")
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	goFile    = regexp.MustCompile("`([A-Za-z0-9_./-]+\\.go)`")
	goFunc    = regexp.MustCompile("`([A-Za-z0-9_./-]+\\.go)`, `([A-Za-z]\\w*)`")
	goTest    = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
)

// TestReadmeLinks checks every page of documentation: a relative link leads to a
// file, or to a heading of it; a Go file that is named in backticks exists, seen
// from the root of the repository or from the folder of the page, and has the
// function that is named next to it; a test that is named exists.
func TestReadmeLinks(t *testing.T) {
	root := os.DirFS("../..")
	pages, tests := documentPages(t, root), testNames(t)
	if len(pages) < 6 || !slices.Contains(pages, "README.md") || !slices.Contains(pages, ".github/SECURITY.md") {
		t.Fatalf("pages: %q", pages)
	}
	links, names := 0, 0
	for _, page := range pages {
		text, err := fs.ReadFile(root, page)
		if err != nil {
			t.Fatal(err)
		}
		l, n, problems := checkPage(root, tests, page, string(text))
		links, names = links+l, names+n
		for _, problem := range problems {
			t.Error(problem)
		}
	}
	if links < 30 || names < 30 {
		t.Errorf("%d links and %d names of files", links, names)
	}
	for _, broken := range []string{
		"[x](hcl/NONE.md)", "[x](hcl/README.md#none)", "[x](#none)", "`devproxy/none.go`", "`hcl/decode_none.go`",
		"`hcl/load.go`, `LoadNone`", "`TestNone`",
	} {
		if _, _, problems := checkPage(root, tests, "README.md", broken); len(problems) != 1 {
			t.Errorf("%s: problems %q", broken, problems)
		}
	}
}

// documentPages are the Markdown files of the repository, but for those of
// fixtures and of installed packages.
func documentPages(t *testing.T, root fs.FS) []string {
	t.Helper()
	var pages []string
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (slices.Contains([]string{".git", "bin", "dist", "node_modules"}, entry.Name()) || name == "testdata/frameworks") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			pages = append(pages, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// checkPage returns how many links and names of files page has, and what is wrong.
func checkPage(root fs.FS, tests map[string]bool, page, text string) (links, names int, problems []string) {
	exists := func(name string) bool {
		_, err := fs.Stat(root, filepath.ToSlash(filepath.Clean(name)))
		return err == nil
	}
	prose := mdFence.ReplaceAllString(text, "")
	for _, link := range mdLink.FindAllStringSubmatch(mdCode.ReplaceAllString(prose, ""), -1) {
		if strings.Contains(link[1], "://") || strings.HasPrefix(link[1], "mailto:") {
			continue
		}
		links++
		file, anchor, _ := strings.Cut(link[1], "#")
		target, content := page, text
		if file != "" {
			target = path.Join(path.Dir(page), file)
			data, _ := fs.ReadFile(root, target)
			content = string(data)
		}
		if !exists(target) || anchor != "" && !slices.Contains(anchors(content), anchor) {
			problems = append(problems, page+": the link "+link[1]+" leads nowhere")
		}
	}
	for _, name := range goFile.FindAllStringSubmatch(prose, -1) {
		names++
		if !exists(name[1]) && !exists(path.Join(path.Dir(page), name[1])) {
			problems = append(problems, page+": no such file: "+name[1])
		}
	}
	for _, name := range goFunc.FindAllStringSubmatch(prose, -1) {
		source, err := fs.ReadFile(root, name[1])
		if err != nil {
			source, _ = fs.ReadFile(root, path.Join(path.Dir(page), name[1]))
		}
		if len(source) > 0 && !regexp.MustCompile(`(?m)^func (\([^)]*\) )?`+name[2]+`[(\[]`).Match(source) {
			problems = append(problems, page+": "+name[1]+" has no function "+name[2])
		}
	}
	for _, name := range goTest.FindAllStringSubmatch(prose, -1) {
		if !tests[name[1]] {
			problems = append(problems, page+": no such test: "+name[1])
		}
	}
	return links, names, problems
}

// anchors are the fragments of the headings of a page, as GitHub makes them: lower
// case, without punctuation, spaces as hyphens, and a number on those that repeat.
func anchors(text string) []string {
	var all []string
	seen := map[string]int{}
	for _, heading := range mdHeading.FindAllStringSubmatch(mdFence.ReplaceAllString(text, ""), -1) {
		anchor := strings.ToLower(strings.TrimSpace(heading[1]))
		anchor = regexp.MustCompile(`[^\p{L}\p{N}\s_-]`).ReplaceAllString(anchor, "")
		anchor = strings.ReplaceAll(anchor, " ", "-")
		if n := seen[anchor]; n > 0 {
			seen[anchor]++
			anchor += "-" + string(rune('0'+n))
		} else {
			seen[anchor] = 1
		}
		all = append(all, anchor)
	}
	return all
}

// TestWalks checks that a request and a save can each be followed through at most ten
// files: every step of the two lists names one.
func TestWalks(t *testing.T) {
	text := readText(t, "../../devproxy/README.md")
	for _, heading := range []string{"One request", "One save"} {
		_, section, _ := strings.Cut(text, "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		steps := regexp.MustCompile(`(?m)^[0-9]+\. (.*)$`).FindAllStringSubmatch(section, -1)
		if len(steps) < 5 || len(steps) > 10 {
			t.Errorf("%s: %d steps", heading, len(steps))
		}
		for _, step := range steps {
			if files := goFile.FindAllString(step[1], -1); len(files) != 1 {
				t.Errorf("%s: a step names the files %q: %s", heading, files, step[1])
			}
		}
	}
}
