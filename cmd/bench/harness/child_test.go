package harness

import (
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	var text tail
	for range 10 {
		text.Write([]byte(strings.Repeat("x", tailSize/2) + "end"))
	}
	if got := text.String(); len(got) != tailSize || !strings.HasSuffix(got, "xend") {
		t.Errorf("%d bytes kept, want the last %d", len(got), tailSize)
	}
}
