package control

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// answering runs folder with a handler of another version until it is asked to
// go down.
func answering(t *testing.T, handler func(end func()) http.Handler) *Client {
	t.Helper()
	dir, folder := shortDir(t), t.TempDir()
	in, err := Acquire(dir, folder)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := in.Serve(ctx, handler(cancel), nil); err != nil {
			t.Error(err)
		}
		in.Close()
	}()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, "it serves", func() bool { _, err := Dial(dir, folder); return err == nil })
	client, err := Dial(dir, folder)
	must(t, err)
	return client
}

func TestAnotherVersionIsNamedAndCanBeStopped(t *testing.T) {
	client := answering(t, func(end func()) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(protocolField, "9")
			if r.URL.Path == downPath {
				end()
				return
			}
			w.Write([]byte(`{"another":"form"}`))
		})
	})
	_, err := client.Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), `"9"`) || !strings.Contains(err.Error(), "devproxy down") {
		t.Errorf("Status: %v, want an error that names both versions and the fix", err)
	}
	must(t, client.Down(t.Context()))
}

func TestTheLastQuestionIsAnsweredAfterTheEnd(t *testing.T) {
	var client *Client
	client = answering(t, func(end func()) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			end()
			eventually(t, "no client can connect any longer", func() bool { _, err := dial(t.Context(), client.base); return err != nil })
			w.WriteHeader(http.StatusAccepted)
		})
	})
	if _, err := client.ask(t.Context(), http.MethodPost, downPath); err != nil {
		t.Error(err)
	}
}

func TestFieldsOfALaterVersionAreIgnored(t *testing.T) {
	client := answering(t, func(func()) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(protocolField, protocol)
			w.Write([]byte(`{"pid": 5, "share": {"url": "https://x"}}`))
		})
	})
	status, err := client.Status(t.Context())
	if err != nil || status.PID != 5 {
		t.Errorf("Status = %+v, %v", status, err)
	}
}

func TestAnAnswerThatIsNoJSONIsAnError(t *testing.T) {
	client := answering(t, func(func()) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(protocolField, protocol)
			w.Write([]byte(`<html>`))
		})
	})
	if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot read") {
		t.Errorf("Status: %v", err)
	}
}

func TestAnUnknownVerbAndALongBodyAreRefused(t *testing.T) {
	client := answering(t, func(func()) http.Handler {
		return Handler(Verbs{})
	})
	if _, err := client.ask(t.Context(), http.MethodPost, "/fly"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an unknown verb: %v", err)
	}
	if _, err := client.ask(t.Context(), http.MethodGet, downPath); err == nil || !strings.Contains(err.Error(), "405") {
		t.Errorf("down with GET: %v", err)
	}
	client = answering(t, func(func()) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := r.Body.Read(make([]byte, maxBody+2))
			for err == nil {
				var more int
				more, err = r.Body.Read(make([]byte, maxBody))
				n += more
			}
			if n > maxBody || !strings.Contains(err.Error(), "too large") {
				t.Errorf("read %d bytes of the body: %v", n, err)
			}
		})
	})
	res, err := client.http.Post("http://devproxy/", "", strings.NewReader(strings.Repeat("x", 2*maxBody)))
	if err == nil {
		res.Body.Close()
	}
}
