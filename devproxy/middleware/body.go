package middleware

import (
	"io"
	"net/http"
)

// limitBody lets bodies of up to limit bytes pass: at once by their declared
// length, else as they come.
func limitBody(limit int64, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.ContentLength > limit {
			return &TooLargeError{limit}
		}
		if r.ContentLength >= 0 {
			return next(w, r) // net/http reads no more than was declared
		}
		in := r.WithContext(r.Context())
		in.Body = &limitedBody{r.Body, limit, limit}
		return next(w, in)
	}
}

// limitedBody fails where it is longer than limit.
type limitedBody struct {
	io.ReadCloser
	limit, left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &TooLargeError{b.limit}
	}
	p = p[:min(int64(len(p)), b.left+1)] // one more, to see whether there is more
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, &TooLargeError{b.limit}
	}
	return n, err
}
