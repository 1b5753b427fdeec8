package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestPeekLosesNothing: what was looked at is read once, by the first read that
// has room for it.
func TestPeekLosesNothing(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.WriteString(ours, "abc")
		ours.Close()
	}()
	o := &opened{Conn: theirs}
	if first, err := o.peek(t.Context()); first != 'a' || err != nil {
		t.Fatalf("%q, %v", first, err)
	}
	if n, err := o.Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
	if text, err := io.ReadAll(o); string(text) != "abc" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestPeekEnds with the connection, or with the context and for its reason.
func TestPeekEnds(t *testing.T) {
	ours, theirs := net.Pipe()
	ours.Close()
	if _, err := (&opened{Conn: theirs}).peek(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("a client that leaves: %v", err)
	}
	_, theirs = net.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := (&opened{Conn: theirs}).peek(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a client that sends nothing: %v", err)
	}
}
