package scaffold

import (
	"maps"
	"path"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// maxCommand is the longest command line that is read, in bytes.
const maxCommand = 16 << 10

// command is one program that a command line starts.
type command struct {
	words []string
	env   map[string]string // set for this command alone
	dir   string            // where it runs, relative to the command line's folder
	// script is the named script that the command line stands in; empty for none.
	script string
}

// commands are the programs that a command line starts, in order. Nothing is
// run: variables are replaced where env knows them, or by their default.
func commands(line string, env func(name string) (string, bool)) []command {
	if len(line) > maxCommand {
		return nil
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "")
	if err != nil {
		return []command{{words: strings.Fields(line), env: map[string]string{}, dir: "."}}
	}
	c := &commandReader{lookup: env, env: map[string]string{}, dir: "."}
	for _, statement := range file.Stmts {
		c.statement(statement)
	}
	return c.found
}

type commandReader struct {
	lookup func(string) (string, bool)
	env    map[string]string
	dir    string
	found  []command
}

func (c *commandReader) statement(s *syntax.Stmt) {
	if s == nil {
		return
	}
	switch cmd := s.Cmd.(type) {
	case *syntax.BinaryCmd:
		c.statement(cmd.X)
		c.statement(cmd.Y)
	case *syntax.Block:
		for _, inner := range cmd.Stmts {
			c.statement(inner)
		}
	case *syntax.Subshell:
		dir := c.dir
		for _, inner := range cmd.Stmts {
			c.statement(inner)
		}
		c.dir = dir
	case *syntax.IfClause:
		for clause := cmd; clause != nil; clause = clause.Else {
			for _, inner := range clause.Then {
				c.statement(inner)
			}
		}
	case *syntax.TimeClause:
		c.statement(cmd.Stmt)
	case *syntax.DeclClause: // export NAME=VALUE
		for _, assign := range cmd.Args {
			if assign.Name != nil {
				c.env[assign.Name.Value] = c.word(assign.Value)
			}
		}
	case *syntax.CallExpr:
		c.call(cmd)
	}
}

func (c *commandReader) call(call *syntax.CallExpr) {
	env := maps.Clone(c.env)
	for _, assign := range call.Assigns {
		if assign.Name != nil {
			env[assign.Name.Value] = c.word(assign.Value)
		}
	}
	var words []string
	for _, w := range call.Args {
		words = append(words, c.word(w))
	}
	switch {
	case len(words) == 0:
		c.env = env
	case words[0] == "cd" || words[0] == "pushd":
		if len(words) > 1 {
			c.dir = path.Join(c.dir, words[len(words)-1])
		}
	case words[0] == "set" && len(words) > 1: // of Windows: set PORT=3000 && …
		if name, value, found := strings.Cut(words[1], "="); found {
			c.env[name] = value
		}
	default:
		c.found = append(c.found, command{words: words, env: env, dir: c.dir})
	}
}

// word is the text of a word; what cannot be known without running it is empty.
func (c *commandReader) word(w *syntax.Word) string {
	if w == nil {
		return ""
	}
	text, err := expand.Literal(expandConfig(func(name string) (string, bool) {
		if v, set := c.env[name]; set {
			return v, true
		}
		return c.lookup(name)
	}), w)
	if err != nil {
		return ""
	}
	return text
}

func expandConfig(lookup func(string) (string, bool)) *expand.Config {
	return &expand.Config{Env: expand.FuncEnviron(func(name string) string {
		v, _ := lookup(name)
		return v
	})}
}

// substitute replaces ${NAME}, ${NAME:-default} and their relatives in text, as
// compose and environment files do.
func substitute(text string, lookup func(string) (string, bool)) string {
	if !strings.Contains(text, "$") || len(text) > maxCommand {
		return text
	}
	word, err := syntax.NewParser().Document(strings.NewReader(strings.ReplaceAll(text, "`", "")))
	if err != nil {
		return text
	}
	out, err := expand.Document(expandConfig(lookup), word)
	if err != nil {
		return ""
	}
	return out
}
