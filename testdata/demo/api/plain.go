package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// hello says how the request looked from here.
func hello(w http.ResponseWriter, r *http.Request) {
	visitor := "stranger"
	if cookie, err := r.Cookie("visitor"); err == nil {
		visitor = cookie.Value
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"message": "Hello, " + visitor,
		"host":    r.Host,
		"proto":   r.Header.Get("X-Forwarded-Proto"),
		"for":     r.Header.Get("X-Forwarded-For"),
		"via":     r.Proto,
	})
}

// echo sends the body back while it comes in.
func echo(w http.ResponseWriter, r *http.Request) {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	// Without it the server reads all of the body before it answers.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// A visitor that no longer exists needs no answer.
	_, _ = io.Copy(w, r.Body)
}

// login sets a cookie and sends the visitor home.
func login(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("name")
	if name == "" {
		name = "Ada"
	}
	http.SetCookie(w, &http.Cookie{Name: "visitor", Value: name, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// slow sends ?bytes= (64 KiB) over ?ms= (2000), evenly, in 50 pieces.
func slow(w http.ResponseWriter, r *http.Request) {
	const pieces = 50
	total := number(r, "bytes", 64<<10, 1<<30)
	pause := time.Duration(number(r, "ms", 2000, 600_000)) * time.Millisecond / pieces
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(total))
	flush := http.NewResponseController(w).Flush
	for i := range pieces {
		// The rounding of one piece is made up for by the next.
		piece := total*(i+1)/pieces - total*i/pieces
		if _, err := io.CopyN(w, letters{}, int64(piece)); err != nil || flush() != nil {
			return
		}
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
	}
}

// letters is an endless row of one letter.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// number is the query parameter name, fallback when it is missing or not
// between 0 and limit.
func number(r *http.Request, name string, fallback, limit int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 || n > limit {
		return fallback
	}
	return n
}
