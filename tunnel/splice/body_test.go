package splice

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// TestBodyFlushes: each piece is flushed unless more follows at once.
func TestBodyFlushes(t *testing.T) {
	full := strings.Repeat("x", BlockSize)
	for name, c := range map[string]struct {
		body   io.Reader
		length int64
		want   []string
	}{
		"known length":             {strings.NewReader("abc"), 3, []string{"3 false"}},
		"known length in pieces":   {iotest.OneByteReader(strings.NewReader("abc")), 3, []string{"1 true", "1 true", "1 false"}},
		"unknown length":           {strings.NewReader("abc"), -1, []string{"0 true", "3 true"}},
		"unknown length, last EOF": {iotest.DataErrReader(strings.NewReader("abc")), -1, []string{"0 true", "3 false"}},
		"a full buffer":            {strings.NewReader(full + "abc"), int64(len(full)) + 3, []string{"32768 false", "3 false"}},
		"no body":                  {http.NoBody, -1, nil},
		"length 0":                 {strings.NewReader(""), 0, nil},
	} {
		var got []string
		body, isCloser := c.body.(io.ReadCloser)
		if !isCloser {
			body = io.NopCloser(c.body)
		}
		readErr, writeErr := Body(&http.Response{Body: body, ContentLength: c.length}, func(p []byte, flush bool) error {
			got = append(got, fmt.Sprint(len(p), flush))
			return nil
		}, func() error {
			got = append(got, "0 true")
			return nil
		})
		if readErr != nil || writeErr != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v, %v; want %q", name, got, readErr, writeErr, c.want)
		}
	}
}

// TestBodyErrors: an error of reading and one of writing are told apart.
func TestBodyErrors(t *testing.T) {
	broken := errors.New("broken")
	response := func(body io.Reader, length int64) *http.Response {
		return &http.Response{Body: io.NopCloser(body), ContentLength: length}
	}
	accept := func([]byte, bool) error { return nil }
	refuse := func([]byte, bool) error { return broken }
	flush := func() error { return nil }
	if readErr, writeErr := Body(response(iotest.ErrReader(broken), 5), accept, flush); !errors.Is(readErr, broken) || writeErr != nil {
		t.Errorf("reading: %v, %v", readErr, writeErr)
	}
	if readErr, writeErr := Body(response(strings.NewReader("abc"), -1), accept, func() error { return broken }); readErr != nil || !errors.Is(writeErr, broken) {
		t.Errorf("flushing: %v, %v", readErr, writeErr)
	}
	for _, length := range []int64{3, -1} {
		if readErr, writeErr := Body(response(strings.NewReader("abc"), length), refuse, flush); readErr != nil || !errors.Is(writeErr, broken) {
			t.Errorf("writing %d: %v, %v", length, readErr, writeErr)
		}
	}
}

// TestTrailers: fields that may pass are set, announced or not, after a flush.
func TestTrailers(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header()["Trailer"] = []string{"X-Sum"}
	flushed := 0
	err := Trailers(w, http.Header{"X-Sum": {"1"}, "X-Late": {"2"}, "X-Empty": nil, "Authorization": {"3"}}, func() error { flushed++; return nil })
	want := http.Header{"Trailer": {"X-Sum"}, "X-Sum": {"1"}, "Trailer:X-Late": {"2"}}
	if err != nil || flushed != 1 || !reflect.DeepEqual(w.Header(), want) {
		t.Errorf("%v, %d flushes, %v; want %v", err, flushed, w.Header(), want)
	}
	broken := errors.New("broken")
	if err := Trailers(w, http.Header{"X-Sum": {"1"}}, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a flush that fails: %v", err)
	}
	if err := Trailers(w, http.Header{"X-Empty": nil}, func() error { return broken }); err != nil {
		t.Errorf("without a value: %v", err)
	}
}
