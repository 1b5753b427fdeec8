package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/journal"
)

// controlledBy runs a devproxy for a folder whose control socket has a handler of the test.
func controlledBy(t *testing.T, handler http.HandlerFunc) *control.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "c") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	folder := t.TempDir()
	in, err := control.Acquire(dir, folder)
	if err == nil {
		err = in.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- in.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Devproxy-Control", "1")
			handler(w, r)
		}), nil)
	}()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, in.Close()); err != nil {
			t.Error(err)
		}
	})
	client, err := control.Dial(dir, folder)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestOutputGoesOn: output that breaks off is asked for again, from the line after the
// last one, until that fails too often.
func TestOutputGoesOn(t *testing.T) {
	broken := 0
	client := controlledBy(t, func(w http.ResponseWriter, r *http.Request) {
		after := r.FormValue("after")
		switch {
		case after == "2" && broken > 0:
			fmt.Fprintln(w, `{"number":4,"text":"three","missed":1}`)
			return
		case after == "2":
			broken++ // the first time without a line
		case r.FormValue("service") != "web" || r.FormValue("follow") != "true":
			t.Errorf("it asks for %s", r.URL)
		default:
			fmt.Fprint(w, `{"number":1,"text":"one"}`+"\n"+`{"number":2,"text":"two"}`+"\n")
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	})
	var got []string
	request := control.OutputRequest{Last: 5, Service: "web", Follow: true}
	out, err := client.Output(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	err = followOutput(t.Context(), client, out, request, func(line journal.Line) error {
		got = append(got, fmt.Sprint(line.Text, " ", line.Missed))
		return nil
	})
	if text := strings.Join(got, ", "); err != nil || text != "one 0, two 0, three 1" {
		t.Errorf("%s; %v", text, err)
	}
}

// TestOutputBreaksOff gives up in the end.
func TestOutputBreaksOff(t *testing.T) {
	asked := 0
	client := controlledBy(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	request := control.OutputRequest{Follow: true}
	out, err := client.Output(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	err = followOutput(t.Context(), client, out, request, nil)
	if err == nil || !strings.Contains(err.Error(), "broke off") || asked < 2 || asked > maxUnanswered+1 {
		t.Errorf("%d times: %v", asked, err)
	}
}
