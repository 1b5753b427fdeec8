package main

import (
	"io"
	"strings"
	"sync/atomic"

	"github.com/devproxy/devproxy/hcl"
)

// maskedWriter takes values of the environment out of what is written. Each
// Write is looked at by itself, as whole lines are written at once.
type maskedWriter struct {
	to   io.Writer
	mask *atomic.Pointer[hcl.Mask]
}

func (w maskedWriter) Write(p []byte) (int, error) {
	mask := w.mask.Load()
	text := string(p)
	if strings.HasPrefix(text, "{") {
		text = mask.JSON(text)
	} else {
		text = mask.Text(text)
	}
	if _, err := io.WriteString(w.to, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// masked are s with values of the environment taken out of all that is written.
func (s *streams) masked(mask *atomic.Pointer[hcl.Mask]) *streams {
	masked := *s
	masked.Out, masked.Err = maskedWriter{s.Out, mask}, maskedWriter{s.Err, mask}
	return &masked
}
