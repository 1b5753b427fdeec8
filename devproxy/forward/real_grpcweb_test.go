package forward

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"testing"
)

// grpcWebFrame is a message of gRPC-web; flag 0x80 makes it the trailers.
func grpcWebFrame(flag byte, message string) []byte {
	return append([]byte{flag, 0, 0, 0, byte(len(message))}, message...)
}

// gRPC-web is plain HTTP whose trailers are in the body: it passes byte for
// byte, each message as it comes, and CORS is the upstream's or the route's.
func TestRealGRPCWebPassesUnchanged(t *testing.T) {
	frames := [][]byte{grpcWebFrame(0, "\n\x05hello"), grpcWebFrame(0, "\x00\xff\x80\r\n"), grpcWebFrame(0x80, "grpc-status: 0\r\ngrpc-message: \r\n")}
	for kind, encode := range map[string]func([]byte) []byte{
		"application/grpc-web+proto":      func(b []byte) []byte { return b },
		"application/grpc-web-text+proto": func(b []byte) []byte { return base64.StdEncoding.AppendEncode(nil, b) },
	} {
		for _, visitor := range visitorModes {
			t.Run(visitor+" "+kind, func(t *testing.T) {
				next := make(chan bool)
				p := newProxy(t, visitor, Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil || !bytes.Equal(body, encode(frames[0])) || r.Header.Get("Content-Type") != kind || r.Header.Get("X-Grpc-Web") != "1" {
						t.Errorf("%q arrived with %v, %v", body, r.Header, err)
					}
					w.Header().Set("Content-Type", kind)
					w.Header().Set("Access-Control-Allow-Origin", "https://web.localhost")
					w.Header().Set("Access-Control-Expose-Headers", "grpc-status,grpc-message")
					for _, frame := range frames {
						_, _ = w.Write(encode(frame))
						_ = http.NewResponseController(w).Flush()
						<-next
					}
				})))
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/test.Echo/Say", bytes.NewReader(encode(frames[0])))
				for name, value := range map[string]string{"Content-Type": kind, "X-Grpc-Web": "1", "Origin": "https://web.localhost"} {
					req.Header.Set(name, value)
				}
				res, err := p.client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				for i, frame := range frames {
					want := encode(frame)
					got := make([]byte, len(want))
					if _, err := io.ReadFull(res.Body, got); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("frame %d arrived as %q, %v", i, got, err)
					}
					next <- true
				}
				if res.Header.Get("Access-Control-Allow-Origin") != "https://web.localhost" || res.Header.Get("Content-Type") != kind {
					t.Errorf("the header is %v", res.Header)
				}
			})
		}
	}
}
