//go:build e2e && linux

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
)

// An upload lasts through whatever happens: it has begun when upstream has a
// quarter, and the visitor keeps the last quarter back until it has ended.
const (
	uploadBytes = 200_000_000
	// uploadShort is for what 200 MB would only make longer. Its length is not
	// told: only its end says that it is whole.
	uploadShort = 40_000_000
)

// dropUpstream is the shared server. It reports the requests that it has seen.
type dropUpstream struct {
	address string
	begun   chan struct{}   // an upload has
	uploads chan seenUpload // one that has ended
	held    chan struct{}   // a request of /held has begun
	release chan struct{}   // one for each that shall end
	mux     http.ServeMux
}

// seenUpload is an upload as upstream has seen it.
type seenUpload struct {
	bytes int64
	sum   string
	err   error // nil: its end came, as an end
}

func newDropUpstream() *dropUpstream {
	u := &dropUpstream{
		begun: make(chan struct{}, 100), uploads: make(chan seenUpload, 100),
		held: make(chan struct{}, 1000), release: make(chan struct{}, 1000),
	}
	u.mux.HandleFunc("GET /get", u.get)
	u.mux.HandleFunc("POST /echo", u.echo)
	u.mux.HandleFunc("POST /upload", u.upload)
	u.mux.HandleFunc("GET /held", u.hold)
	u.mux.HandleFunc("GET /ws", echoMessages)
	return u
}

func (u *dropUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) { u.mux.ServeHTTP(w, r) }

// numbered is size bytes that no other number has.
func numbered(number, size int) []byte {
	line := fmt.Appendf(nil, "%d\n", number)
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

func (u *dropUpstream) get(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.FormValue("n"))
	size, _ := strconv.Atoi(r.FormValue("size"))
	_, _ = w.Write(numbered(number, size))
}

func (u *dropUpstream) echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

func (u *dropUpstream) upload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	size, _ := strconv.ParseInt(r.FormValue("size"), 10, 64)
	n, err := io.CopyN(sum, r.Body, size/4)
	if err == nil {
		u.begun <- struct{}{}
		var more int64
		more, err = io.Copy(sum, r.Body)
		n += more
	}
	seen := seenUpload{bytes: n, sum: fmt.Sprintf("%x", sum.Sum(nil)), err: err}
	u.uploads <- seen
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, seen.sum)
}

// hold begins an answer, and ends it when it is released.
func (u *dropUpstream) hold(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "begin")
	_ = http.NewResponseController(w).Flush()
	u.held <- struct{}{}
	select {
	case <-u.release:
		fmt.Fprintln(w, "end")
	case <-r.Context().Done():
	}
}

// heldBody is an upload whose end waits for letGo. Its bytes are drawn, so that
// none can replace another.
type heldBody struct {
	from *rand.ChaCha8
	size int64
	left int64
	sum  hash.Hash
	gone chan struct{}
	once sync.Once
}

func newHeldBody(seed int, size int64) *heldBody {
	return &heldBody{from: rand.NewChaCha8([32]byte{byte(seed)}), size: size, left: size, sum: sha256.New(), gone: make(chan struct{})}
}

func (b *heldBody) letGo() { b.once.Do(func() { close(b.gone) }) }

// Close implements io.Closer; an upload that has failed waits for nothing.
func (b *heldBody) Close() error {
	b.letGo()
	return nil
}

func (b *heldBody) Read(p []byte) (int, error) {
	if b.left <= b.size/4 {
		<-b.gone
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	n, err := b.from.Read(p)
	b.sum.Write(p[:n])
	b.left -= int64(n)
	return n, err
}
