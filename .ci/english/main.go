// Command english refuses words and phrases that slow readers down. It reads
// comments, strings and names in Go files, the text of Markdown files outside
// code, and the pages' templates:
//
//	go run .ci/english/main.go [FOLDER or FILE ...]
//
// It holds what is easy to hold. The rest is for the eyes of a reviewer.
package main

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// phrases are refused in text, each with what to write instead.
var phrases = []struct{ pattern, instead string }{
	{`(?:is|are|was|were|be) no [a-z]+`, `"is not a …", "isn't …"`},
	{`who(?:m)?ever`, `the person or program by name: "the client that …"`},
	{`anew`, `"again"`},
	{`besides?`, `"next to", "also"`},
	{`stands? (?:for|in|behind|there|before|after|at|on)`, `"means", "is in", "follows"`},
	{`(?:tells?|told|speaks?|knows?|knew) of`, `"reports", "describes", "has"`},
	{`for want of`, `"without"`},
	{`an URLs?`, `"a URL"`},
	{`mend(?:s|ed|ing)?`, `"fix"`},
	{`(?:is|are|was|were|turned|turns|becomes?|became) ill`, `"unhealthy"`},
	{`(?:is|are) well again`, `"is healthy again"`},
	{`(?:gives?|gave|given|giving) back`, `"return"`},
	{`time-outs?`, `"timeout"`},
	{`at the most`, `"at most"`},
	{`there(?:of|in|upon)|where(?:of|upon)|hereby`, `a shorter sentence`},
	{`oops|sorry|please`, `the facts alone`},
	{`may not (?:ask|come in)`, `"is not allowed"`},
	{`one fact a sentence`, `"one fact per sentence"`},
	{`no person`, `"no one"`},
	{`too few of`, `"not enough"`},
	{`(?:is|are|was|were) what .{1,40} (?:is|are)\b`, `the thing itself: "X is the …"`},
}

// numbers and comparisons may follow "is no": "is no longer", "are no more".
var comparisons = []string{"longer", "more", "less", "fewer", "later", "earlier", "better", "worse", "larger", "smaller", "newer", "older", "different", "good", "one", "slower", "faster", "matter"}

// words are refused in names of Go code.
var words = map[string]string{
	"ill":     "unhealthy",
	"mend":    "fix, repair",
	"orphans": "unused, unowned",
	"worn":    "expired, spent",
	"roster":  "members",
	"rescue":  "retry",
	"door":    "listener, gate",
	"settle":  "finish, decide",
	"tenure":  "lease, claim",
}

func main() {
	roots := os.Args[1:]
	if len(roots) == 0 {
		roots = []string{"."}
	}
	found := 0
	for _, file := range tracked(roots) {
		text, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, "english:", err)
			os.Exit(1)
		}
		for _, f := range check(file, text) {
			fmt.Println(f)
			found++
		}
	}
	if found > 0 {
		fmt.Fprintf(os.Stderr, "english: %d to rewrite\n", found)
		os.Exit(1)
	}
}

// tracked returns git's files below roots, and new ones that it does not ignore.
func tracked(roots []string) []string {
	out, err := exec.Command("git", append([]string{"ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"}, roots...)...).Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "english: git ls-files:", err)
		os.Exit(1)
	}
	var files []string
	for name := range strings.SplitSeq(string(out), "\x00") {
		if info, err := os.Lstat(name); name == "" || err != nil || info.Mode()&fs.ModeType != 0 {
			continue
		}
		if strings.Contains("/"+name, "/testdata/") && filepath.Ext(name) != ".md" || strings.HasPrefix(name, ".ci/english/") {
			continue
		}
		files = append(files, name)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func check(file string, text []byte) []string {
	switch filepath.Ext(file) {
	case ".go":
		return checkGo(file, text)
	case ".md":
		return checkText(file, 1, withoutCode(string(text)))
	case ".html", ".css", ".sh", ".yml", ".yaml":
		return checkText(file, 1, string(text))
	}
	return nil
}

var compiled = func() *regexp.Regexp {
	var all []string
	for _, p := range phrases {
		all = append(all, "("+strings.ReplaceAll(p.pattern, " ", `(?:\s|//|#)+`)+")")
	}
	return regexp.MustCompile(`(?i)\b(?:` + strings.Join(all, "|") + `)\b`)
}()

// checkText checks text that begins at a line. A phrase can go over the end of a line.
func checkText(file string, line int, text string) (findings []string) {
	for _, at := range compiled.FindAllStringSubmatchIndex(text, -1) {
		phrase := strings.Join(strings.Fields(strings.ReplaceAll(text[at[0]:at[1]], "//", " ")), " ")
		which := 0
		for i := range phrases {
			if at[2+2*i] >= 0 {
				which = i
				break
			}
		}
		if last := phrase[strings.LastIndex(phrase, " ")+1:]; which == 0 && slices.Contains(comparisons, last) {
			continue
		}
		findings = append(findings, fmt.Sprintf("%s:%d: %q: write %s", file, line+strings.Count(text[:at[0]], "\n"), phrase, phrases[which].instead))
	}
	return findings
}

func checkGo(file string, text []byte) (findings []string) {
	set := token.NewFileSet()
	at := set.AddFile(file, -1, len(text))
	var s scanner.Scanner
	s.Init(at, text, nil, scanner.ScanComments)
	var comment strings.Builder // successive line comments are one text
	first, last := 0, -1
	flush := func() {
		findings = append(findings, checkText(file, first, comment.String())...)
		comment.Reset()
	}
	for {
		pos, tok, literal := s.Scan()
		line := at.Line(pos)
		switch tok {
		case token.EOF:
			flush()
			return findings
		case token.COMMENT:
			if line != last+1 {
				flush()
				first = line
			}
			comment.WriteString(literal + "\n")
			last = line + strings.Count(literal, "\n")
		case token.STRING:
			findings = append(findings, checkText(file, line, literal)...)
		case token.IDENT:
			for word := range strings.FieldsFuncSeq(camel(literal), func(r rune) bool { return r == ' ' || r == '_' }) {
				if instead, refused := words[strings.ToLower(word)]; refused {
					findings = append(findings, fmt.Sprintf("%s:%d: name %s: write %s", file, line, literal, instead))
				}
			}
		}
	}
}

// camel separates the words of a name.
func camel(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

var code = regexp.MustCompile("(?s)```.*?\n```|`[^`\n]*`|<!--.*?-->")

// withoutCode returns the text of a Markdown file with its code blanked, so
// that line numbers stay.
func withoutCode(text string) string {
	return code.ReplaceAllStringFunc(text, func(s string) string {
		return "x" + strings.Repeat("\n", strings.Count(s, "\n"))
	})
}
