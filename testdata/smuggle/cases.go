// Package smuggle holds requests that are made to be read in two ways, for the
// tests of everything that reads requests. README.md is the format of the
// HTTP/1 cases, which the *.txt files hold.
package smuggle

import (
	"embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Case is an HTTP/1 case.
type Case struct {
	Name string // "chunked.txt/a chunked body"
	Rule string // "RFC 9112 §7.1"
	// Expect is "400", "forward METHOD TARGET BODY", …: see README.md.
	Expect    string
	EOF       bool // the client closes its sending side
	OtherHost bool // the request is not for shop.localhost
	ByPlan    bool // the plan refuses it, and not the scanner
	Raw       string
}

//go:embed *.txt
var files embed.FS

// Cases are all cases, in the order of the files.
func Cases() ([]Case, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, entry := range entries {
		text, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		normal := strings.ReplaceAll(string(text), "\r\n", "\n") // a checkout on Windows
		for _, block := range strings.Split("\n"+normal, "\n== ")[1:] {
			c, err := parse(entry.Name(), block)
			if err != nil {
				return nil, err
			}
			cases = append(cases, c)
		}
	}
	return cases, nil
}

func parse(file, block string) (Case, error) {
	top, raw, _ := strings.Cut(block, "\n\n")
	name, facts, _ := strings.Cut(top, "\n")
	c := Case{Name: file + "/" + name}
	for line := range strings.SplitSeq(facts, "\n") {
		switch key, value, _ := strings.Cut(line, ": "); key {
		case "rule":
			c.Rule = value
		case "expect":
			c.Expect = value
		case "then":
			c.EOF = value == "eof"
		case "by":
			c.ByPlan = value == "plan"
		case "host":
			c.OtherHost = value == "other"
		case "why":
		default:
			return Case{}, fmt.Errorf("%s: unknown line %q", c.Name, line)
		}
	}
	if c.Expect == "" {
		return Case{}, fmt.Errorf("%s expects nothing", c.Name)
	}
	var err error
	c.Raw, err = unescape(strings.ReplaceAll(raw, "\n", ""))
	if err != nil {
		return Case{}, fmt.Errorf("%s: %w", c.Name, err)
	}
	return c, nil
}

var repetition = regexp.MustCompile(`\{repeat (\d+) ([^}]*)\}`)

func unescape(raw string) (string, error) {
	raw = repetition.ReplaceAllStringFunc(raw, func(s string) string {
		parts := repetition.FindStringSubmatch(s)
		n, _ := strconv.Atoi(parts[1]) // digits
		return strings.Repeat(parts[2], n)
	})
	return strconv.Unquote(`"` + raw + `"`)
}
