package hcl

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// shellForm returns a command that a shell runs.
func shellForm(text string) string {
	return `write ["sh", "-c", ` + Quote(text) + "]"
}

// splitCommand splits a command line as a shell would. Nothing in it is run or
// expanded: what only a shell can do is a mistake.
func (p place) splitCommand(text string) (arguments []string, ok bool) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(text), "")
	if err != nil {
		detail := "close the quote, or write a list: [\"pnpm\", \"dev\"]"
		if problem, is := errors.AsType[syntax.ParseError](err); is && !strings.Contains(problem.Text, "quote") {
			detail = shellForm(text)
		}
		p.errorf(detail, "command can't be split into words")
		return nil, false
	}
	if len(file.Stmts) == 0 {
		return nil, true
	}
	needsShell := func(what string) {
		p.errorf(p.withoutShell(file, text), "no shell runs this command, so it can't have %s", what)
	}
	stmt := file.Stmts[0]
	call, isCall := stmt.Cmd.(*syntax.CallExpr)
	switch {
	case len(file.Stmts) > 1 || stmt.Background || stmt.Semicolon.IsValid():
		needsShell("several commands")
	case stmt.Negated || !isCall:
		needsShell(shellOperator(stmt.Cmd))
	case len(stmt.Redirs) > 0:
		needsShell("redirections")
	case len(call.Assigns) > 0:
		name := call.Assigns[0].Name.Value
		value, err := expand.Literal(new(expand.Config), call.Assigns[0].Value)
		if err != nil || value == portPlaceholder {
			value = "…"
		}
		p.errorf(fmt.Sprintf("write env = { %s = %s }", name, strconv.Quote(value)), "variables of a command go in env")
	case isBuiltin(call.Args[0].Lit()):
		needsShell("the shell's own " + call.Args[0].Lit())
	default:
		for _, word := range call.Args {
			switch what := shellPart(word); what {
			case "":
			case "$PORT", "$port":
				p.errorf("use "+portPlaceholder, "no shell runs this command, so it can't have %s", what)
				return nil, false
			default:
				needsShell(what)
				return nil, false
			}
			fields, err := expand.Fields(new(expand.Config), word) // that of nil is shared, and written to
			if err != nil || len(fields) != 1 {                    // {a,b}
				needsShell("braces")
				return nil, false
			}
			arguments = append(arguments, fields[0])
		}
		return arguments, true
	}
	return nil, false
}

// withoutShell returns what to write for a command line that only a shell can run.
func (p place) withoutShell(file *syntax.File, text string) string {
	binary, is := file.Stmts[0].Cmd.(*syntax.BinaryCmd)
	if !is || binary.Op != syntax.AndStmt {
		return shellForm(text)
	}
	first, isCall := binary.X.Cmd.(*syntax.CallExpr)
	if isCall && len(first.Args) == 2 && first.Args[0].Lit() == "cd" && first.Args[1].Lit() != "" {
		rest := strings.TrimSpace(text[binary.OpPos.Offset()+2:])
		return fmt.Sprintf("write command = %s and dir = %s", strconv.Quote(rest), strconv.Quote(first.Args[1].Lit()))
	}
	return shellForm(text)
}

// shellOperator names what a command line has that is not one plain command.
func shellOperator(cmd syntax.Command) string {
	binary, is := cmd.(*syntax.BinaryCmd)
	switch {
	case !is:
		return "the syntax of a shell"
	case binary.Op == syntax.Pipe || binary.Op == syntax.PipeAll:
		return "pipes"
	}
	return `"` + binary.Op.String() + `"`
}

// isBuiltin reports commands that exist only inside of a shell.
func isBuiltin(word string) bool {
	return slices.Contains([]string{"cd", "exec", "export", "source", ".", "eval", "set", "unset", "trap", "ulimit", "umask", "alias", "wait"}, word)
}

// escaped matches a character that is not special because of the backslash before it.
var escaped = regexp.MustCompile(`\\.`)

// shellPart names what only a shell can expand in a word; "" for none.
func shellPart(word *syntax.Word) string {
	for i, part := range word.Parts {
		if lit, is := part.(*syntax.Lit); is {
			switch {
			case i == 0 && strings.HasPrefix(lit.Value, "~"):
				return `"~"`
			case strings.ContainsAny(escaped.ReplaceAllString(lit.Value, ""), "*?["):
				return "the pattern " + lit.Value
			}
		}
		if what := expansionIn(part); what != "" {
			return what
		}
	}
	return ""
}

// expansionIn names the first value that a shell would put into a part of a word.
func expansionIn(part syntax.WordPart) string {
	found := ""
	syntax.Walk(part, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.ParamExp:
			found = "$" + node.Param.Value
		case *syntax.CmdSubst:
			found = "$(…)"
		case *syntax.ArithmExp:
			found = "$((…))"
		}
		return found == ""
	})
	return found
}
