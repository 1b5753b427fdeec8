package forward

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestARequestAndItsAnswerArriveWhole(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header()["X-Two"] = []string{"a", "b"}
			w.Header().Set("X-Proto", r.Header.Get("X-Forwarded-Proto"))
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
		})))
		res, err := p.client().Post(p.URL+"/a%2Fb?q=%zz&x", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusTeapot || string(body) != "POST /a%2Fb?q=%zz&x hello" {
			t.Errorf("got %s %q", res.Status, body)
		}
		if two := res.Header["X-Two"]; len(two) != 2 || two[1] != "b" {
			t.Errorf("X-Two = %q", two)
		}
		if proto := res.Header.Get("X-Proto"); proto != "https" {
			t.Errorf("X-Forwarded-Proto was %q", proto)
		}
	})
}

func TestEventsArriveOneByOneWhileTheStreamIsOpen(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		next := make(chan bool)
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			for i := 0; ; i++ {
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
				fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
			}
		})))
		res, err := p.client().Get(p.URL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		for i := range 3 {
			next <- true // the next event is not made before this one was asked for
			if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) {
				t.Fatalf("event %d: %q %v", i, lines.Text(), lines.Err())
			}
			lines.Scan()
		}
		if n := p.upstream.Streams(); n != 1 {
			t.Errorf("%d streams are open, want 1", n)
		}
		if n := p.upstream.CloseStreams(p.route.ID); n != 1 {
			t.Errorf("closed %d streams, want 1", n)
		}
		if lines.Scan() || lines.Err() != nil {
			t.Errorf("the stream did not end cleanly: %q %v", lines.Text(), lines.Err())
		}
	})
}

func TestHoldAnswersWhenTheUpstreamComesUp(t *testing.T) {
	up := startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	d := &gate{}
	p := newProxy(t, "h1", Options{Dial: d.dial}, up)
	d.shut()
	answers := make(chan string)
	go func() {
		res, err := p.client().Post(p.URL, "text/plain", strings.NewReader("held"))
		if err != nil {
			answers <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answers <- res.Status + " " + string(body)
	}()
	d.waitForDials(3)
	d.open()
	if got := <-answers; got != "200 OK held" {
		t.Errorf("got %q", got)
	}
	if report := <-p.report; report.Held <= 0 {
		t.Errorf("report = %+v", report)
	}
}

func TestANavigationGetsTheWaitingPageAndAFetchWaits(t *testing.T) {
	d := &gate{}
	d.shut()
	p := newProxy(t, "h1", Options{Dial: d.dial}, startUpstream(t, "http", http.NotFoundHandler()))
	p.route.Hold = 50 * time.Millisecond
	for accept, want := range map[string]string{"text/html": "*forward.WaitingError", "*/*": "*forward.UnavailableError"} {
		req, _ := http.NewRequest(http.MethodGet, p.URL, nil)
		req.Header.Set("Accept", accept)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 503 || !strings.HasPrefix(string(body), want) {
			t.Errorf("Accept %s: %s %s", accept, res.Status, body)
		}
	}
}
