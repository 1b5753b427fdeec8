package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestReadmeJSON compares the tables of README.md with the Go types: each event
// and each object has the fields of its type, none is missing, and each object
// in a field has its own row.
func TestReadmeJSON(t *testing.T) {
	source := parseJSON(t)
	page := readText(t, "README.md")
	for _, problem := range compareJSON(page, source) {
		t.Error(problem)
	}
	for old, new := range map[string]string{
		"`took_ms` |":      "|",              // a field of an event
		"| checked |":      "| examined |",   // an event
		"`near` (the":      "`nearest` (the", // a field of an object
		"| `main.tried` |": "| `main.no` |",  // an object in a field
		"`pid` (the":       "(the",           // a field of a relay's event
	} {
		if !strings.Contains(page, old) {
			t.Errorf("README.md does not have %q", old)
		}
		if len(compareJSON(strings.Replace(page, old, new, 1), source)) == 0 {
			t.Errorf("no problem with %q instead of %q", new, old)
		}
	}
}

// jsonStruct is a struct type with JSON names.
type jsonStruct struct {
	fields []string // sorted
	in     []string // types that the fields consist of, "control.Host"
}

// jsonSource are the struct types that devproxy prints as JSON.
type jsonSource struct {
	types  map[string]jsonStruct // by "package.Name"
	events map[string]jsonStruct // by name; those of the relay after "relay "
}

// jsonPackages are the packages whose types are printed.
func jsonPackages() map[string]string {
	return map[string]string{
		"main": ".", "control": "../../devproxy/control", "journal": "../../devproxy/journal", "hcl": "../../hcl", "trust": "../../localca/trust", "doctor": "../../devproxy/doctor", "relay": "../../tunnel/relay", "delegation": "../../tunnel/relay/delegation",
	}
}

func parseJSON(t *testing.T) jsonSource {
	t.Helper()
	source := jsonSource{types: map[string]jsonStruct{}, events: map[string]jsonStruct{}}
	parsed := map[string][]*ast.File{}
	files := token.NewFileSet()
	for name, dir := range jsonPackages() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
				continue
			}
			file, err := parser.ParseFile(files, filepath.Join(dir, entry.Name()), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed[name] = append(parsed[name], file)
		}
	}
	named := map[string]*ast.StructType{}
	for name, list := range parsed {
		for _, file := range list {
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.TypeSpec); ok {
					if st, ok := spec.Type.(*ast.StructType); ok {
						named[name+"."+spec.Name.Name] = st
					}
				}
				return true
			})
		}
	}
	for name, st := range named {
		pkg, _, _ := strings.Cut(name, ".")
		source.types[name] = structOf(pkg, st, named)
	}
	for _, file := range parsed["main"] {
		prefix := ""
		if strings.HasPrefix(filepath.Base(files.Position(file.Pos()).Filename), "relay_") {
			prefix = "relay "
		}
		source.addEvents(file, prefix, named)
	}
	// A diagnostic is written by its MarshalJSON.
	for _, file := range parsed["hcl"] {
		ast.Inspect(file, func(n ast.Node) bool {
			if method, ok := n.(*ast.FuncDecl); ok && method.Name.Name == "MarshalJSON" {
				ast.Inspect(method, func(n ast.Node) bool {
					if st, ok := n.(*ast.StructType); ok {
						source.types["hcl.Diagnostic"] = structOf("hcl", st, nil)
					}
					return true
				})
			}
			return true
		})
	}
	return source
}

// addEvents adds the structs of the composite literals in file whose first field
// is an event's name.
func (s jsonSource) addEvents(file *ast.File, prefix string, named map[string]*ast.StructType) {
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok || len(literal.Elts) == 0 {
			return true
		}
		st, ok := literal.Type.(*ast.StructType)
		if name, isName := literal.Type.(*ast.Ident); isName {
			st, ok = named["main."+name.Name], true
		}
		if !ok || st == nil || !slices.Contains(structOf("main", st, named).fields, "event") {
			return true
		}
		for _, element := range literal.Elts[:1] {
			if pair, keyed := element.(*ast.KeyValueExpr); keyed {
				element = pair.Value
			}
			if text, ok := element.(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(text.Value)
				s.addEvent(prefix+name, structOf("main", st, named))
			}
		}
		return true
	})
}

// addEvent joins the fields of an event that has more than one form.
func (s jsonSource) addEvent(name string, st jsonStruct) {
	known := s.events[name]
	for _, field := range st.fields {
		if field != "event" && !slices.Contains(known.fields, field) {
			known.fields = append(known.fields, field)
		}
	}
	slices.Sort(known.fields)
	known.in = append(known.in, st.in...)
	s.events[name] = known
}

// structOf reads the JSON names of st. Those of embedded structs are its own.
func structOf(pkg string, st *ast.StructType, named map[string]*ast.StructType) jsonStruct {
	var out jsonStruct
	for _, field := range st.Fields.List {
		inner := typeName(pkg, field.Type)
		if len(field.Names) == 0 && named[inner] != nil {
			embedded := structOf(pkg, named[inner], named)
			out.fields, out.in = append(out.fields, embedded.fields...), append(out.in, embedded.in...)
			continue
		}
		if field.Tag == nil {
			continue
		}
		tag, _ := strconv.Unquote(field.Tag.Value)
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		out.fields = append(out.fields, name)
		if inner != "" {
			out.in = append(out.in, inner)
		}
	}
	slices.Sort(out.fields)
	return out
}

// typeName is the name with its package of the type that expr is, is a list of or
// points to; empty for others.
func typeName(pkg string, expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.Ident:
		return pkg + "." + e.Name
	case *ast.StarExpr:
		return typeName(pkg, e.X)
	case *ast.ArrayType:
		return typeName(pkg, e.Elt)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if x.Name == "hcl" && e.Sel.Name == "Diagnostics" {
				return "hcl.Diagnostic"
			}
			return x.Name + "." + e.Sel.Name
		}
	}
	return ""
}

var (
	eventRow  = regexp.MustCompile(`(?m)^\| ([a-z_]+) \| [^|]* \| (.*) \|$`)
	objectRow = regexp.MustCompile("(?m)^\\| [^|]* \\| `([a-z]+\\.[A-Za-z]+)` \\| (.*) \\|$")
	fieldName = regexp.MustCompile("`([a-z_]+)`")
)

// compareJSON returns where page and source differ.
func compareJSON(page string, source jsonSource) []string {
	_, page, found := strings.Cut(page, "\n## JSON\n")
	if !found {
		return []string{"no section JSON"}
	}
	var problems []string
	events, objects := map[string]bool{}, map[string]bool{}
	for _, section := range strings.Split(page, "\n### ") {
		title, text, _ := strings.Cut(section, "\n")
		prefix := ""
		if title == "Events of relay" {
			prefix = "relay "
		}
		if title == "Objects" {
			for _, row := range objectRow.FindAllStringSubmatch(text, -1) {
				objects[row[1]] = true
				problems = append(problems, compareFields(row[1], row[2], source.types[row[1]].fields)...)
			}
			continue
		}
		for _, row := range eventRow.FindAllStringSubmatch(text, -1) {
			if row[1] == "event" {
				continue // the table's head
			}
			events[prefix+row[1]] = true
			problems = append(problems, compareFields(prefix+row[1], row[2], source.events[prefix+row[1]].fields)...)
		}
	}
	used := map[string]bool{}
	for name, event := range source.events {
		if !events[name] {
			problems = append(problems, "no row for the event "+name)
		}
		for _, inner := range event.in {
			used[inner] = true
		}
	}
	for name := range objects {
		for _, inner := range source.types[name].in {
			used[inner] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if len(source.types[name].fields) > 0 && !objects[name] {
			problems = append(problems, "no row for the object "+name)
		}
	}
	return problems
}

func compareFields(name, cell string, want []string) []string {
	cell = regexp.MustCompile("`share\\.show`").ReplaceAllString(cell, "")
	var got []string
	for _, field := range fieldName.FindAllStringSubmatch(cell, -1) {
		got = append(got, field[1])
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || len(want) == 0 {
		return []string{name + " has the fields " + strings.Join(got, ", ") + " in README.md, and in the code " + strings.Join(want, ", ")}
	}
	return nil
}
