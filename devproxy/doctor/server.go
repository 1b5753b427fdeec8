package doctor

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/devproxy/devproxy/localca"
)

// server is what the clients connect to: on the loopback addresses, with HTTPS and with
// plain HTTP for the browser. It remembers what it was asked for.
type server struct {
	https, http string // ports
	temporary   string // the folder of a CA for this run; empty for none
	servers     []*http.Server
	group       sync.WaitGroup

	mu     sync.Mutex
	names  map[string]bool // host names of plain requests
	page   bool            // the page was asked for
	secure bool            // the page's address with HTTPS was asked for
	images []string        // host names that the page refers to
}

// serverHeaderTimeout bounds how long a client may take to send a request.
const serverHeaderTimeout = 10 * time.Second

// testServer returns the server; nil if this machine has no loopback network.
func (s *Subject) testServer() *server {
	s.serverOnce.Do(func() {
		sv := &server{names: map[string]bool{}}
		if err := sv.open(s); err == nil {
			s.server = sv
		} else {
			sv.close()
		}
	})
	return s.server
}

func (sv *server) open(s *Subject) error {
	ca, err := s.CA()
	if err != nil { // clients are still asked for names
		if sv.temporary, err = os.MkdirTemp("", "devproxy-doctor"); err != nil {
			return err
		}
		if ca, err = localca.Open(sv.temporary); err != nil {
			return err
		}
	}
	leaf, err := ca.Issue("localhost")
	if err != nil {
		return err
	}
	if sv.https, err = sv.serve(&tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12}, sv.answerHTTPS); err != nil {
		return err
	}
	sv.http, err = sv.serve(nil, sv.answerHTTP)
	return err
}

// serve listens on a free port of both loopback addresses; of one, if the machine does
// not have the other.
func (sv *server) serve(config *tls.Config, handler http.HandlerFunc) (port string, err error) {
	four, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port = strconv.Itoa(four.Addr().(*net.TCPAddr).Port)
	listeners := []net.Listener{four}
	if six, err := net.Listen("tcp6", "[::1]:"+port); err == nil {
		listeners = append(listeners, six)
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: serverHeaderTimeout,
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // a failed handshake is a result
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	sv.servers = append(sv.servers, srv)
	for _, ln := range listeners {
		if config != nil {
			ln = tls.NewListener(ln, config)
		}
		sv.group.Go(func() { _ = srv.Serve(ln) }) // ended by close
	}
	return port, nil
}

func (sv *server) close() {
	for _, srv := range sv.servers {
		srv.Close()
	}
	sv.group.Wait()
	if sv.temporary != "" {
		os.RemoveAll(sv.temporary)
	}
}

// browserPath is what the page refers to. Other clients ask for other paths.
const browserPath = "/browser"

func (sv *server) answerHTTPS(w http.ResponseWriter, r *http.Request) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	sv.secure = sv.secure || r.URL.Path == browserPath
	w.WriteHeader(http.StatusNoContent)
}

// answerHTTP sends the page that makes a browser ask for every name.
func (sv *server) answerHTTP(w http.ResponseWriter, r *http.Request) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil || r.URL.Path != "/" {
		w.WriteHeader(http.StatusNoContent)
		if r.URL.Path == browserPath {
			sv.names[host] = true
		}
		return
	}
	sv.page = true
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, "<!doctype html><title>devproxy doctor</title><img src=https://localhost:%s%s>", sv.https, browserPath)
	for _, name := range sv.images {
		fmt.Fprintf(w, "<img src=http://%s:%s%s>", name, sv.http, browserPath)
	}
}
