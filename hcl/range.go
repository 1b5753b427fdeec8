package hcl

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// text is one file as it is parsed. What it says of places holds for src, the
// bytes as they were read.
type text struct {
	name string
	src  []byte
	// clean has the length of src; bytes that no text can have are replaced.
	clean []byte
	// holes are the places whose mistakes have been reported and which were
	// overwritten for the parser; what overlaps one is not looked at again.
	holes []Range

	// scanned is how many bytes were searched for habits of other tools.
	scanned int

	lineStarts []int
	// marks are places of one line, in order, markEvery bytes apart.
	marks []Pos
}

// markEvery bounds how much of a line is read to find a column: a line can be
// as long as the file, and hold as many places.
const markEvery = 64

// rangeOf is r as the rest of devproxy knows it.
func (t *text) rangeOf(r hcl.Range) Range {
	if len(t.holes) > 0 || r.End.Byte < r.Start.Byte {
		// Overwriting keeps bytes and lines but not user characters, and a
		// brace that was added for the parser lies beyond the end. Some parts of
		// broken text end before they begin.
		return t.span(r.Start.Byte, r.End.Byte)
	}
	return Range{File: r.Filename, Start: Pos(r.Start), End: Pos(r.End)}
}

// span is the range of src[start:end], cut to what there is.
func (t *text) span(start, end int) Range {
	start = min(max(start, 0), len(t.src))
	end = min(max(end, start), len(t.src))
	return Range{File: t.name, Start: t.pos(start), End: t.pos(end)}
}

func (t *text) pos(at int) Pos {
	if t.lineStarts == nil {
		t.lineStarts = []int{0}
		for i, b := range t.src {
			if b == '\n' {
				t.lineStarts = append(t.lineStarts, i+1)
			}
		}
	}
	line := sort.SearchInts(t.lineStarts, at+1)
	if len(t.marks) == 0 || t.marks[0].Line != line {
		t.marks = []Pos{{Line: line, Column: 1, Byte: t.lineStarts[line-1]}}
	}
	for at-t.marks[len(t.marks)-1].Byte > markEvery {
		last := t.marks[len(t.marks)-1]
		end := last.Byte + markEvery
		for end < at && !utf8.RuneStart(t.src[end]) {
			end++
		}
		t.marks = append(t.marks, t.count(last, end))
	}
	next := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].Byte > at })
	return t.count(t.marks[next-1], at)
}

// count is the place at, behind from on the same line.
func (t *text) count(from Pos, at int) Pos {
	between := bytes.TrimPrefix(t.src[from.Byte:at], byteOrderMark)
	return Pos{Line: from.Line, Column: from.Column + characters(between), Byte: at}
}

// characters is the number of user characters (grapheme clusters) of text,
// which has one line.
func characters(text []byte) int {
	scanner := hcl.NewRangeScanner(text, "", func(data []byte, _ bool) (int, []byte, error) {
		return len(data), data, nil
	})
	if !scanner.Scan() {
		return 0
	}
	return scanner.Range().End.Column - 1
}

// holed reports whether a mistake inside of r has been reported already.
func (t *text) holed(r hcl.Range) bool {
	for _, hole := range t.holes {
		if hole.Start.Byte < r.End.Byte && r.Start.Byte < hole.End.Byte {
			return true
		}
	}
	return false
}
