package head

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// calls records the calls of a ResponseWriter, in order.
type calls []string

func (c *calls) Header() http.Header         { return http.Header{} }
func (c *calls) WriteHeader(status int)      { *c = append(*c, fmt.Sprint(status)) }
func (c *calls) Write(p []byte) (int, error) { *c = append(*c, string(p)); return len(p), nil }
func (c *calls) FlushError() error           { *c = append(*c, "flush"); return nil }

// TestWriter: the head is changed once, just before the final one is
// written, however that comes about, and informational ones pass as they are.
func TestWriter(t *testing.T) {
	write := func(w *Writer, text string) { _, _ = w.Write([]byte(text)) }
	for name, test := range map[string]struct {
		do   func(w *Writer)
		want []string
	}{
		"nothing":                {func(*Writer) {}, nil},
		"a head":                 {func(w *Writer) { w.WriteHeader(404) }, []string{"change 404", "404"}},
		"a head and a body":      {func(w *Writer) { w.WriteHeader(201); write(w, "a"); write(w, "b") }, []string{"change 201", "201", "a", "b"}},
		"a body alone":           {func(w *Writer) { write(w, "a"); write(w, "b") }, []string{"change 200", "200", "a", "b"}},
		"an empty body":          {func(w *Writer) { write(w, "") }, []string{"change 200", "200", ""}},
		"a flush before a body":  {func(w *Writer) { _ = w.FlushError(); write(w, "a") }, []string{"change 200", "200", "flush", "a"}},
		"a flush after the head": {func(w *Writer) { w.WriteHeader(500); _ = w.FlushError() }, []string{"change 500", "500", "flush"}},
		"early hints":            {func(w *Writer) { w.WriteHeader(103); w.WriteHeader(200) }, []string{"103", "change 200", "200"}},
		"the last informational": {func(w *Writer) { w.WriteHeader(199); write(w, "a") }, []string{"199", "change 200", "200", "a"}},
		"an upgrade":             {func(w *Writer) { w.WriteHeader(101); w.Begin() }, []string{"101"}},
		"an empty response":      {func(w *Writer) { w.Begin(); w.Begin() }, []string{"change 200", "200"}},
		"two heads":              {func(w *Writer) { w.WriteHeader(200); w.WriteHeader(500) }, []string{"change 200", "200", "500"}},
	} {
		var got calls
		test.do(&Writer{ResponseWriter: &got, Change: func(status int, _ http.Header) { got = append(got, fmt.Sprint("change ", status)) }})
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestLength(t *testing.T) {
	for text, want := range map[string]int64{"": -1, "0": 0, "12": 12, "-1": -1, "x": -1, "99999999999999999999": -1} {
		if got := Length(http.Header{"Content-Length": {text}}); got != want {
			t.Errorf("Length(%q) = %d; want %d", text, got, want)
		}
	}
}
