package plan

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/devproxy/devproxy/hcl"
)

// Answer says how a route answers.
type Answer interface {
	// String returns the answer in a few words: ":5173", "files site/dist",
	// "redirect /docs{rest}", "respond 204".
	String() string
}

// Files answers with files of a folder. For an exact route Dir may be a file.
type Files struct {
	Dir  string // absolute
	Text string // as written
	SPA  bool
	// Within is the folder, with links resolved, that Dir must stay in: the
	// project, or for a folder outside the project its own real path. Empty allows
	// any.
	Within string
}

func (f *Files) String() string { return "files " + f.Text }

// TryFiles is a folder whose files are tried before an upstream.
type TryFiles struct {
	Files
	// Whole looks up the whole path, for a folder that a route inherits from its
	// host. Otherwise the path after the route's path is looked up, as in Files.
	Whole bool
}

// Redirect answers with a redirect.
type Redirect struct {
	Target string // with placeholders
	Status int
}

func (r *Redirect) String() string { return "redirect " + r.Target }

// Respond is a fixed answer.
type Respond struct {
	Status  int
	Body    string
	Headers []Header // sorted by name; none removes a field
}

func (r *Respond) String() string { return "respond " + strconv.Itoa(r.Status) }

// Withheld is the answer of a route that the user has not allowed: a page that
// says so.
type Withheld struct {
	// Effects are those that the user has not allowed, never empty.
	Effects []*Effect
}

func (w *Withheld) String() string { return "needs consent" }

// sameAnswer compares what answers do, and not how people write them.
func sameAnswer(a, b Answer) bool {
	switch a := a.(type) {
	case *Upstream:
		b, ok := b.(*Upstream)
		return ok && a.Key == b.Key
	case *Files:
		b, ok := b.(*Files)
		return ok && a.Dir == b.Dir && a.SPA == b.SPA && a.Within == b.Within
	case *Redirect:
		b, ok := b.(*Redirect)
		return ok && *a == *b
	case *Withheld:
		b, ok := b.(*Withheld)
		return ok && slices.EqualFunc(a.Effects, b.Effects, func(x, y *Effect) bool { return x.Covers(y) && y.Covers(x) })
	case *Respond:
		b, ok := b.(*Respond)
		return ok && a.Status == b.Status && a.Body == b.Body && slices.Equal(a.Headers, b.Headers)
	}
	return false
}

// answerRange returns where the answer of s is written, or nil if it has none.
func answerRange(s *hcl.Settings) *hcl.Range {
	switch {
	case s.Upstream != nil:
		return &s.Upstream.Range
	case s.Files != nil:
		return &s.Files.Range
	case s.Redirect != nil:
		return &s.Redirect.Range
	case s.Respond != nil:
		return &s.Respond.Range
	}
	return nil
}

// answer returns the answer of s, and the request headers that remain: an
// upstream takes Host as its authority.
func (b *builder) answer(s *hcl.Settings) ([]Header, Answer) {
	request := headers(s.RequestHeaders)
	switch {
	case s.Upstream != nil:
		authority := ""
		if i := slices.IndexFunc(request, func(h Header) bool { return h.Name == "Host" }); i >= 0 {
			authority = request[i].Value // KeepHost, or without placeholders
			request = slices.Delete(request, i, i+1)
		}
		return request, b.upstream(s.Upstream, authority, s.TLSSkipVerify != nil && *s.TLSSkipVerify)
	case s.Files != nil:
		files := b.files(s.Files)
		return request, &files
	case s.Redirect != nil:
		return request, &Redirect{Target: s.Redirect.Target, Status: s.Redirect.Status}
	}
	respond := &Respond{Status: s.Respond.Status, Body: s.Respond.Body}
	for _, name := range sortedNames(s.Respond.Headers) {
		respond.Headers = append(respond.Headers, Header{Name: name, Value: s.Respond.Headers[name]})
	}
	return request, respond
}

func (b *builder) files(f *hcl.Files) Files {
	return Files{Dir: f.Dir, Text: f.Text, SPA: f.SPA, Within: b.effects.boundary(cmp.Or(f.Real, f.Dir))}
}
