package hcl

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// checkWords reports words of a command that do not do what they seem to. It reports
// whether all are without an error.
func (p place) checkWords(words []string) bool {
	for _, word := range words {
		if !p.checkBraces(word) {
			return false
		}
	}
	p.checkPackageManager(words)
	return true
}

var (
	// otherCase are what other tools write instead of portPlaceholder.
	otherCase = []string{"{PORT}", "{Port}", "{{port}}", "{ port }"}
	// bracedWord matches a word in braces, with the character before it. Shells and git write
	// ${NAME} and @{NAME}.
	bracedWord = regexp.MustCompile(`(^|[^${@])\{([A-Za-z][\w.-]*)\}`)
)

// checkBraces reports what is not a placeholder and looks like one. Braces have other
// uses in commands, so only a word that is almost portPlaceholder is an error. Others are
// warned about where a value is expected: as a whole argument, and after "=" or ":".
func (p place) checkBraces(word string) bool {
	for _, near := range otherCase {
		if strings.Contains(word, near) {
			p.errorf("use "+portPlaceholder, "unknown placeholder %s", near)
			return false
		}
	}
	for _, m := range bracedWord.FindAllStringSubmatch(word, -1) {
		name, written := m[2], "{"+m[2]+"}"
		switch {
		case name == "port":
		case nearest(name, []string{"port"}) != "":
			p.errorf("did you mean "+portPlaceholder+"?", "unknown placeholder %s", written)
			return false
		case word == written || m[1] == "=" || m[1] == ":":
			p.warnf("the only placeholder of command is "+portPlaceholder, "the program gets %s as it is written", written)
		}
	}
	return true
}

// npmScript are the subcommands of npm that run a script, and how many words are before
// its arguments.
var npmScript = map[string]int{"run": 3, "run-script": 3, "rum": 3, "urn": 3, "start": 2, "test": 2, "t": 2, "tst": 2, "restart": 2, "stop": 2}

// forPrograms are options that people write for the script and not for npm.
var forPrograms = regexp.MustCompile(`^(--?p(ort)?|--host|--hostname|--open)(=.*)?$`)

// checkPackageManager warns of options that npm does not pass on to the script.
func (p place) checkPackageManager(words []string) {
	if len(words) < 2 || strings.TrimSuffix(path.Base(words[0]), ".cmd") != "npm" || npmScript[words[1]] == 0 {
		return
	}
	first := min(npmScript[words[1]], len(words))
	end := slices.Index(words, "--")
	if end < 0 {
		end = len(words)
	}
	i := slices.IndexFunc(words[min(first, end):end], forPrograms.MatchString) + first
	if i < first {
		return
	}
	option, _, _ := strings.Cut(words[i], "=")
	fixed := slices.Insert(slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "--" }), i, "--")
	p.warnf("write command = "+Quote(JoinCommand(fixed)), "npm takes %s for itself and does not pass it on to the script", option)
}

// bareWord matches words that need no quotes in a command, except as its first word.
var bareWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// JoinCommand returns the text that command splits into words. Words without NUL bytes
// come out as they are.
func JoinCommand(words []string) string {
	joined := make([]string, len(words))
	for i, word := range words {
		joined[i] = word
		isBare := bareWord.MatchString(strings.ReplaceAll(word, portPlaceholder, "0"))
		if !isBare || i == 0 && (strings.Contains(word, "=") || isBuiltin(word) || syntax.IsKeyword(word)) {
			joined[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(joined, " ")
}
