package devproxy

import (
	"fmt"
	"testing"
)

// A page with many URLs that visitors can't reach takes no memory for each.
func TestAdviceIsBounded(t *testing.T) {
	x := &exchange{}
	for range 100 {
		x.tell("shop.localhost", []string{"the same"})
	}
	if len(x.advice) != 1 {
		t.Errorf("the same sentence is kept %d times", len(x.advice))
	}
	for n := range 10 * maxAdvice {
		x.tell("shop.localhost", []string{fmt.Sprint("sentence ", n)})
	}
	if len(x.advice) != maxAdvice {
		t.Errorf("%d sentences are kept, want %d", len(x.advice), maxAdvice)
	}
}
