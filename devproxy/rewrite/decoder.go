package rewrite

import (
	"errors"
	"io"
	"iter"

	"github.com/devproxy/devproxy/devproxy/coding"
)

const (
	// decodedPiece is how much is decoded at once, in bytes.
	decodedPiece = 32 << 10
	// maxFree is how much may be decoded whatever the ratio, and maxRatio how many
	// times its encoded size all of a longer body may have. A body above that was made
	// to cost its recipient time. gzip of one repeated byte has 1000; of real text 20 at
	// most.
	maxFree  = 8 << 20
	maxRatio = 200
)

var (
	// errBomb is the error of a body that grows too much when it is decoded.
	errBomb = errors.New("the response is much longer decoded than it is encoded")
	// errAfterEnd is the error of bytes after the end of encoded content.
	errAfterEnd = errors.New("bytes follow the end of the encoded response")
	// errGivenUp ends a decoder whose content is not wanted any more.
	errGivenUp = errors.New("given up")
)

// decoder decodes what is written to it. The libraries read, so they run in a
// coroutine: Write lets it run until it has used all that was written. No two run at
// once, and nothing runs between the calls. Stop ends it.
type decoder struct {
	resume func() (struct{}, bool)
	stop   func()

	pending []byte
	in, out int64
	eof     bool
	done    bool
	err     error
}

// newDecoder returns a decoder that writes to to.
func newDecoder(name string, to io.Writer) *decoder {
	d := &decoder{}
	d.resume, d.stop = iter.Pull(func(yield func(struct{}) bool) {
		d.err = coding.Decode(source{d, yield}, name, func(from io.Reader) error { return d.copy(to, from) })
		d.done = true
	})
	return d
}

// copy writes what is decoded.
func (d *decoder) copy(to io.Writer, from io.Reader) error {
	piece := make([]byte, decodedPiece)
	for {
		n, err := from.Read(piece)
		if d.out += int64(n); d.out > maxFree && d.out > maxRatio*d.in {
			return errBomb
		}
		if n > 0 {
			if _, err := to.Write(piece[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// source is what the decoder reads: what was written.
type source struct {
	*decoder
	yield func(struct{}) bool
}

func (s source) Read(p []byte) (int, error) {
	for len(s.pending) == 0 {
		if s.eof {
			return 0, io.EOF
		}
		if !s.yield(struct{}{}) {
			return 0, errGivenUp
		}
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// Write implements io.Writer. All of p was decoded when it returns.
func (d *decoder) Write(p []byte) (int, error) {
	if d.done && d.err == nil && len(p) > 0 {
		d.err = errAfterEnd
	}
	if d.done {
		return 0, d.err
	}
	d.in += int64(len(p))
	d.pending = p
	d.resume()
	if d.err != nil {
		return 0, d.err
	}
	d.pending = nil
	return len(p), nil
}

// Close decodes the end. It fails if the content is not complete.
func (d *decoder) Close() error {
	d.eof = true
	if !d.done {
		d.resume()
	}
	return d.err
}
