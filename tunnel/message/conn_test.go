package message

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// notHTTP is refused by the scanner wherever it looks.
const notHTTP = "\n\r\x00 not HTTP \r\n\r\n\n"

// TestWaitingHoldsLittle holds that bytes after a request for an upgrade stay
// with the system until it is answered, however many there are.
func TestWaitingHoldsLittle(t *testing.T) {
	early := strings.Repeat(notHTTP, 10_000)
	c := Scan(&cut{rest: upgradeHead + early, sizes: []byte{255}}, 0)
	head := make([]byte, 1<<20)
	if n, err := c.Read(head); err != nil || string(head[:n]) != upgradeHead {
		t.Fatalf("%q, %v: want the head alone", head[:n], err)
	}
	if n, err := c.Read(head[:1]); n > 0 || err != nil || cap(c.buf) > firstBuffer {
		t.Fatalf("%d bytes, %v, and %d are held", n, err, cap(c.buf))
	}
	ConnState(c, http.StateHijacked)
	if got, err := io.ReadAll(c); err != nil || string(got) != early {
		t.Errorf("%d bytes of %d, %v", len(got), len(early), err)
	}
}

// TestRefusedIsNobodyElse holds that a request under way is not taken for the
// refused one that was pipelined behind it.
func TestRefusedIsNobodyElse(t *testing.T) {
	c := &Conn{refusal: refuse(400, "9112 §3", "no")}
	r, err := http.NewRequestWithContext(ConnContext(t.Context(), c), "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Refused(nil, r); ok {
		t.Error("a GET was taken for a refused request")
	}
	r.Method = refusedMethod
	if _, ok := Refused(nil, r); !ok {
		t.Error("a refused request was not told")
	}
	if _, ok := Refused(nil, r.WithContext(t.Context())); ok {
		t.Error("a method alone is not a refusal")
	}
}
