package urlfield

import "strings"

// link replaces the targets and anchors of a Link field (RFC 8288 section 3).
func (w *Rewriter) link(value string) string {
	var out strings.Builder
	for value != "" {
		switch i := strings.IndexAny(value, `<"`); {
		case i < 0:
			out.WriteString(w.linkText(value))
			value = ""
		case value[i] == '<':
			value = w.linkSpan(&out, value, i, ">", true)
		default:
			value = w.linkSpan(&out, value, i, `"`, isAnchor(value[:i]))
		}
	}
	return out.String()
}

// linkSpan writes value up to the close of the span that opens at i, and returns
// what follows. What is in the span is a URL reference when isURL is true.
func (w *Rewriter) linkSpan(out *strings.Builder, value string, i int, closing string, isURL bool) string {
	out.WriteString(w.linkText(value[:i]))
	out.WriteByte(value[i])
	span, after, closed := strings.Cut(value[i+1:], closing)
	if isURL {
		span = w.URL(span)
	}
	out.WriteString(span)
	if closed {
		out.WriteString(closing)
	}
	return after
}

func (w *Rewriter) linkText(text string) string {
	if w.LinkText == nil {
		return text
	}
	return w.LinkText(text)
}

func isAnchor(before string) bool {
	before, found := strings.CutSuffix(strings.TrimRight(before, " \t"), "=")
	before = strings.TrimRight(before, " \t")
	return found && len(before) >= len("anchor") && strings.EqualFold(before[len(before)-len("anchor"):], "anchor")
}
