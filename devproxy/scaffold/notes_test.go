package scaffold

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNotes(t *testing.T) {
	n := &notes{}
	n.add(Note{"a", 1, "same"})
	n.add(Note{"b", 2, "same"})
	n.add(Note{"a", 3, "same"})
	n.add(Note{"a", 4, "alone"})
	for i := range maxSubjects + 2 {
		n.group("no port found", fmt.Sprint("s", i))
	}
	n.group("no port found", "s0")
	want := []Note{
		{Text: "same: a, b"},
		{"a", 4, "alone"},
		{Text: "no port found: s0, s1, s2, s3, s4, s5, s6, s7 and 2 more"},
	}
	if diff := cmp.Diff(want, n.all()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range 3 * maxNotes {
		n.add(Note{"a", i, fmt.Sprint("text ", i)})
	}
	if all := n.all(); len(all) != maxNotes+1 || all[maxNotes].Text != fmt.Sprintf("%d more notes", 2*maxNotes+3) {
		t.Errorf("%d notes, the last is %q", len(all), all[len(all)-1].Text)
	}
}
