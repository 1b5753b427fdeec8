package hcl

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// Pos is a place in a file. Line and Column count from 1, Column in user
// characters (grapheme clusters); Byte counts from 0.
type Pos struct {
	Line, Column, Byte int
}

// Range is a stretch of a file, End exclusive. The zero value means: nowhere
// in a file.
type Range struct {
	// File is the name of the file as people know it: relative to the working
	// directory where that is shorter. It is the key of Sources.
	File       string
	Start, End Pos
}

// Sources is file contents by the name that ranges carry.
type Sources map[string][]byte

// Severity of a diagnostic.
type Severity string

// The severities. A file with an error is not served; one with a warning is.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is a mistake in a Proxyfile: what, where, and what to write.
type Diagnostic struct {
	Severity Severity
	// Summary says what is wrong, in one lower-case line without a full stop.
	Summary string
	// Detail stands under the quoted line, next to the underline: what to
	// write. It may be empty, or have more lines, which are those of a Proxyfile.
	Detail string
	// Range is the place to underline.
	Range Range
}

// MarshalJSON writes d in the one form that programs read of every verb. Line
// and column are 0 where the mistake is nowhere in the text.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // it is read by people too: "a -> b"
	err := encoder.Encode(struct {
		Severity Severity `json:"severity"`
		Summary  string   `json:"summary"`
		Detail   string   `json:"detail"`
		File     string   `json:"file"`
		Line     int      `json:"line"`
		Column   int      `json:"column"`
	}{d.Severity, d.Summary, d.Detail, d.Range.File, d.Range.Start.Line, d.Range.Start.Column})
	return out.Bytes(), err
}

// Diagnostics is all that is to be said of a file, in the order of the text
// once sorted. It is a list of values and not an error, so that every mistake
// is reported in one pass.
type Diagnostics []Diagnostic

// HasErrors reports whether one of ds is an error.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Sort orders ds by file and place, keeping the order of equals.
func (ds Diagnostics) Sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Range.File, b.Range.File), cmp.Compare(a.Range.Start.Byte, b.Range.Start.Byte))
	})
}
