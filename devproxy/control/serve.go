package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/devproxy/journal"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

// Limits of the control server. Its clients are devproxy's own verbs on this machine,
// which send everything at once.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	maxHead      = 8 << 10
	maxBody      = 64 << 10
	// lastAnswer is how long an answer may take that was requested before the
	// end: the one to `down` among them.
	lastAnswer = time.Second
)

// Listen opens the instance's socket. Clients that connect from then on wait for
// Serve, which must be called afterwards. This process holds the folder's lock, so
// a socket that is already there is that of a dead process.
func (in *Instance) Listen() (err error) {
	in.ln, err = runtimedir.Listen(in.base + socketSuffix)
	return err
}

// Serve answers on the instance's socket until ctx ends, and removes it then. It
// opens the socket if Listen has not. Responses in progress end by themselves, those
// with the output when lasting is closed, which may be nil.
func (in *Instance) Serve(ctx context.Context, handler http.Handler, lasting <-chan struct{}) error {
	if in.ln == nil {
		if err := in.Listen(); err != nil {
			return err
		}
	}
	srv := &http.Server{
		Handler:        http.MaxBytesHandler(handler, maxBody),
		ReadTimeout:    in.readTimeout,
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
	shutDown(srv, lasting)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the control socket %s failed: %w", in.base+socketSuffix, err)
	}
	return nil
}

// shutDown closes the listener at once. It waits for responses in progress until
// lasting is closed, and for lastAnswer then.
func shutDown(srv *http.Server, lasting <-chan struct{}) {
	grace, cancel := context.WithCancel(context.Background())
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(grace) }()
	if lasting != nil {
		select {
		case err := <-down:
			if err != nil {
				srv.Close() // the listener could not be closed
			}
			return
		case <-lasting:
		}
	}
	timer := time.AfterFunc(lastAnswer, cancel)
	defer timer.Stop()
	if <-down != nil {
		srv.Close()
	}
}

// The verbs' paths on the control socket.
const (
	statusPath = "/status"
	downPath   = "/down"
	sharePath  = "/share"
	outputPath = "/output"
)

// protocol is the version of these paths and of Status. Each side sends its own
// in protocolField. Added fields do not change it: either side ignores unknown
// fields.
const (
	protocolField = "Devproxy-Control"
	protocol      = "1"
)

// Verbs are what Handler calls.
type Verbs struct {
	// Status returns the current state.
	Status func() Status
	// Down ends the instance; it returns at once.
	Down func()
	// Share carries out a request, and returns the share's state after it. An
	// error that is not a *ShareError comes without a fix.
	Share func(context.Context, ShareRequest) (Share, error)
	// Restart restarts a service; it returns at once.
	Restart func(service string) error
	// Output keeps the output of the instance; nil if nothing does.
	Output *journal.Journal
}

// Handler answers the verbs.
func Handler(v Verbs) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, v.Status())
	})
	mux.HandleFunc("POST "+downPath, func(w http.ResponseWriter, _ *http.Request) {
		v.Down()
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST "+sharePath, v.share)
	mux.HandleFunc("POST "+restartPath+"{service}", v.handleRestart)
	if v.Output != nil {
		mux.Handle("GET "+outputPath, &outputHandler{journal: v.Output})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(protocolField, protocol)
		mux.ServeHTTP(w, r)
	})
}

func (v Verbs) share(w http.ResponseWriter, r *http.Request) {
	var request ShareRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	state, err := v.Share(r.Context(), request)
	if err == nil {
		answer(w, http.StatusOK, state)
		return
	}
	refused, ok := errors.AsType[*ShareError](err)
	if !ok {
		refused = &ShareError{Text: err.Error()}
	}
	answer(w, http.StatusConflict, refused)
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // an error means that the client left
}
