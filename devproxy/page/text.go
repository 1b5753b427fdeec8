package page

import (
	"fmt"
	"strings"
	"time"
)

// text is the form for programs: the title, then one fact a line.
func (p Page) text() []byte {
	lines := []string{p.Title}
	if p.Lead != "" && p.Lead != OpensItself && p.Lead != OpensLater {
		lines = append(lines, p.Lead)
	}
	if p.Quote != nil {
		lines = append(lines, p.Quote.Place+"  "+p.Quote.Text)
	}
	lines = append(lines, p.Attempts...)
	if p.Waited > 0 {
		lines = append(lines, "waited "+spoken(p.Waited))
	}
	lines = append(lines, p.Hints...)
	if p.Suggest != nil {
		lines = append(lines, "Did you mean "+p.Suggest.URL+" ?")
	}
	lines = append(lines, p.servedLines()...)
	lines = append(lines, p.codeLines()...)
	return []byte(strings.Join(lines, "\n") + "\n")
}

func (p Page) servedLines() []string {
	if len(p.Served) == 0 {
		return nil
	}
	lines := []string{"Served:"}
	for _, link := range p.Served {
		lines = append(lines, strings.TrimRight("  "+link.URL+"  "+link.Note, " "))
	}
	return lines
}

func (p Page) codeLines() []string {
	if p.Code == "" {
		return nil
	}
	lines := make([]string, 0, 2)
	if p.CodeTitle != "" {
		lines = append(lines, p.CodeTitle)
	}
	return append(lines, "  "+strings.ReplaceAll(p.Code, "\n", "\n  "))
}

// seconds is d in whole seconds, rounded up: what has begun counts.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// spoken is d as people say it: "12 s", "3 min 5 s". page.js says it the same.
func spoken(d time.Duration) string {
	n := seconds(d)
	if n < 60 {
		return fmt.Sprintf("%d s", n)
	}
	return fmt.Sprintf("%d min %d s", n/60, n%60)
}
