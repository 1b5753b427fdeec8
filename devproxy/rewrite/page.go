package rewrite

import (
	"bytes"
	"io"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxTag is the longest tag that is looked at, in bytes. It is held back until it
	// is complete; browsers can do nothing with a part of a tag. Of a longer one, only
	// the URLs are replaced.
	maxTag = 16 << 10
	// longTagName marks, as page.in, the inside of a tag longer than maxTag.
	longTagName = "<"
	// maxHeld is how much of a page is held back whose policy allows scripts by their
	// hash, in bytes, and maxHold for how long, unless no more of it comes.
	maxHeld = 512 << 10
	maxHold = time.Second
	// maxHolding is how many pages are held back at one time. Scripts that a hash allows
	// stay as they are in further ones.
	maxHolding = 64
)

// holding counts the pages that are held back.
var holding atomic.Int64

// page looks at the tags of an HTML page before its URLs are replaced.
//
//   - A script or style sheet of a replaced host, or of the page's own, loses its
//     "integrity": its content may change. Those of other hosts keep it.
//   - A script or style that a Content-Security-Policy allows by its hash gets the
//     hash of its new content there. For this the page is held back: from its
//     beginning if the policy is in the header, else from the <meta> that has it.
//     After the part that is held back, such scripts and styles stay as they are.
//   - The sources of a policy in a <meta> are replaced like those in a header.
//   - Rows for React in scripts get no wrong length; see flight.
type page struct {
	names    *Names
	text     *Text
	*buffers // buf is not looked at yet
	// policy replaces the sources of a Content-Security-Policy.
	policy func(string) string
	// begin is called before anything is written.
	begin func(additions)
	// tell gets sentences for the developer.
	tell func(string)

	in        string  // the element with raw content that the text is in, "!--", or longTagName
	long      longTag // the tag that the text is in, if in is longTagName
	after     string  // what in becomes after that tag
	foreign   int     // elements of SVG and MathML that the text is in
	elsewhere bool    // relative URLs lead to another host
	checked   bool    // a policy may allow its content by a hash
	hashes    hashes
	added     additions
	hold      bool // what is written goes to held
	counted   bool // in holding
	begun     bool
	since     time.Time
	held      []segment
	size      int   // of held
	shadow    *Text // finds URLs in what stays as it is

	inline bool // the text is in a script that may have rows
	rows   flightScripts
}

// segment is a part of a page that is held back.
type segment struct {
	text     []byte
	verbatim bool // its URLs stay
	policies bool // a <meta> whose policy gets the additions
}

// appendSegment appends a copy of s, to the last segment if that is of the same kind: a
// segment takes more memory than a few bytes of text.
func appendSegment(all []segment, s segment) []segment {
	if n := len(all); n > 0 && all[n-1].verbatim == s.verbatim && !all[n-1].policies && !s.policies {
		all[n-1].text = append(all[n-1].text, s.text...)
		return all
	}
	s.text = bytes.Clone(s.text)
	return append(all, s)
}

func newPage(names *Names, text *Text, policy func(string) string, tell func(string)) *page {
	p := &page{names: names, text: text, buffers: pool.Get().(*buffers), policy: policy, tell: tell, hashes: hashes{}, added: additions{}}
	p.rows.names, p.rows.write = names, p.emit
	return p
}

// Write implements io.Writer.
func (p *page) Write(b []byte) (int, error) {
	text := b
	if len(p.buf) > 0 {
		p.buf = append(p.buf, b...)
		text = p.buf
	}
	rest, err := p.look(text, false)
	if err != nil {
		return 0, err
	}
	p.buf = append(p.buf[:0], rest...)
	return len(b), p.releaseLate()
}

// Close writes the rest.
func (p *page) Close() error {
	rest, err := p.look(p.buf, true)
	if err == nil {
		err = p.write(rest)
	}
	if err == nil {
		err = p.release()
	}
	if err != nil {
		return err
	}
	p.rows.free()
	p.buffers.free()
	p.buffers = nil
	return p.text.Close()
}

// look writes what is complete in b, and returns the rest.
func (p *page) look(b []byte, end bool) (rest []byte, err error) {
	from := 0 // b[from:at] passes unchanged
	for at := 0; ; {
		if p.in != "" {
			n, done := p.content(b[at:], end)
			if p.checked {
				if err := p.write(b[from:at]); err != nil {
					return nil, err
				}
				if !done && !end && p.hold && len(b)-at < maxHeld {
					return b[at:], nil // until all of it has come
				}
				if err := p.allow(b[at:at+n], done || end); err != nil {
					return nil, err
				}
				from = at + n
			} else if p.inline {
				if err := p.write(b[from:at]); err != nil {
					return nil, err
				}
				if err := p.rows.script(b[at:at+n], done || end); err != nil {
					return nil, err
				}
				from = at + n
			}
			if at += n; !done {
				return b[at:], p.write(b[from:at])
			}
			p.in, p.checked, p.inline, p.after = p.after, false, false, ""
			continue
		}
		n := bytes.IndexByte(b[at:], '<')
		if n < 0 {
			return nil, p.write(b[from:])
		}
		at += n
		if c := peek(b, at+1); c != 0 && c != '!' && !isLetter(c) { // an end tag, or no tag
			if c == '/' && p.foreign > 0 && !p.leave(b[at:]) && !end {
				return b[at:], p.write(b[from:at])
			}
			at++
			continue
		}
		name, size := p.tag(b[at:], end)
		if size == 0 {
			return b[at:], p.write(b[from:at])
		}
		if name != "" {
			if err := p.write(b[from:at]); err != nil {
				return nil, err
			}
			if err := p.element(name, b[at:at+size]); err != nil {
				return nil, err
			}
			from = at + size
		}
		at += size
	}
}

// leave counts the end tag of SVG or MathML, if b begins with one. It returns false if that
// is undecided.
func (p *page) leave(b []byte) bool {
	for _, name := range [...]string{"</svg", "</math"} {
		switch hasFold(b, name) {
		case yes:
			p.foreign--
		case more:
			return false
		}
	}
	return true
}

// tag returns the size of the tag or comment at the beginning of b, 0 if it is not
// complete, and the name of a start tag that matters.
func (p *page) tag(b []byte, end bool) (name string, size int) {
	switch c := peek(b, 1); {
	case !isLetter(c):
		switch hasFold(b, "<!--") {
		case yes:
			return "", p.comment(b, end)
		case more:
			if !end {
				return "", 0
			}
		}
		return "", 1
	case !mayMatter(c) || tagName(nameOf(b)) == "":
		// Most tags end at the first ">": those with it in a value have an open quote
		// there.
		size := bytes.IndexByte(b, '>') + 1
		if size > 0 && bytes.IndexByte(b[:size], '\'') < 0 && bytes.Count(b[:size], []byte{'"'})%2 == 0 {
			return "", size
		}
	}
	name, size = tagAt(b, nil)
	if size < 0 {
		if end || len(b) > maxTag {
			p.in, p.long, p.after = longTagName, longTag{}, ""
			if isRaw(name) {
				p.after = name
			}
			return "", 1
		}
		return "", 0
	}
	return name, size
}

// comment returns the size of what begins a comment, or of an empty one.
func (p *page) comment(b []byte, end bool) int {
	for _, empty := range [...]string{"<!-->", "<!--->"} {
		switch hasFold(b, empty) {
		case yes:
			return len(empty)
		case more:
			if !end {
				return 0
			}
		}
	}
	p.in = "!--"
	return len("<!--")
}

func peek(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// content returns how much of b is the content of the element p.in, and whether it
// ends there.
func (p *page) content(b []byte, end bool) (size int, done bool) {
	if p.in == longTagName {
		return p.long.pass(b)
	}
	if p.in == "!--" {
		return endOfComment(b, end)
	}
	closing := "</" + p.in
	for at := 0; ; at++ {
		n := bytes.IndexByte(b[at:], closing[0])
		if n < 0 {
			return len(b), false
		}
		at += n
		switch hasFold(b[at:], closing) {
		case yes:
			if after := peek(b[at:], len(closing)); isSpace(after) || after == '/' || after == '>' {
				return at, true
			}
			if len(b) == at+len(closing) && !end {
				return at, false
			}
		case more:
			if !end {
				return at, false
			}
		}
	}
}

// endOfComment is content for a comment, which ends with "-->" or "--!>".
func endOfComment(b []byte, end bool) (size int, done bool) {
	for at := 0; ; at++ {
		n := bytes.Index(b[at:], []byte("--"))
		if n < 0 && len(b) > at && b[len(b)-1] == '-' {
			n = len(b) - 1 - at
		}
		if n < 0 {
			return len(b), false
		}
		at += n
		normal, bang := hasFold(b[at:], "-->"), hasFold(b[at:], "--!>")
		switch {
		case normal == yes, bang == yes:
			return at, true
		case (normal == more || bang == more) && !end:
			return at, false
		}
	}
}

// element writes a start tag that matters.
func (p *page) element(name string, tag []byte) error {
	t := attributesOf(tag)
	if isRaw(name) && (p.foreign == 0 || !t.closed()) {
		p.in = name
		p.inline = name == "script" && !t.has("src")
		p.checked = len(p.hashes) > 0 && !t.has("nonce") && (name == "style" || p.inline)
		p.rows.start()
		p.rows.whole = p.checked
	}
	switch name {
	case "svg", "math":
		if !t.closed() {
			p.foreign++
		}
	case "base":
		p.elsewhere = p.elsewhere || !p.own(t.get("href"))
	case "meta":
		return p.meta(&t)
	case "script":
		return p.write(p.withoutIntegrity(&t, "src"))
	case "link":
		return p.write(p.withoutIntegrity(&t, "href"))
	}
	return p.write(tag)
}

// withoutIntegrity returns a tag without its "integrity", if the content at its URL may
// change.
func (p *page) withoutIntegrity(t *attributes, url string) []byte {
	if !t.has("integrity") || strings.ContainsAny(t.raw("integrity"), `<>"'`) || !p.own(t.get(url)) {
		return t.tag
	}
	for hash := range strings.FieldsSeq(t.get("integrity")) {
		algorithm, text, _ := strings.Cut(hash, "-")
		if _, allowed := p.hashes[hashKey(strings.ToLower(algorithm), text)]; allowed {
			p.tell("the Content-Security-Policy allows a script of the project by the hash in its integrity attribute: visitors' browsers refuse it if it contains local URLs; to allow it by its host, add 'self' to the policy")
			return t.tag
		}
	}
	return t.without("integrity")
}

// own reports whether a URL in a page leads to a host whose URLs are replaced. The
// page's own host is one, unless a <base> leads elsewhere. Browsers read "\" as "/".
func (p *page) own(text string) bool {
	u, err := url.Parse(strings.ReplaceAll(strings.TrimSpace(text), `\`, "/"))
	if err != nil {
		return false
	}
	if u.Scheme == "" && u.Host == "" {
		return !p.elsewhere
	}
	site := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	return p.names.String(site) != site
}

// meta writes a <meta>.
func (p *page) meta(t *attributes) error {
	if !strings.EqualFold(strings.TrimSpace(t.get("http-equiv")), "content-security-policy") {
		return p.write(t.tag)
	}
	was := t.get("content")
	t.change("content", p.policy)
	hashed := p.hashes.add(was)
	if hashed && p.since.IsZero() {
		p.holdBack()
	}
	return p.put(segment{text: t.tag, policies: hashed && p.hold})
}

// holdBack holds back what follows, unless too many pages are.
func (p *page) holdBack() {
	if !p.hold {
		if p.hold = holding.Add(1) <= maxHolding; !p.hold {
			holding.Add(-1)
		}
		p.counted = p.hold
	}
	if p.since.IsZero() {
		p.since = time.Now()
	}
}

// holdFor holds back the page from its beginning if policies have hashes.
func (p *page) holdFor(policies []string) {
	for _, policy := range policies {
		if p.hashes.add(policy) {
			p.holdBack()
		}
	}
}

// allow writes the content of a script or style that a hash may allow. If its URLs
// can't be replaced, it stays as it is.
func (p *page) allow(content []byte, complete bool) error {
	if p.hold && complete && p.shadow == nil {
		return p.allowChanged(content)
	}
	p.rows.lost = p.rows.lost || p.inline // its rows stay as they are
	if err := p.release(); err != nil {
		return err
	}
	if p.shadow == nil {
		p.shadow = NewText(p.names, io.Discard)
	}
	_, _ = p.shadow.Write(content) // which never fails
	if complete {
		if p.shadow.replaced > 0 {
			p.tell("an inline <" + p.in + "> keeps its local URLs, since the Content-Security-Policy allows it by its hash and the page is longer than devproxy holds back; use a nonce, or move it up in the page")
		}
		p.shadow.Free()
		p.shadow = nil
	}
	return p.put(segment{text: content, verbatim: true})
}

// allowChanged writes the whole content of a script or style that a hash may allow.
func (p *page) allowChanged(content []byte) error {
	parts := []segment{{text: content}}
	if p.inline {
		parts = nil
		p.rows.write = func(b []byte, verbatim bool) error {
			parts = appendSegment(parts, segment{text: b, verbatim: verbatim})
			return nil
		}
		_ = p.rows.script(content, true) // which does not fail then
		p.rows.write = p.emit
	}
	var changed []byte
	for _, s := range parts {
		if s.verbatim {
			changed = append(changed, s.text...)
		} else {
			changed = append(changed, p.names.String(string(s.text))...)
		}
	}
	if !bytes.Equal(changed, content) {
		p.added.allow(p.hashes, content, changed)
	}
	for _, s := range parts {
		if err := p.put(s); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return p.put(segment{text: b})
}

// emit writes a part of a script with rows.
func (p *page) emit(b []byte, verbatim bool) error {
	return p.put(segment{text: b, verbatim: verbatim})
}

// put writes s, or holds it back.
func (p *page) put(s segment) error {
	if !p.hold {
		return p.send(s)
	}
	p.held = appendSegment(p.held, s)
	if p.size += len(s.text); p.size > maxHeld {
		return p.release()
	}
	return nil
}

func (p *page) send(s segment) error {
	if !p.begun {
		p.begun = true
		if p.begin != nil {
			p.begin(p.added)
		}
	}
	if s.policies {
		t := attributesOf(s.text)
		t.change("content", p.added.policy)
		s.text = t.tag
	}
	return p.text.put(s.text, s.verbatim)
}

// release writes what is held back.
func (p *page) release() error {
	if p.begun && !p.hold {
		return nil
	}
	held := p.held
	p.hold, p.held, p.size = false, nil, 0
	for _, s := range held {
		if err := p.send(s); err != nil {
			return err
		}
	}
	p.forget()
	if !p.begun {
		return p.send(segment{})
	}
	return nil
}

// forget stops counting the page in holding.
func (p *page) forget() {
	if p.counted {
		p.counted = false
		holding.Add(-1)
	}
}

// releaseLate releases what was held back for long enough.
func (p *page) releaseLate() error {
	if p.hold && time.Since(p.since) > maxHold {
		return p.release()
	}
	return nil
}

// free gives up everything that was not written.
func (p *page) free() {
	p.forget()
	if p.shadow != nil {
		p.shadow.Free()
	}
	p.rows.free()
	p.buffers.free()
	p.buffers = nil
	p.text.Free()
}
