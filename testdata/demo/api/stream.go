package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// events sends numbered events every ?every= milliseconds (200), ?count= of
// them (without end). A visitor that comes back with Last-Event-ID continues
// after it.
func (s *service) events(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	count := number(r, "count", 0, 1<<30)
	ticks := time.NewTicker(time.Duration(max(1, number(r, "every", 200, 60_000))) * time.Millisecond)
	defer ticks.Stop()

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flush := http.NewResponseController(w).Flush
	fmt.Fprint(w, "retry: 500\n\n")
	for sent := 0; flush() == nil; {
		if count > 0 && sent == count {
			return
		}
		select {
		case now := <-ticks.C:
			id++
			sent++
			fmt.Fprintf(w, "id: %d\ndata: {\"n\":%d,\"at\":%q}\n\n", id, id, now.UTC().Format(time.RFC3339Nano))
		case <-r.Context().Done():
			return
		case <-s.stopping.Done():
			return
		}
	}
}

// socket sends every message back. The library compares Origin with Host, which
// are the same behind devproxy.
func (s *service) socket(w http.ResponseWriter, r *http.Request) {
	s.sockets.Add(1)
	defer s.sockets.Done()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	// A read whose context ends drops the connection without a close frame.
	stop := context.AfterFunc(s.stopping, func() {
		conn.Close(websocket.StatusGoingAway, "the service stops")
	})
	defer stop()
	for {
		kind, message, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		if err := write(conn, kind, message); err != nil {
			return
		}
	}
}

// write gives a visitor that does not read ten seconds.
func write(conn *websocket.Conn, kind websocket.MessageType, message []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return conn.Write(ctx, kind, message)
}
