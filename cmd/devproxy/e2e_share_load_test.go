//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// stalledOfEach visitors stop reading, and as many stop sending.
	stalledOfEach = 8
	// stalledBytes are more than all buffers on the way hold: a stream's credit
	// of 8 MB, HTTP/2's window of 4 MB and two sockets.
	stalledBytes = 32 << 20
	// haltedBytes are those of a visitor who stops sending half-way.
	haltedBytes = 1 << 20
	// ninthBytes are what the one next to them gets and sends.
	ninthBytes = 4 << 20
	// slower is how many times slower that one may be for it: more than a busy
	// machine explains, less than a shared window costs.
	slower = 10
	// crowd are the visitors at once.
	crowd = 500
)

// pieces is a body of this many pieces, sent as the server reads it.
type pieces struct {
	piece []byte
	count int
	moved atomic.Int64 // bytes, of all requests
	ended atomic.Int64 // requests
	begin chan struct{}
}

func newPieces(size int) *pieces {
	piece := numbered(1, 64<<10)
	return &pieces{piece: piece, count: size / len(piece), begin: make(chan struct{})}
}

// download sends it.
func (p *pieces) download(w http.ResponseWriter, _ *http.Request) {
	defer p.ended.Add(1)
	for range p.count {
		n, err := w.Write(p.piece)
		if p.moved.Add(int64(n)); err != nil {
			return
		}
	}
}

// upload takes nothing before begin is closed, and then says whether it was
// what numbered makes.
func (p *pieces) upload(w http.ResponseWriter, r *http.Request) {
	defer p.ended.Add(1)
	select {
	case <-p.begin:
	case <-r.Context().Done():
		return
	}
	fmt.Fprint(w, p.compare(r.Body))
}

func (p *pieces) compare(body io.Reader) string {
	got := make([]byte, len(p.piece))
	for i := range p.count {
		if _, err := io.ReadFull(body, got); err != nil || !bytes.Equal(got, p.piece) {
			return fmt.Sprintf("piece %d: %v", i, err)
		}
	}
	if n, err := io.Copy(io.Discard, body); n > 0 || err != nil {
		return fmt.Sprintf("%d bytes too many, %v", n, err)
	}
	return "right"
}

// TestE2EShareStalled: eight visitors stop reading, eight stop sending, and
// eight send what the app does not take. A ninth gets and sends as if it were
// alone; over HTTP/2 on the same connection. Then the others go on where they
// were.
func TestE2EShareStalled(t *testing.T) {
	n := newDropNet(t, 0)
	for _, protocol := range []string{"h1", "h2"} {
		for _, kind := range []string{"read", "send", "taken"} {
			t.Run(protocol+"/"+kind, func(t *testing.T) {
				p := newPieces(stalledBytes)
				if kind == "send" { // which fills no buffer
					p = newPieces(haltedBytes)
					close(p.begin)
				}
				path := "/" + protocol + kind
				n.upstream.mux.HandleFunc("GET "+path, p.download)
				n.upstream.mux.HandleFunc("POST "+path, p.upload)
				s := &stalled{dropNet: n, t: t, pieces: p, client: n.client(protocol), url: n.url + path}
				defer s.cancelAll()
				s.run(kind)
			})
		}
	}
}

// stalled are eight visitors of a kind.
type stalled struct {
	*dropNet
	t       *testing.T
	pieces  *pieces
	client  *http.Client
	url     string
	cancel  []func()
	sent    atomic.Int64 // bytes that the client has taken for sending
	resumed chan struct{}
	answers []chan error
}

func (s *stalled) cancelAll() {
	for _, cancel := range s.cancel {
		cancel()
	}
}

func (s *stalled) run(kind string) {
	alone := s.ninth("alone")
	s.resumed = make(chan struct{})
	for range stalledOfEach {
		s.stall(kind)
	}
	s.waitQuiet()
	next := s.ninth("next to eight that do not " + kind)
	if s.pieces.ended.Load() > 0 {
		s.t.Fatal("a stalled request has ended: nothing is proved")
	}
	s.t.Logf("%s: %v alone, %v next to %d stalled; ratio %.2f", kind, alone.Round(time.Millisecond), next.Round(time.Millisecond),
		stalledOfEach, next.Seconds()/alone.Seconds())
	if next > slower*alone {
		s.t.Errorf("the ninth takes %v, %v alone", next, alone)
	}
	s.goOn(kind)
}

// stall begins one request, which comes to a stop.
func (s *stalled) stall(kind string) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = append(s.cancel, cancel)
	answer := make(chan error, 1)
	s.answers = append(s.answers, answer)
	if kind == "read" {
		slow := time.AfterFunc(patience, cancel)
		response, err := s.request(ctx, http.MethodGet, nil)
		if err != nil || !slow.Stop() {
			s.t.Fatal(err)
		}
		go func() {
			defer response.Body.Close()
			<-s.resumed
			answer <- asError(s.pieces.compare(response.Body))
		}()
		return
	}
	body := &stallingBody{stalled: s, left: s.pieces.count * len(s.pieces.piece), stopAt: -1, gone: ctx.Done()}
	if kind == "send" {
		body.stopAt = body.left / 2
	}
	go func() {
		response, err := s.request(ctx, http.MethodPost, body)
		if err != nil {
			answer <- err
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		answer <- asError(string(text))
	}()
}

func asError(text string) error {
	if text == "right" {
		return nil
	}
	return fmt.Errorf("%q", text)
}

func (s *stalled) request(ctx context.Context, method string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url, body)
	if err != nil {
		return nil, err
	}
	return s.client.Do(request)
}

// stallingBody is what pieces compares with, and stops when stopAt is left,
// until the others go on.
type stallingBody struct {
	stalled      *stalled
	left, stopAt int
	gone         <-chan struct{}
}

func (b *stallingBody) Read(p []byte) (int, error) {
	if b.left == b.stopAt {
		select {
		case <-b.stalled.resumed:
		case <-b.gone:
			return 0, io.ErrUnexpectedEOF
		}
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	whole := b.stalled.pieces.piece
	at := (len(whole) - b.left%len(whole)) % len(whole)
	end := min(len(whole), at+b.left-max(b.stopAt, 0))
	if b.left <= b.stopAt {
		end = min(len(whole), at+b.left)
	}
	n := copy(p, whole[at:end])
	b.left -= n
	b.stalled.sent.Add(int64(n))
	return n, nil
}

// waitQuiet returns when nothing of the stalled ones has moved for a while, which
// is measured in requests of another visitor.
func (s *stalled) waitQuiet() {
	s.t.Helper()
	other := s.dropNet.client("h1")
	last, still := int64(-1), 0
	for start := time.Now(); still < 10; still++ {
		if err := s.ask(other, http.MethodPost, still); err != nil {
			s.t.Fatal(err)
		}
		if now := s.pieces.moved.Load() + s.sent.Load(); now != last {
			last, still = now, 0
		}
		if time.Since(start) > 2*patience {
			s.t.Fatalf("%d bytes, and still more", last)
		}
	}
}

// ninth moves bytes both ways, compares them, and says how long that took.
func (s *stalled) ninth(when string) time.Duration {
	s.t.Helper()
	want := numbered(9, ninthBytes)
	start := time.Now()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if err := s.move(method, want); err != nil {
			s.t.Fatalf("%s, %s: %v", when, method, err)
		}
	}
	return time.Since(start)
}

func (s *stalled) move(method string, want []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	url, body := s.dropNet.url+"/get?n=9&size="+strconv.Itoa(len(want)), io.Reader(nil)
	if method == http.MethodPost {
		url, body = s.dropNet.url+"/echo", bytes.NewReader(want)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s, %d bytes that are others", response.Status, len(got))
	}
	return err
}

// goOn lets the stalled ones end; of those with much left two, since more would
// only take longer.
func (s *stalled) goOn(kind string) {
	s.t.Helper()
	ending := s.answers
	if kind != "send" {
		ending = s.answers[:2]
		for _, cancel := range s.cancel[2:] {
			cancel()
		}
		close(s.pieces.begin)
	}
	close(s.resumed)
	for i, answer := range ending {
		select {
		case err := <-answer:
			if err != nil {
				s.t.Errorf("stalled visitor %d went on: %v", i, err)
			}
		case <-time.After(2 * patience):
			s.t.Fatalf("stalled visitor %d does not go on", i)
		}
	}
}

// TestE2EShareCrowd has 500 visitors wait for each other in the app, each on
// its own connection.
func TestE2EShareCrowd(t *testing.T) {
	n := newDropNet(t, 0)
	var arrived atomic.Int64
	all := make(chan struct{})
	n.upstream.mux.HandleFunc("POST /crowd", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if arrived.Add(1) == crowd {
			close(all)
		}
		select {
		case <-all:
			_, _ = w.Write(body)
		case <-r.Context().Done():
		}
	})
	var group sync.WaitGroup
	start := time.Now()
	for number := range crowd {
		client := n.client([]string{"h1", "h2"}[number%2])
		group.Go(func() {
			if err := n.join(client, number); err != nil {
				t.Errorf("visitor %d, when %d had arrived: %v", number, arrived.Load(), err)
			}
		})
	}
	group.Wait()
	t.Logf("%d visitors at once: %v", crowd, time.Since(start).Round(time.Millisecond))
}

func (n *dropNet) join(client *http.Client, number int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	want := numbered(number, visitorBytes)
	response, got, err := roundTrip(ctx, client, http.MethodPost, n.url+"/crowd", bytes.NewReader(want))
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s: %.100q", response.Status, got)
	}
	return err
}
