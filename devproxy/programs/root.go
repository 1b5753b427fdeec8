package programs

import (
	"runtime"
	"strings"
)

// RootPrograms run a command as root, in the order of preference. su takes it as one text.
var RootPrograms = []string{"sudo", "doas", "run0", "su"}

// RootProgram returns the name of the one that is installed; empty for none, and on
// Windows, which has other ways.
func (p Path) RootProgram() string {
	if runtime.GOOS == "windows" {
		return ""
	}
	for _, name := range RootPrograms {
		if _, err := p.Find(name); err == nil {
			return name
		}
	}
	return ""
}

// AsRoot returns the command that runs argv as root: argv itself if no program that
// becomes root is installed.
func (p Path) AsRoot(argv ...string) []string {
	switch name := p.RootProgram(); name {
	case "":
		return argv
	case "su":
		return []string{name, "-c", Line(argv)}
	default:
		return append([]string{name}, argv...)
	}
}

// RootLine returns the command that runs argv as root as a person types it into a shell:
// with sudo if no program that becomes root is installed, which says what is meant.
func (p Path) RootLine(argv ...string) string {
	if p.RootProgram() == "" && runtime.GOOS != "windows" {
		argv = append([]string{RootPrograms[0]}, argv...)
		return Line(argv)
	}
	return Line(p.AsRoot(argv...))
}

// Line returns a command as a person types it into a shell. Words with anything but plain
// characters are quoted.
func Line(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		special := func(r rune) bool {
			return !strings.ContainsRune("-_=+,./:@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}
		if words[i] = word; word == "" || strings.ContainsFunc(word, special) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
