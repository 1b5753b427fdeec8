package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// errBrokenOff is the error of who reads an answer that has no end.
var errBrokenOff = errors.New("the answer that several visitors were waiting for broke off")

// spool is a body that is read, by any number of readers, while it comes.
type spool struct {
	mu     sync.Mutex
	pieces [][]byte
	size   int64
	over   bool
	err    error         // why it has no end
	more   chan struct{} // closed when there is more, or it is over
}

func newSpool() *spool { return &spool{more: make(chan struct{})} }

// pieceSize is how much lies in one piece at least, but for the last of a
// flush.
const pieceSize = 16 << 10

func (s *spool) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size += int64(len(p))
	// Small pieces are joined as long as nobody reads ahead of them: a piece is
	// never moved, only filled.
	if n := len(s.pieces); n > 0 {
		last := s.pieces[n-1]
		room := min(cap(last)-len(last), len(p))
		s.pieces[n-1] = append(last, p[:room]...)
		p = p[room:]
	}
	if len(p) > 0 {
		piece := make([]byte, len(p), max(len(p), min(pieceSize, 4*len(p))))
		copy(piece, p)
		s.pieces = append(s.pieces, piece)
	}
	s.tellLocked()
}

func (s *spool) tellLocked() {
	close(s.more)
	s.more = make(chan struct{})
}

// end says that all is there, or with an error that it never will be.
func (s *spool) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over, s.err = true, err
		s.tellLocked()
	}
}

func (s *spool) length() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

func (s *spool) whole() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over && s.err == nil
}

// reader reads what is there; of a whole spool it is an io.ReadSeeker.
type reader struct {
	*spool
	piece, at int   // in it
	offset    int64 // of all
}

// Read never waits: io.EOF means that there is no more now.
func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.piece < len(r.pieces) {
		piece := r.pieces[r.piece]
		if n := copy(p, piece[r.at:]); n > 0 || len(p) == 0 {
			r.at += n
			r.offset += int64(n)
			return n, nil
		}
		if r.piece == len(r.pieces)-1 {
			break // it may still be filled
		}
		r.piece, r.at = r.piece+1, 0
	}
	return 0, io.EOF
}

// Seek is io.Seeker's.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("a place before the beginning")
	}
	r.piece, r.at, r.offset = 0, 0, offset
	for left := offset; r.piece < len(r.pieces); r.piece++ {
		if n := int64(len(r.pieces[r.piece])); left >= n {
			left -= n
			continue
		}
		r.at = int(left)
		break
	}
	return offset, nil
}

// wait returns when there is more to read, and false when there never is.
func (r *reader) wait(ctx context.Context) (bool, error) {
	r.mu.Lock()
	more, over, err := r.more, r.over, r.err
	ready := r.offset < r.size
	r.mu.Unlock()
	switch {
	case ready:
		return true, nil
	case err != nil:
		return false, fmt.Errorf("%w: %w", errBrokenOff, err)
	case over:
		return false, nil
	}
	select {
	case <-more:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
