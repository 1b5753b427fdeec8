package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// explainer is the explain verb.
type explainer struct {
	*streams
	method  string
	headers []string
	json    bool
	share   bool
	file    fileFlags
}

func newExplainCmd(s *streams) *cobra.Command {
	e := &explainer{streams: s}
	cmd := &cobra.Command{
		Use:   "explain URL",
		Short: "say which route answers a URL",
		Long: `Says which host, route and upstream of the Proxyfile answer a URL, with file and line, and the path and headers that
would be sent. Nothing is sent. A URL that starts with "/" belongs to the first host of the Proxyfile.
Exits 1 if devproxy itself would answer, with 404 or 400. With --share it also says whether visitors of a share can see
the URL, and exits 1 if they cannot.`,
		Example: "  devproxy explain https://shop.localhost/api/users\n  devproxy explain /api --method POST --header 'X-Debug: 1' --json\n  devproxy explain --share /rails/mailers",
		Args:    oneArg("URL", "devproxy explain https://shop.localhost/api"),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVarP(&e.method, "method", "X", http.MethodGet, "the request's method")
	cmd.Flags().StringArrayVarP(&e.headers, "header", "H", nil, "a header field of the request, `NAME:VALUE`")
	cmd.Flags().BoolVar(&e.share, "share", false, "say what a visitor of a share would get")
	cmd.Flags().BoolVar(&e.json, "json", false, "print one JSON object")
	addFileFlags(cmd, &e.file)
	return cmd
}

func (e *explainer) run(ctx context.Context, text string) error {
	header, err := parseHeaders(e.headers)
	if err != nil {
		return err
	}
	p, known, err := loadServed(ctx, e.streams, e.file)
	if err != nil {
		return err
	}
	v, err := parseVisit(text, p)
	if err != nil {
		return err
	}
	v.method, v.header = strings.ToUpper(e.method), header
	asked := v.relocate(p.Relocation())
	x := explain(p, v)
	x.Asked = asked
	if e.share {
		if x.Share, err = explainShare(p, v, x); err != nil {
			return err
		}
	}
	if x.route != nil {
		effects := p.EffectsOf(x.route)
		x.Consent = effectsJSON(effects, known.allowed(effects))
	}
	var mask atomic.Pointer[hcl.Mask]
	mask.Store(p.Mask())
	e.streams = e.masked(&mask)
	if e.json {
		err = e.streams.json(x)
	} else {
		err = e.print(x)
	}
	if err == nil && (x.Error != nil || x.Share != nil && x.Share.Hidden) {
		err = exit(exitFailed)
	}
	return err
}

// parseHeaders reads NAME:VALUE pairs.
func parseHeaders(pairs []string) (http.Header, error) {
	header := http.Header{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, usagef("--header 'X-Debug: 1'", "%q is not a header field", pair)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// visit is the request to explain.
type visit struct {
	scheme    string // "https" or "http"
	authority string // as in the URL: "shop.localhost:8443"
	path      string // percent-encoded, as a client sends it
	query     string // "?" and the text after it; may be empty
	method    string
	header    http.Header
}

func (v *visit) url() string { return v.scheme + "://" + v.authority + v.target(v.path) }

// target returns path with the query.
func (v *visit) target(path string) string { return path + v.query }

// rawQuery returns the query without its "?".
func (v *visit) rawQuery() string { return strings.TrimPrefix(v.query, "?") }

// request returns v as the plan matches it.
func (v *visit) request() plan.Request {
	return plan.Request{Method: v.method, Host: hostOf(v.authority), Path: v.path, RawQuery: v.rawQuery(), Header: v.header}
}

// parseVisit reads a URL, one without its scheme, or a path of the first host.
// It does not use net/url, which would decode and clean text that has to stay
// unchanged.
func parseVisit(text string, p *plan.Plan) (*visit, error) {
	v := &visit{scheme: "https"}
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok && !strings.ContainsAny(scheme, "/?#") {
		switch strings.ToLower(scheme) {
		case "http", "ws":
			v.scheme = "http"
		case "https", "wss":
		default:
			return nil, usagef("devproxy explain https://shop.localhost/api", "%q is neither http nor https", scheme)
		}
		rest = after
	}
	rest, _, _ = strings.Cut(rest, "#")
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest, v.query = rest[:i], asSent(rest[i:])
	}
	v.authority, v.path = rest, "/"
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		v.authority, v.path = rest[:i], asSent(rest[i:])
	}
	// Clients do not send the user of a URL in Host.
	v.authority = v.authority[strings.LastIndexByte(v.authority, '@')+1:]
	if port := portText(v.authority); port != "" {
		if _, err := parsePort(port); err != nil {
			return nil, usagef("devproxy explain https://shop.localhost:8443/api", "%q is not a port (1 to 65535)", port)
		}
	}
	if v.authority == "" {
		if v.authority = firstHost(p); v.authority == "" {
			return nil, usagef("devproxy explain https://shop.localhost"+v.path, "the Proxyfile has only wildcard hosts, so the URL needs a host")
		}
	}
	return v, nil
}

// firstHost returns the first name of the file that is not a wildcard; empty if there is
// none.
func firstHost(p *plan.Plan) string {
	for _, h := range namedHosts(p) {
		if !strings.HasPrefix(h.Name, "*") {
			return h.Name
		}
	}
	return ""
}

// asSent encodes what people type and clients encode: white space, control characters
// and everything outside of ASCII.
func asSent(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// portText returns the text after the host of an authority and ":"; empty without one.
func portText(authority string) string {
	_, port, _ := strings.Cut(authority[strings.LastIndexByte(authority, ']')+1:], ":")
	return port
}

// hostOf returns authority without its port and brackets.
func hostOf(authority string) string {
	if end := strings.IndexByte(authority, ']'); strings.HasPrefix(authority, "[") && end > 0 {
		return authority[1:end]
	}
	host, _, _ := strings.Cut(authority, ":")
	return host
}
