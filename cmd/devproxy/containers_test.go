package main

import (
	"strings"
	"testing"
)

// TestNoteHasItsFix: what helps is below the note, in the same column and stream.
func TestNoteHasItsFix(t *testing.T) {
	var out, errs strings.Builder
	s := &streams{Out: &out, Err: &errs, Size: func() (int, int) { return 80, 24 }}
	e := noteEvent{"note", "containers: the container engine at /run/docker.sock does not answer", "start it, or change DOCKER_HOST"}
	e.print(newReporter(s, upOptions{}, source{}))
	indent := strings.Repeat(" ", len("15:04:05  "))
	want := "containers: the container engine at /run/docker.sock does not answer\n" + indent + "start it, or change DOCKER_HOST\n"
	if got := errs.String(); len(got) < len(indent) || got[len(indent):] != want || out.Len() > 0 {
		t.Errorf("on stderr:\n%s\non stdout:\n%s", got, out.String())
	}
}
