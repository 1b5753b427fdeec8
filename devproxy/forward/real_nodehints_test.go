package forward

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"testing"
)

// Node's writeEarlyHints comes through as 103 (RFC 8297), before the answer.
func TestRealNodeEarlyHints(t *testing.T) {
	node := startProgram(t, "node", "-e", streamingServer)
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, node)
		var link string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints {
					link = header.Get("Link")
				}
				return nil
			},
		})
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/hints", nil)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(got) != "page" || link != "</app.css>; rel=preload; as=style" || res.Header.Get("Link") != "" {
			t.Errorf("%s: %q %v, early %q, late %q", visitor, got, err, link, res.Header.Get("Link"))
		}
	}
}
