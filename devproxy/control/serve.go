package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// Limits of the control server. Its clients are our own verbs on this machine,
// which say all they have to say at once.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	maxHead      = 8 << 10
	maxBody      = 64 << 10
	// lastAnswer is how long an answer may take that was asked for before the
	// end: the one to `down` among them.
	lastAnswer = time.Second
)

// Listen opens the instance's socket. Clients that connect from then on wait for
// Serve, which must be called afterwards.
func (in *Instance) Listen() (err error) {
	in.ln, err = in.listen()
	return err
}

// Serve answers on the instance's socket until ctx ends, and removes it then. It
// opens the socket if Listen has not.
func (in *Instance) Serve(ctx context.Context, handler http.Handler) error {
	if in.ln == nil {
		if err := in.Listen(); err != nil {
			return err
		}
	}
	srv := &http.Server{
		Handler:        http.MaxBytesHandler(handler, maxBody),
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		MaxHeaderBytes: maxHead,
		ErrorLog:       slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(in.ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("the control socket %s failed: %w", in.base+socketSuffix, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastAnswer)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the control socket %s failed: %w", in.base+socketSuffix, err)
	}
	return nil
}

// listen makes a socket that only this user may connect to. The folder around
// it is private too, so there is no moment in which it is open to all.
func (in *Instance) listen() (net.Listener, error) {
	path := in.base + socketSuffix
	// We hold the lock, so a socket that lies here is a dead process's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot replace the control socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("cannot make the control socket private: %w", errors.Join(err, ln.Close()))
	}
	return ownListener{ln}, nil
}

// ownListener accepts connections of this user only, should folder and mode
// ever be opened by somebody's script.
type ownListener struct{ net.Listener }

func (l ownListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if ownPeer(conn) {
			return conn, nil
		}
		conn.Close()
	}
}
