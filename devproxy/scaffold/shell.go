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

// command is a program that a command line starts.
type command struct {
	words  []string
	env    map[string]string // set for this command alone
	dir    string            // where it runs, relative to the command line's folder
	script string            // the named script that the command line is; empty if none
}

// commands returns the programs that a command line starts, in order. It runs
// nothing: it replaces the variables that env knows, and others by their default.
func commands(line string, env environment) []command {
	if len(line) > maxCommand {
		return nil
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "")
	if err != nil {
		return []command{{words: strings.Fields(line), env: map[string]string{}, dir: "."}}
	}
	r := &commandReader{lookup: env, env: map[string]string{}, dir: "."}
	r.statements(file.Stmts...)
	return r.found
}

// commandReader follows a command line: its folder and its variables.
type commandReader struct {
	lookup environment
	env    map[string]string
	dir    string
	found  []command
}

func (r *commandReader) statements(list ...*syntax.Stmt) {
	for _, s := range list {
		if s == nil {
			continue
		}
		switch cmd := s.Cmd.(type) {
		case *syntax.BinaryCmd:
			r.statements(cmd.X, cmd.Y)
		case *syntax.Block:
			r.statements(cmd.Stmts...)
		case *syntax.Subshell:
			dir := r.dir
			r.statements(cmd.Stmts...)
			r.dir = dir
		case *syntax.IfClause:
			for clause := cmd; clause != nil; clause = clause.Else {
				r.statements(clause.Then...)
			}
		case *syntax.TimeClause:
			r.statements(cmd.Stmt)
		case *syntax.DeclClause: // export NAME=VALUE
			r.assign(r.env, cmd.Args)
		case *syntax.CallExpr:
			r.call(cmd)
		}
	}
}

func (r *commandReader) assign(env map[string]string, list []*syntax.Assign) {
	for _, assign := range list {
		if assign.Name != nil {
			env[assign.Name.Value] = r.word(assign.Value)
		}
	}
}

func (r *commandReader) call(call *syntax.CallExpr) {
	env := maps.Clone(r.env)
	r.assign(env, call.Assigns)
	var words []string
	for _, w := range call.Args {
		words = append(words, r.word(w))
	}
	switch {
	case len(words) == 0:
		r.env = env
	case words[0] == "cd" || words[0] == "pushd":
		if len(words) > 1 {
			r.dir = path.Join(r.dir, words[len(words)-1])
		}
	case words[0] == "set" && len(words) > 1: // on Windows: set PORT=3000 && …
		if name, value, found := strings.Cut(words[1], "="); found {
			r.env[name] = value
		}
	default:
		r.found = append(r.found, command{words: words, env: env, dir: r.dir})
	}
}

// word returns the text of a word; empty if only running it would tell.
func (r *commandReader) word(w *syntax.Word) string {
	text, _ := expand.Literal(expansion(r.lookup.with(r.env)), w)
	return text
}

// substitute replaces ${NAME}, ${NAME:-default} and the like in text, as compose
// and environment files do.
func substitute(text string, env environment) string {
	if !strings.Contains(text, "$") || len(text) > maxCommand {
		return text
	}
	word, err := syntax.NewParser().Document(strings.NewReader(strings.ReplaceAll(text, "`", "")))
	if err != nil {
		return text
	}
	out, _ := expand.Document(expansion(env), word)
	return out
}

func expansion(env environment) *expand.Config {
	return &expand.Config{Env: expand.FuncEnviron(func(name string) string {
		v, _ := env(name)
		return v
	})}
}
