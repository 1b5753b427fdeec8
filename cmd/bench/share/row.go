package share

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// row is one line of the table: a load for a tunnel.
type row struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Requests int    `json:"requests"`
	Size     int    `json:"size"`    // of every response, in bytes
	Workers  int    `json:"workers"` // requests at once
	Kind     kind   `json:"kind"`
}

// kind is what happens during the requests.
type kind string

const (
	alone   kind = "alone"   // nothing
	during  kind = "during"  // a download, over and over
	stalled kind = "stalled" // visitors that have stopped reading
	game    kind = "game"    // a download; the requests are packets of a game
)

const (
	// downloadSize is that of the table's download.
	downloadSize = 10_000_000
	// stalledSize is more than all buffers on the way can hold.
	stalledSize = 256 << 20
	// stalledVisitors is how many of them there are in that row.
	stalledVisitors = 8
	// lead is how long a download runs before the requests, so that its start
	// has ended.
	lead = 500 * time.Millisecond
	// fillTime is how long the buffers of stalled visitors take to fill.
	fillTime = 2 * time.Second
	// requestTimeout is for the slowest: 10 MB at 0.1 MB/s.
	requestTimeout = 100 * time.Second
)

// allRows is the table.
func allRows() []row {
	return []row{
		{"small", "300 × 4 KB over 6", 300, 4 << 10, 6, alone},
		{"burst", "1000 × 1 KB over 64", 1000, 1 << 10, 64, alone},
		{"download", "one 10 MB download", 1, downloadSize, 1, alone},
		{"during", "4 KB while a download runs", 200, 4 << 10, 6, during},
		{"stalled", "3 × 10 MB, with 8 visitors that stopped reading", 3, downloadSize, 1, stalled},
		{"game", "60 UDP packets a second while a download runs", 300, packetSize, 1, game},
	}
}

// client makes exchanges through a tunnel.
type client interface {
	// get requests size bytes and reads them.
	get(ctx context.Context, size int) (int64, error)
	// stall requests size bytes, reads the first and then no more, until ctx
	// is done. It returns when the first has arrived.
	stall(ctx context.Context, size int) error
}

// run measures one row.
func (r row) run(ctx context.Context, c client) (result, error) {
	// A small one, so that the row starts with a known path and small windows.
	if _, err := timedGet(ctx, c, min(r.Size, 4<<10)); err != nil {
		return result{}, fmt.Errorf("row %s: the first request: %w", r.Name, err)
	}
	switch r.Kind {
	case during:
		return r.runDuring(ctx, c, r.load)
	case game:
		return r.runDuring(ctx, c, r.play)
	case stalled:
		return r.runStalled(ctx, c)
	}
	return r.load(ctx, c), nil
}

func timedGet(ctx context.Context, c client, size int) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	n, err := c.get(ctx, size)
	if err == nil && n != int64(size) {
		err = fmt.Errorf("a response of %d bytes instead of %d", n, size)
	}
	return n, err
}

// load makes the requests.
func (r row) load(ctx context.Context, c client) result {
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		m    = newMeter()
	)
	for range r.Workers {
		wg.Go(func() {
			for next.Add(1) <= int64(r.Requests) {
				start := time.Now()
				n, err := timedGet(ctx, c, r.Size)
				m.add(time.Since(start), n, err)
			}
		})
	}
	wg.Wait()
	return m.result(r.Name)
}

// play sends the packets of a game.
func (r row) play(ctx context.Context, c client) result {
	m := newMeter()
	p, ok := c.(player)
	if !ok {
		m.add(0, 0, errors.New("it carries no UDP"))
	} else if err := p.play(ctx, r.Requests, r.Size, m); err != nil {
		m.add(0, 0, err)
	}
	return m.result(r.Name)
}

// runDuring keeps a download running during the requests.
func (r row) runDuring(ctx context.Context, c client, load func(context.Context, client) result) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg     sync.WaitGroup
		bytes  atomic.Int64
		failed error
	)
	start := time.Now()
	wg.Go(func() {
		for ctx.Err() == nil {
			n, err := timedGet(ctx, c, downloadSize)
			bytes.Add(n)
			if err != nil && ctx.Err() == nil {
				failed = err
				return
			}
		}
	})
	time.Sleep(lead)
	res := load(ctx, c)
	took := time.Since(start)
	cancel()
	wg.Wait()
	res.DownloadMBs = megabytes(bytes.Load(), took)
	if failed != nil {
		res.Errors[fmt.Sprintf("the download: %v", failed)]++
	}
	return res, nil
}

// runStalled compares a download with the same one alone: with the second one, since the
// first is slowed by windows that are still small.
func (r row) runStalled(ctx context.Context, c client) (result, error) {
	r.load(ctx, c)
	before := r.load(ctx, c)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range stalledVisitors {
		if err := c.stall(ctx, stalledSize); err != nil {
			return result{}, fmt.Errorf("row %s: a visitor that stops reading: %w", r.Name, err)
		}
	}
	time.Sleep(fillTime)
	res := r.load(ctx, c)
	if before.MBs > 0 {
		res.Ratio = res.MBs / before.MBs
	}
	return res, nil
}
