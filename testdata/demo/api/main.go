// Command api is the demo's Go service: JSON, an event stream, a WebSocket, a
// slow download, an echo and a login. It listens on 127.0.0.1:$PORT (3000) and
// knows nothing of TLS, CORS or the host it is reached by.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// grace is how long open requests may take once the service is told to stop.
const grace = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	fmt.Println("api listens on", listener.Addr())

	// Streams end when the service is told to stop; Shutdown waits for the
	// rest, but does not know of upgraded connections.
	s := &service{stopping: ctx}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err = server.Shutdown(closing)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	s.sockets.Wait()
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}

// service is the state that the handlers share.
type service struct {
	stopping context.Context // done when the service is told to stop
	sockets  sync.WaitGroup  // open WebSockets
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/hello", hello)
	mux.HandleFunc("GET /api/events", s.events)
	mux.HandleFunc("GET /api/ws", s.socket)
	mux.HandleFunc("GET /api/slow", slow)
	mux.HandleFunc("POST /api/echo", echo)
	mux.HandleFunc("/api/login", login)
	return mux
}
