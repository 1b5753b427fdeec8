// Command figures counts what makes the code easy or hard to read, in the
// last commit, and in others:
//
//	go run .ci/figures/main.go [COMMIT [COMMIT…]]
//
// It counts Go files that are not tests. A code line has at least one token
// that is not a comment; a comment line has nothing else. A repeated line is
// part of at least six successive code lines that occur twice, with names and
// literals left out of the comparison.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

const (
	small     = 40  // a file with fewer lines is small
	large     = 400 // a file with more lines is large
	runLength = 6   // lines of a run that counts as repeated
)

func main() {
	trees := os.Args[1:]
	if len(trees) < 2 {
		trees = append(trees, "HEAD")
	}
	var columns [][]string
	for _, tree := range trees {
		files, err := read(tree)
		if err != nil {
			fmt.Fprintln(os.Stderr, "figures:", err)
			os.Exit(1)
		}
		columns = append(columns, count(files).rows())
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintf(out, "\t%s\n", strings.Join(trees, "\t"))
	for i, name := range rowNames {
		fmt.Fprint(out, name)
		for _, column := range columns {
			fmt.Fprint(out, "\t", column[i])
		}
		fmt.Fprintln(out)
	}
	_ = out.Flush()
}

// read returns the Go files of a commit that are not tests, by their paths.
func read(commit string) (map[string][]byte, error) {
	archive, err := exec.Command("git", "archive", commit).Output()
	if err != nil {
		return nil, fmt.Errorf("git archive %s: %w", commit, err)
	}
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := header.Name
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "testdata/") {
			continue
		}
		if files[name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
}

// figures are the counts.
type figures struct {
	files, small, large int
	code, comments      int
	functions           []int          // lines of each
	methods             map[string]int // by package and type
	repeated            int            // lines
}

var rowNames = []string{
	"files",
	fmt.Sprintf("files under %d lines", small),
	fmt.Sprintf("files over %d lines", large),
	"code lines",
	"comment lines",
	"comments' share",
	"functions",
	"median function",
	"most methods",
	"types over 40 methods",
	"repeated lines",
}

func (f *figures) rows() []string {
	slices.Sort(f.functions)
	most, over := "", 0
	for name, n := range f.methods {
		if n > f.methods[most] || n == f.methods[most] && name < most {
			most = name
		}
		if n > 40 {
			over++
		}
	}
	return []string{
		fmt.Sprint(f.files),
		fmt.Sprint(f.small),
		fmt.Sprint(f.large),
		fmt.Sprint(f.code),
		fmt.Sprint(f.comments),
		fmt.Sprintf("%.1f %%", 100*float64(f.comments)/float64(f.code+f.comments)),
		fmt.Sprint(len(f.functions)),
		fmt.Sprint(f.functions[len(f.functions)/2], " lines"),
		fmt.Sprintf("%d, %s", f.methods[most], most),
		fmt.Sprint(over),
		fmt.Sprint(f.repeated),
	}
}

func count(files map[string][]byte) *figures {
	f := &figures{methods: map[string]int{}}
	var shapes [][]string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		lines := bytes.Count(text, []byte("\n"))
		f.files++
		if lines < small {
			f.small++
		}
		if lines > large {
			f.large++
		}
		shape, comments := shapeOf(text)
		f.code += len(shape)
		f.comments += comments
		shapes = append(shapes, shape)
		f.countFunctions(name, text)
	}
	f.repeated = repeated(shapes)
	return f
}

// shapeOf returns the kinds of tokens of each code line, and the number of
// lines that have nothing but a comment.
func shapeOf(text []byte) (shape []string, comments int) {
	set := token.NewFileSet()
	file := set.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, scanner.ScanComments)
	code, comment := map[int]string{}, map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			break
		}
		first := file.Line(pos)
		last := first + strings.Count(literal, "\n")
		if tok == token.SEMICOLON && literal == "\n" {
			continue // inserted at the end of a line
		}
		for line := first; line <= last; line++ {
			if tok == token.COMMENT {
				comment[line] = true
			} else {
				code[line] += tok.String() + " "
			}
		}
	}
	for line := range file.LineCount() {
		if tokens, ok := code[line+1]; ok {
			shape = append(shape, tokens)
		} else if comment[line+1] {
			comments++
		}
	}
	return shape, comments
}

func (f *figures) countFunctions(name string, text []byte) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		return
	}
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		f.functions = append(f.functions, set.Position(function.End()).Line-set.Position(function.Pos()).Line+1)
		if function.Recv == nil {
			continue
		}
		receiver := function.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		if identifier, ok := receiver.(*ast.Ident); ok {
			f.methods[path.Dir(name)+"."+identifier.Name]++
		}
	}
}

// repeated counts the lines of runs that occur at least twice. Runs of nearly
// empty lines, such as closing braces, are left out.
func repeated(shapes [][]string) int {
	type place struct{ file, line int }
	places := map[string][]place{}
	for file, shape := range shapes {
		for line := range max(0, len(shape)-runLength+1) {
			run := strings.Join(shape[line:line+runLength], "\n")
			if strings.Count(run, " ") >= 5*runLength {
				places[run] = append(places[run], place{file, line})
			}
		}
	}
	lines := map[place]bool{}
	for _, at := range places {
		for _, p := range at[1:] { // the first is not a repetition
			for i := range runLength {
				lines[place{p.file, p.line + i}] = true
			}
		}
	}
	return len(lines)
}
