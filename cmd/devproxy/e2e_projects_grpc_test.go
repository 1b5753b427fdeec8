//go:build e2e && unix

package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// startGRPC answers every method with the message it got.
func startGRPC(t *testing.T) (server *grpc.Server, port int) {
	t.Helper()
	server = grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		message := new(wrapperspb.StringValue)
		for {
			if err := stream.RecvMsg(message); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		}
	}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return server, ln.Addr().(*net.TCPAddr).Port
}

func TestE2EProjectGRPCWeb(t *testing.T) {
	server, port := startGRPC(t)
	translator := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	})
	p := startProject(t, "grpc-web", "chat.localhost", map[int]http.Handler{5173: named("vite"), 8081: translator},
		"50051", fmt.Sprint(port), `timeout  = "0s"`, "timeout = \"0s\"\n    hold = \"0s\"")
	p.wants(map[string]string{"GET /": "200 vite GET /"})

	const method = "/chat.v1.Chat/Send"
	frame := "\x00\x00\x00\x00\x02\x0a\x00\x80\x00\x00\x00\x0fgrpc-status: 0\n"
	for _, protocol := range []string{"h1", "h2"} {
		a := p.ask(p.client(protocol), "POST "+method, bytes.NewReader([]byte(frame)), "Content-Type", "application/grpc-web+proto", "Origin", "http://localhost:6006")
		if a.body != frame || a.Header.Get("Access-Control-Allow-Origin") != "http://localhost:6006" {
			t.Errorf("%s: gRPC-Web: %s %q %v", protocol, a.Status, a.body, a.Header)
		}
	}
	p.origins("GET "+method, map[string]bool{"http://localhost:6006": true, "http://localhost:6007": false, "https://evil.example": false})
	preflight := p.ask(p.client("h2"), "OPTIONS "+method, nil, "Origin", "http://localhost:6006", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "content-type,x-grpc-web,x-user-agent,grpc-timeout")
	if allowed := strings.ToLower(preflight.Header.Get("Access-Control-Allow-Headers")); preflight.StatusCode > 299 || !strings.Contains(allowed, "x-grpc-web") ||
		!strings.Contains(allowed, "grpc-timeout") || !strings.Contains(preflight.Header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("the preflight: %s %v", preflight.Status, preflight.Header)
	}

	conn, err := grpc.NewClient("passthrough:///"+p.addr.String(), grpc.WithAuthority("chat.localhost"),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: p.roots, ServerName: "chat.localhost"})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got := new(wrapperspb.StringValue)
	if err := conn.Invoke(t.Context(), method, wrapperspb.String("hello"), got); err != nil || got.Value != "hello" {
		t.Errorf("gRPC: %q %v", got.Value, err)
	}
	server.Stop()
	err = conn.Invoke(t.Context(), method, wrapperspb.String("hello"), got)
	if s := grpcstatus.Convert(err); s.Code() != codes.Unavailable || !strings.Contains(s.Message(), fmt.Sprint(port)) || strings.Contains(s.Message(), "content-type") {
		t.Errorf("with the server away: %v %q", s.Code(), s.Message())
	}
}
