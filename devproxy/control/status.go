package control

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Status is what a running instance says of itself. Its JSON is stable: fields
// are added, never changed.
type Status struct {
	Folder     string    `json:"folder"`
	PID        int       `json:"pid"`
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	Generation uint64    `json:"generation"`
	URLs       []string  `json:"urls"`
	HTTPS      string    `json:"https"`    // "127.0.0.1:8443"
	HTTP       *string   `json:"http"`     // null without plain HTTP
	Hosts      []Host    `json:"hosts"`    // in the order of the file
	Streams    int       `json:"streams"`  // open upgraded connections and event streams
	Rejected   *Rejected `json:"rejected"` // null when the last save was applied
	// Share is null while nothing was shared.
	Share *Share `json:"share"`
}

// Host is a served host.
type Host struct {
	Name   string  `json:"name"`
	URL    string  `json:"url"`
	File   string  `json:"file"`
	Line   int     `json:"line"`
	Routes []Route `json:"routes"`
}

// Route is a served route.
type Route struct {
	Path     string `json:"path"`
	Upstream string `json:"upstream"` // the answer: ":5173", "files docs", "respond 204"
	// State is "up", "waiting", "ill" when every member is or, for what needs no
	// upstream, "ready".
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"` // why it waits
	// Hints name processes of the project that listen on other ports, and two that
	// share this one.
	Hints []string `json:"hints,omitempty"`
	// Members are those of an upstream with several or with health, the fallback
	// members last.
	Members []Member `json:"members,omitempty"`
}

// Member is one address of an upstream.
type Member struct {
	Upstream string `json:"upstream"` // ":3001"
	// State is "up", "waiting", "ill" or, before anybody has asked, "unknown".
	State    string `json:"state"`
	Detail   string `json:"detail,omitempty"` // why it waits or is ill
	Active   int    `json:"active"`           // exchanges under way
	Fallback bool   `json:"fallback,omitempty"`
}

// Rejected is a save that changed nothing.
type Rejected struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"` // what kept the file from being read
	// Diagnostics is the array that "rejected" carries in `devproxy up --json`.
	Diagnostics json.RawMessage `json:"diagnostics"`
}

// The verbs' paths on the control socket.
const (
	statusPath = "/status"
	downPath   = "/down"
	sharePath  = "/share"
)

// protocol is the version of these paths and of Status. Both sides say theirs
// in protocolField. Fields that are added do not change it: what one side does
// not know it ignores.
const (
	protocolField = "Devproxy-Control"
	protocol      = "1"
)

// Verbs are what Handler asks of the instance.
type Verbs struct {
	// Status tells what is served.
	Status func() Status
	// Down asks the instance to end; it returns at once.
	Down func()
	// Share does what a request asks of the share, and tells how it stands
	// then. An error that is no *ShareError has nothing to suggest.
	Share func(context.Context, ShareRequest) (Share, error)
}

// Handler answers the verbs.
func Handler(v Verbs) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v.Status()) // the client left: nobody to tell
	})
	mux.HandleFunc("POST "+downPath, func(w http.ResponseWriter, _ *http.Request) {
		v.Down()
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST "+sharePath, v.answerShare)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(protocolField, protocol)
		mux.ServeHTTP(w, r)
	})
}
