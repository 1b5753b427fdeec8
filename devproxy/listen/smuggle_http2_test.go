package listen

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/devproxy/devproxy/testdata/smuggle"
)

// TestSmuggleHTTP2 sends every HTTP/2 case through a server that forwards, and
// looks at what a raw upstream got.
func TestSmuggleHTTP2(t *testing.T) {
	for _, c := range smuggle.HTTP2Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t)
			r := serve(t, u.forwarder())
			config := &tls.Config{RootCAs: r.pool, ServerName: "shop.localhost", NextProtos: []string{"h2"}}
			outcome, err := c.Send(tls.Client(r.dial(t, true), config), "shop.localhost")
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			u.finish()
			got := []string{}
			for _, m := range u.messages {
				got = append(got, fmt.Sprintf("%s %s %q", m.method, m.target, m.body))
			}
			if wrong := c.Judge(outcome, got); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}
