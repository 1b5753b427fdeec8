package hcl

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

func TestFormat(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"spaces", "host   \"a.localhost\"{\nupstream=5173\n}", "host \"a.localhost\" {\n  upstream = 5173\n}\n"},
		{"equal signs in a column", "a = 1\nlong = 2\n\nb = 3\n", "a    = 1\nlong = 2\n\nb = 3\n"},
		{"no comment columns", "a = 1    # x\nlong = 2000 # y\nb = 3    // z\n", "a    = 1 # x\nlong = 2000 # y\nb    = 3 // z\n"},
		{"comments between", "# top\nb {\n# in\n    # deep\n}\n", "# top\nb {\n  # in\n  # deep\n}\n"},
		{"white space after a comment", "a = 1 # x  \t\n# y \n", "a = 1 # x\n# y\n"},
		{"blank lines", "\n\n\na = 1\n\n\n\nb = 2\n\n\n", "a = 1\n\nb = 2\n"},
		{"blank lines with spaces", "a = 1\n  \n\t\nb = 2", "a = 1\n\nb = 2\n"},
		{"blank lines around comments", "# a\n\n\n\n# b\n\n\nc = 1\n", "# a\n\n# b\n\nc = 1\n"},
		{"comment at the end", "a = 1 # x", "a = 1 # x\n"},
		{"only a comment", "# x", "# x\n"},
		{"nothing", "", ""},
		{"only white space", " \n\t\n", ""},
		{"CRLF", "a = 1 # x\r\n\r\nb {\r\n}\r\n", "a = 1 # x\n\nb {\n}\n"},
		{"byte order mark", "\uFEFFa = 1\n", "a = 1\n"},
		{"byte order mark before what keeps its spaces", "\uFEFFa = b.0 .1\n", "a = b.0 .1\n"},
		{"CRLF heredoc", "a = <<EOT\r\nx\r\nEOT\r\n", "a = <<EOT\nx\r\nEOT\n"},
		{"white space in a block comment", "/* x  \n\ty */\n", "/* x\n\ty */\n"},
		{"block comment", "a = /* why */ 1 /* and\r\n  more */\n", "a = /* why */ 1 /* and\n  more */\n"},
		{"heredoc", "a = <<EOT\n  kept   \n\n\n\n# kept\r\nEOT\n\n\n\nb=1\n", "a = <<EOT\n  kept   \n\n\n\n# kept\r\nEOT\n\nb = 1\n"},
		{"indented heredoc", "b {\na = <<-EOT\n      x\n    EOT\n}\n", "b {\n  a = <<-EOT\n      x\n    EOT\n}\n"},
		{"one line", "host \"a\" {upstream=1}\nroute \"/b\" { x = [1,2] }\n", "host \"a\" { upstream = 1 }\nroute \"/b\" { x = [1, 2] }\n"},
		{"joined numbers", "a = b.0 .1\n", "a = b.0 .1\n"},
		{"list over lines", "a = [\n1,\n2, # two\n\n\n3]\n", "a = [\n  1,\n  2, # two\n\n3]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, diags := Format([]byte(tt.src), "Proxyfile")
			if len(diags) > 0 {
				t.Fatalf("diagnostics: %v", diags)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			checkFormat(t, []byte(tt.src), got)
		})
	}
}

func TestFormatLeavesMistakesAlone(t *testing.T) {
	src := []byte("host \"a\" {\n\n\n\n  upstream == 1\n")
	got, diags := Format(src, "Proxyfile")
	if !diags.HasErrors() {
		t.Error("no diagnostic for a syntax error")
	}
	if !bytes.Equal(got, src) {
		t.Errorf("the text was changed to %q", got)
	}
}

// FuzzFormat checks that formatting is idempotent and keeps the syntax tree and the
// comments.
func FuzzFormat(f *testing.F) {
	for _, seed := range []string{
		"A=\xe7  ", "j\x00\"\"", "j \"\"",
		"host \"shop.localhost\" {\n  upstream = 5173 # Vite\n\n  route \"/api\" { upstream = 3000 }\n}\n",
		"a = <<-EOT\n  ${b}\n\tx\n  EOT\n", "a=<<E\r\n${ \"x\" }\r\nE\r\n", "a = \"${b ? \"c\" : d[0].e}\" // x\r\n",
		"x = [for k, v in {a=1,b=-2}: \"${k}-${v}\" if !(v==- 1)...]\n", "a = {\n b : 1 # c\n\n\n d = 2, /* e */ }\n",
		"locals {\n a = b.0 .1\n c = x.*.y[*].z\n}\n# end", "\uFEFFa=1", "a = \"%{ if x ~}y%{ else }z%{ endif }\"\n", "a=f(\n1,\n2\n)\n/* x\r\ny */\n",
		"a=f/*\r\r\n#/ \r\r\n*/#", "a=p::q(1)\nb = a%b>=c&&!d||e!=f\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got, diags := Format(src, "Proxyfile")
		if diags.HasErrors() {
			if !bytes.Equal(got, src) {
				t.Fatalf("%q has errors and was changed to %q", src, got)
			}
			return
		}
		checkFormat(t, src, got)
	})
}

// checkFormat fails unless got is a valid formatted form of src.
func checkFormat(t *testing.T, src, got []byte) {
	t.Helper()
	again, diags := Format(got, "Proxyfile")
	if len(diags) > 0 {
		t.Fatalf("%q was formatted to %q, which has errors: %v", src, got, diags)
	}
	if !bytes.Equal(got, again) {
		t.Fatalf("%q was formatted to\n%q, and that to\n%q", src, got, again)
	}
	if diff := cmp.Diff(tree(t, src), tree(t, got), treeOptions()...); diff != "" {
		t.Fatalf("%q was formatted to %q, which means something else:\n%s", src, got, diff)
	}
	if diff := cmp.Diff(comments(src), comments(got)); diff != "" {
		t.Fatalf("%q was formatted to %q, which has other comments:\n%s", src, got, diff)
	}
}

func tree(t *testing.T, src []byte) *hclsyntax.Body {
	t.Helper()
	file, diags := hclsyntax.ParseConfig(src, "", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%q: %v", src, diags)
	}
	return file.Body.(*hclsyntax.Body)
}

// treeOptions compare everything in a tree except ranges.
func treeOptions() cmp.Options {
	return cmp.Options{
		cmp.Exporter(func(reflect.Type) bool { return true }),
		cmpopts.IgnoreTypes(hcl.Range{}, &hcl.Range{}),
		// Operations are variables of the package.
		cmp.Comparer(func(a, b *hclsyntax.Operation) bool { return a == b }),
		cmp.Comparer(func(a, b cty.Value) bool { return a.RawEquals(b) }),
	}
}

func comments(src []byte) []string {
	var list []string
	for _, token := range lex(src) {
		if token.Type == hclsyntax.TokenComment {
			for line := range bytes.Lines(token.Bytes) {
				list = append(list, string(bytes.TrimRight(line, " \t\r\n")))
			}
		}
	}
	return list
}
