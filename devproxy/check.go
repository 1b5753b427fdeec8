package devproxy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// The limits of a check of the share.
const (
	// checkTime is how long a check may take: the probes are gone after it, also if
	// the program that checks was killed.
	checkTime = 2 * time.Minute
	// maxProbes is how many requests one check may make.
	maxProbes = 200
	// maxEcho bounds a message on the probes' WebSocket, in bytes.
	maxEcho = 1 << 10
	// streamPatience is how long the event stream waits before its second event.
	streamPatience = 5 * time.Second
)

// checkPaths is where devproxy answers the probes of `devproxy share --check`, for a
// visitor that has the token of the check. For all others, nothing is there.
const checkPaths = plan.OwnPaths + control.ProbePath

// shareCheck is the check of a share that is running, at most one at a time. Only
// the program that checks gets its token, over the control socket.
type shareCheck struct {
	mu     sync.Mutex
	token  [sha256.Size]byte // its hash
	until  time.Time         // zero without a check
	probes int               // that were answered
	next   chan struct{}     // closed when the event stream may continue
	once   *sync.Once        // closes next
}

// begin begins a check. It returns its token.
func (c *shareCheck) begin() (token string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) {
		return "", &control.ShareError{
			Text: "another check of this share is running", Fix: "devproxy share --check, when that has ended: it takes at most two minutes",
		}
	}
	token = rand.Text()
	c.token, c.until, c.probes = sha256.Sum256([]byte(token)), time.Now().Add(checkTime), 0
	c.next, c.once = make(chan struct{}), new(sync.Once)
	return token, nil
}

// end ends the check that has the token.
func (c *shareCheck) end(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isLocked(token) {
		c.until = time.Time{}
	}
}

// isLocked reports whether token is that of the check that is running. It takes the same
// time for all tokens.
func (c *shareCheck) isLocked(token string) bool {
	hash := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(hash[:], c.token[:]) == 1 && time.Now().Before(c.until)
}

// probe is a request of the check that is running.
type probe struct {
	until time.Time // when the check ends
	next  chan struct{}
	once  *sync.Once
}

// admit returns the probe for a request; false for a stranger's.
func (c *shareCheck) admit(r *http.Request) (probe, bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isLocked(token) || c.probes >= maxProbes {
		return probe{}, false
	}
	c.probes++
	return probe{c.until, c.next, c.once}, true
}

// serveProbe answers a request of the check that is running. It reports whether r is
// one. Probes come before the gate and the list of allowed addresses, since the token
// is known to the owner of the share alone; nothing of the project answers them.
func (x *exchange) serveProbe(r *http.Request) bool {
	name, ok := strings.CutPrefix(r.URL.Path, checkPaths)
	local := ""
	if ok && x.visit.over.Err() == nil {
		local = x.visit.share.Meant(r, x.visit.visitor)
	}
	if local == "" {
		return false
	}
	p, ok := x.server.check.admit(r)
	if !ok {
		return false
	}
	answer, ok := probes[r.Method+" "+name]
	if !ok {
		return false
	}
	x.own = true
	x.visit.publish(x, r)
	x.w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithDeadline(r.Context(), p.until)
	defer cancel()
	stop := context.AfterFunc(x.visit.streams, cancel) // a socket must not outlive the share
	defer stop()
	_ = http.NewResponseController(x.w).SetReadDeadline(p.until) // a stream has deadlines
	answer(p, x, r.WithContext(ctx), local)
	return true
}

// probes are the answers, by method and path.
var probes = map[string]func(p probe, x *exchange, r *http.Request, local string){
	"GET request":     probe.request,
	"GET redirect":    probe.redirect,
	"GET stream":      probe.stream,
	"POST next":       probe.release,
	"POST upload":     probe.upload,
	"GET cookie":      probe.cookie,
	"OPTIONS request": probe.preflight,
	"GET socket":      probe.socket,
}

// request says what arrived.
func (p probe) request(x *exchange, _ *http.Request, local string) {
	p.answer(x, control.Probe{Local: local, Public: x.visit.visitor.Host, Time: time.Now()})
}

// redirect leads to request by a local URL, as apps do.
func (p probe) redirect(x *exchange, _ *http.Request, local string) {
	x.w.Header().Set("Location", "https://"+local+checkPaths+"request")
	x.w.WriteHeader(http.StatusFound)
}

// stream sends an event, and another when the client says that the first has arrived.
func (p probe) stream(x *exchange, r *http.Request, _ string) {
	flush := http.NewResponseController(x.w)
	x.w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(x.w, "data: first\n\n") // the client sees what is missing
	_ = flush.Flush()
	patience := time.NewTimer(streamPatience)
	defer patience.Stop()
	second := "data: late\n\n"
	select {
	case <-p.next:
		second = "data: next\n\n"
	case <-patience.C:
	case <-r.Context().Done():
	}
	_, _ = io.WriteString(x.w, second)
}

// release lets the event stream continue.
func (p probe) release(x *exchange, _ *http.Request, local string) {
	p.once.Do(func() { close(p.next) })
	p.answer(x, control.Probe{Local: local})
}

// upload counts the body.
func (p probe) upload(x *exchange, r *http.Request, local string) {
	hash := sha256.New()
	n, err := io.Copy(hash, http.MaxBytesReader(x.w, r.Body, control.MaxProbeUpload))
	if err != nil {
		x.w.WriteHeader(http.StatusRequestEntityTooLarge) // or nobody reads this any more
		return
	}
	p.answer(x, control.Probe{Local: local, Bytes: n, SHA256: hex.EncodeToString(hash.Sum(nil))})
}

// probeCookie is the cookie of the probe.
const probeCookie = "devproxy-check"

// cookie says which cookie arrived, and sets another.
func (p probe) cookie(x *exchange, r *http.Request, local string) {
	came := ""
	if c, err := r.Cookie(probeCookie); err == nil {
		came = c.Value
	}
	set := rand.Text()
	http.SetCookie(x.w, &http.Cookie{
		Name: probeCookie, Value: set, Path: checkPaths, MaxAge: int(checkTime.Seconds()), Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	p.answer(x, control.Probe{Local: local, Cookie: came, SetCookie: set})
}

// preflight allows the local origin of the host, as apps do.
func (p probe) preflight(x *exchange, _ *http.Request, local string) {
	header := x.w.Header()
	header.Set("Access-Control-Allow-Origin", "https://"+local)
	header.Set("Access-Control-Allow-Methods", http.MethodPut)
	x.w.WriteHeader(http.StatusNoContent)
}

// socket sends one message back.
func (p probe) socket(x *exchange, r *http.Request, _ string) {
	conn, err := websocket.Accept(x.w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxEcho)
	kind, text, err := conn.Read(r.Context())
	if err == nil {
		err = conn.Write(r.Context(), kind, text)
	}
	if err == nil {
		_ = conn.Close(websocket.StatusNormalClosure, "") // the client has what it wanted
	}
}

func (p probe) answer(x *exchange, result control.Probe) {
	x.w.Header().Set("Content-Type", "application/json")
	x.w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(x.w).Encode(result) // an error means that the client left
}
