package middleware

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// calls notes what a ResponseWriter is told, in order.
type calls []string

func (c *calls) Header() http.Header         { return http.Header{} }
func (c *calls) WriteHeader(status int)      { *c = append(*c, fmt.Sprint(status)) }
func (c *calls) Write(p []byte) (int, error) { *c = append(*c, string(p)); return len(p), nil }
func (c *calls) FlushError() error           { *c = append(*c, "flush"); return nil }

// TestHeadWriter: the head is changed once, just before the final one is
// written, however that comes about, and informational ones pass as they are.
func TestHeadWriter(t *testing.T) {
	write := func(w *headWriter, text string) { _, _ = w.Write([]byte(text)) }
	for name, test := range map[string]struct {
		do   func(w *headWriter)
		want []string
	}{
		"nothing":                {func(*headWriter) {}, nil},
		"a head":                 {func(w *headWriter) { w.WriteHeader(404) }, []string{"change 404", "404"}},
		"a head and a body":      {func(w *headWriter) { w.WriteHeader(201); write(w, "a"); write(w, "b") }, []string{"change 201", "201", "a", "b"}},
		"a body alone":           {func(w *headWriter) { write(w, "a"); write(w, "b") }, []string{"change 200", "200", "a", "b"}},
		"an empty body":          {func(w *headWriter) { write(w, "") }, []string{"change 200", "200", ""}},
		"a flush before a body":  {func(w *headWriter) { _ = w.FlushError(); write(w, "a") }, []string{"change 200", "200", "flush", "a"}},
		"a flush after the head": {func(w *headWriter) { w.WriteHeader(500); _ = w.FlushError() }, []string{"change 500", "500", "flush"}},
		"early hints":            {func(w *headWriter) { w.WriteHeader(103); w.WriteHeader(200) }, []string{"103", "change 200", "200"}},
		"the last informational": {func(w *headWriter) { w.WriteHeader(199); write(w, "a") }, []string{"199", "change 200", "200", "a"}},
		"two heads":              {func(w *headWriter) { w.WriteHeader(200); w.WriteHeader(500) }, []string{"change 200", "200", "500"}},
	} {
		var got calls
		test.do(&headWriter{ResponseWriter: &got, head: func(_ http.Header, status int) { got = append(got, fmt.Sprint("change ", status)) }})
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
