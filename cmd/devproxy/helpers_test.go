package main

import (
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

// rootsOf returns the certificates in file.
func rootsOf(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(readText(t, file))) {
		t.Fatalf("%s holds no certificate", file)
	}
	return pool
}

// echoMessages sends back every message of a WebSocket until it ends.
func echoMessages(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, text, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, text) != nil {
			return
		}
	}
}

// roundTrip sends a request and reads the whole response.
func roundTrip(ctx context.Context, client *http.Client, method, url string, body io.Reader) (*http.Response, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, text, err
}
