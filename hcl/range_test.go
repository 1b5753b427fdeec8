package hcl

import (
	"bytes"
	"testing"
)

// checkRanges fails unless every place of file and diags lies in its file, and
// its lines, columns and bytes agree.
func checkRanges(t *testing.T, file *File, diags Diagnostics) {
	t.Helper()
	for _, d := range diags {
		if d.Summary == "" {
			t.Errorf("a diagnostic says nothing: %+v", d)
		}
		checkRange(t, file.Sources, d.Range, d.Summary)
	}
	checkRange(t, file.Sources, file.Listen.Range, "listen")
	if file.Share != nil {
		checkRange(t, file.Sources, file.Share.Range, "share")
		for _, host := range file.Share.Hosts {
			checkRange(t, file.Sources, host.Range, "shared host")
		}
	}
	for _, s := range file.Services {
		checkRange(t, file.Sources, s.Range, "service")
		checkUpstream(t, file.Sources, s.Upstream)
	}
	for _, h := range file.Hosts {
		checkRange(t, file.Sources, h.Range, "host")
		checkRange(t, file.Sources, h.Name.Range, "host name")
		for _, alias := range h.Aliases {
			checkRange(t, file.Sources, alias.Range, "alias")
		}
		checkSettings(t, file.Sources, &h.Settings)
		for _, r := range h.Routes {
			checkRange(t, file.Sources, r.Range, "route")
			checkRange(t, file.Sources, r.PathRange, "path")
			checkSettings(t, file.Sources, &r.Settings)
		}
	}
}

func checkSettings(t *testing.T, sources Sources, s *Settings) {
	t.Helper()
	checkUpstream(t, sources, s.Upstream)
	if s.Files != nil {
		checkRange(t, sources, s.Files.Range, "files")
	}
	if s.Redirect != nil {
		checkRange(t, sources, s.Redirect.Range, "redirect")
	}
	if s.Respond != nil {
		checkRange(t, sources, s.Respond.Range, "respond")
	}
}

func checkUpstream(t *testing.T, sources Sources, u *Upstream) {
	t.Helper()
	if u == nil {
		return
	}
	checkRange(t, sources, u.Range, "upstream")
	for _, m := range u.Members {
		checkRange(t, sources, m.Range, "member")
	}
}

func checkRange(t *testing.T, sources Sources, r Range, what string) {
	t.Helper()
	if r.Start.Line == 0 {
		if r.Start != (Pos{}) || r.End != (Pos{}) {
			t.Errorf("%s: half a range: %+v", what, r)
		}
		return
	}
	text, known := sources[r.File]
	if !known {
		t.Errorf("%s: a range in no file: %+v", what, r)
		return
	}
	if r.Start.Byte < 0 || r.End.Byte < r.Start.Byte || len(text) < r.End.Byte {
		t.Errorf("%s: a range beyond its file of %d bytes: %+v", what, len(text), r)
		return
	}
	for _, p := range []Pos{r.Start, r.End} {
		before := text[:p.Byte]
		if line := bytes.Count(before, []byte("\n")) + 1; line != p.Line {
			t.Errorf("%s: byte %d is on line %d, not %d: %+v", what, p.Byte, line, p.Line, r)
		}
		if column := p.Byte - bytes.LastIndexByte(before, '\n'); p.Column < 1 || p.Column > column {
			t.Errorf("%s: byte %d cannot be in column %d: %+v", what, p.Byte, p.Column, r)
		}
	}
}
