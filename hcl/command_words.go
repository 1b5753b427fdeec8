package hcl

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// checkWords reports words of a command that do not do what they seem to. It reports
// whether there is no error among them.
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
	if len(words) < 2 || strings.TrimSuffix(path.Base(words[0]), ".cmd") != "npm" {
		return
	}
	arguments := words[min(npmScript[words[1]], len(words)):]
	if npmScript[words[1]] == 0 || slices.Contains(words[:len(words)-len(arguments)], "--") {
		return
	}
	if end := slices.Index(arguments, "--"); end >= 0 {
		arguments = arguments[:end]
	}
	if i := slices.IndexFunc(arguments, forPrograms.MatchString); i >= 0 {
		option, _, _ := strings.Cut(arguments[i], "=")
		p.warnf("write -- in front of it, as in npm run dev -- --port "+portPlaceholder, "npm takes %s for itself and does not pass it on to the script", option)
	}
}
