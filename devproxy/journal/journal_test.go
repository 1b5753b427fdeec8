package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// texts returns the texts of lines.
func texts(lines []Line) []string {
	var all []string
	for _, line := range lines {
		all = append(all, line.Text)
	}
	return all
}

func read(t *testing.T, j *Journal, from uint64) []Line {
	t.Helper()
	lines, err := j.Read(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestWriterAddsLinesThatHaveEnded(t *testing.T) {
	var file bytes.Buffer
	j := New(&file)
	w := j.NewWriter()
	fmt.Fprint(w, "one\ntw")
	fmt.Fprint(w, "o\n")
	w.Service = "web"
	fmt.Fprint(w, "\x1b[32mthree\x1b[0m\nnot ended")
	lines := read(t, j, 0)
	if got := fmt.Sprintf("%q", texts(lines)); got != `["one" "two" "\x1b[32mthree\x1b[0m"]` {
		t.Error(got)
	}
	if lines[1].Service != "" || lines[2].Service != "web" || lines[2].Number != 3 || lines[0].Time.IsZero() {
		t.Errorf("%+v", lines)
	}
	if got := file.String(); got != "one\ntwo\nthree\n" {
		t.Errorf("the file has %q", got)
	}
}

func TestOldLinesAreDroppedAndCounted(t *testing.T) {
	j := New(nil)
	for i := range maxLines + 10 {
		j.Add("", fmt.Sprint(i+1))
	}
	lines := read(t, j, 3)
	if lines[0].Number != 11 || lines[0].Text != "11" || lines[0].Missed != 8 {
		t.Errorf("from 3: %+v", lines[0])
	}
	if got := read(t, j, 0)[0]; got.Number != 11 || got.Missed != 0 {
		t.Errorf("from the beginning: %+v", got)
	}
	if got := read(t, j, maxLines+10); len(got) != 1 || got[0].Missed != 0 {
		t.Errorf("the last: %+v", got)
	}
	if len(lines) != maxBatch {
		t.Errorf("%d lines at once", len(lines))
	}
}

func TestLongLinesAreBounded(t *testing.T) {
	j := New(nil)
	w := j.NewWriter()
	long := strings.Repeat("é", maxLine)
	fmt.Fprint(w, long)
	fmt.Fprint(w, long+"\n")
	line := read(t, j, 0)[0].Text
	if len(line) > maxLine || !utf8.ValidString(line) || !strings.HasSuffix(line, "é…") {
		t.Errorf("%d bytes, which end with %q", len(line), line[len(line)-10:])
	}
	for range 3 * maxBytes / maxLine {
		j.Add("", long)
	}
	if j.bytes > maxBytes || j.bytes < maxBytes-maxLine {
		t.Errorf("%d bytes are kept", j.bytes)
	}
	sum := 0
	for _, line := range j.lines {
		sum += len(line.Text)
	}
	if sum != j.bytes {
		t.Errorf("%d bytes are counted, %d are kept", j.bytes, sum)
	}
}

// TestReadersFollow has several readers wait for lines, until the end.
func TestReadersFollow(t *testing.T) {
	j := New(nil)
	const readers, lines = 4, 500
	got := make([]uint64, readers)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			for from := uint64(1); ; {
				batch, err := j.Read(t.Context(), from)
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				got[i] += uint64(len(batch)) + batch[0].Missed
				from = batch[len(batch)-1].Number + 1
			}
		})
	}
	for i := range lines {
		j.Add("", fmt.Sprint(i))
	}
	j.Close()
	j.Close()
	<-j.Done()
	j.Add("", "too late")
	all.Wait()
	for i, n := range got {
		if n != lines {
			t.Errorf("reader %d got %d lines of %d", i, n, lines)
		}
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(nil).Read(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
