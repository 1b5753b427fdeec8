package control

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Service is a service whose command the instance runs. Its JSON is stable: fields are
// added, never changed.
type Service struct {
	Name string `json:"name"`
	// State is "waiting" for other services, "starting", "ready", "ending", "failed" or
	// "stopped".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	PID   int       `json:"pid,omitempty"`  // of the command
	Port  uint16    `json:"port,omitempty"` // where it listens
	// WaitsFor are the services that it waits for.
	WaitsFor []string   `json:"waits_for,omitempty"`
	Late     string     `json:"late,omitempty"`     // why it is not ready yet, when that takes long
	Exit     string     `json:"exit,omitempty"`     // how it ended: "exited with status 1"
	Failures int        `json:"failures,omitempty"` // in a row
	Next     *time.Time `json:"next,omitempty"`     // when it starts again
}

// restartPath is followed by the name of a service.
const restartPath = "/restart/"

// Restart stops a service of the instance and starts it again. It returns at once.
func (c *Client) Restart(ctx context.Context, service string) error {
	status, body, err := c.send(ctx, http.MethodPost, restartPath+url.PathEscape(service), http.NoBody)
	switch {
	case err != nil:
		return err
	case status == http.StatusAccepted:
		return nil
	case status == http.StatusConflict:
		var reason string
		if err := c.decode(body, &reason); err != nil {
			return err
		}
		return errors.New(reason)
	case status == http.StatusNotFound:
		return errors.New(c.name() + " is an older version that runs no services")
	}
	return c.statusError(status, restartPath)
}

// handleRestart answers a Restart.
func (v Verbs) handleRestart(w http.ResponseWriter, r *http.Request) {
	if err := v.Restart(r.PathValue("service")); err != nil {
		answer(w, http.StatusConflict, err.Error())
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
