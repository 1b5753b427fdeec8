package share

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeClient takes a millisecond for each KB, and twice that while anybody is
// stalled.
type fakeClient struct {
	under, most, stalled, gets atomic.Int64
	fail                       func(n int64) error

	mu    sync.Mutex
	sizes []int
}

func (f *fakeClient) get(ctx context.Context, size int) (int64, error) {
	n := f.gets.Add(1)
	f.mu.Lock()
	f.sizes = append(f.sizes, size)
	f.most.Store(max(f.most.Load(), f.under.Add(1)))
	f.mu.Unlock()
	defer f.under.Add(-1)
	if f.fail != nil {
		if err := f.fail(n); err != nil {
			return 0, err
		}
	}
	wait := time.Duration(size) * time.Millisecond / 1024
	if f.stalled.Load() > 0 {
		wait *= 2
	}
	select {
	case <-time.After(wait):
		return int64(size), nil
	case <-ctx.Done():
		return int64(size) / 2, ctx.Err()
	}
}

func (f *fakeClient) stall(ctx context.Context, _ int) error {
	f.stalled.Add(1)
	context.AfterFunc(ctx, func() { f.stalled.Add(-1) })
	return nil
}

func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fakeClient
		res, err := row{"r", "", 40, 4 << 10, 4, alone}.run(t.Context(), &f)
		if err != nil {
			t.Fatal(err)
		}
		if res.OK != 40 || res.Total != 40 || res.P50 != 4 || res.Max != 4 || len(res.Errors) > 0 {
			t.Errorf("%+v, want 40 of 4 ms each, 4 at once", res)
		}
		if f.most.Load() != 4 {
			t.Errorf("%d at once, want 4", f.most.Load())
		}
	})
}

// TestDuring: a download runs before and during the requests, and its end is
// neither an error nor waited for.
func TestDuring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fakeClient
		res, err := row{"r", "", 20, 4 << 10, 2, during}.run(t.Context(), &f)
		if err != nil {
			t.Fatal(err)
		}
		if res.OK != 20 || res.Total != 40 || len(res.Errors) > 0 || res.DownloadMBs <= 0 {
			t.Errorf("%+v", res)
		}
		if !slices.Contains(f.sizes, downloadSize) || f.most.Load() != 3 {
			t.Errorf("sizes %v, %d at once", f.sizes[:3], f.most.Load())
		}
	})
}

func TestBrokenDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakeClient{fail: func(n int64) error {
			if n == 2 {
				return errors.New("cut off")
			}
			return nil
		}}
		res, err := row{"r", "", 20, 4 << 10, 2, during}.run(t.Context(), &f)
		if err != nil || res.Errors["the download: cut off"] != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fakeClient
		res, err := row{"r", "", 3, 1 << 20, 1, stalled}.run(t.Context(), &f)
		if err != nil {
			t.Fatal(err)
		}
		if res.Ratio != 0.5 {
			t.Errorf("ratio %v, want 0.5", res.Ratio)
		}
		synctest.Wait()
		if f.stalled.Load() != 0 {
			t.Errorf("%d visitors are still stalled", f.stalled.Load())
		}
	})
}

// fakePlayer loses every second packet.
type fakePlayer struct{ fakeClient }

func (f *fakePlayer) play(_ context.Context, packets, size int, m *meter) error {
	for i := range packets {
		time.Sleep(packetEvery)
		if i%2 == 1 {
			m.add(0, 0, errLost)
		} else {
			m.add(3*time.Millisecond, int64(size), nil)
		}
	}
	return nil
}

// TestGame: packets are sent while a download runs, and lost ones are counted.
func TestGame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fakePlayer
		res, err := row{"r", "", 60, packetSize, 1, game}.run(t.Context(), &f)
		if err != nil || res.OK != 30 || res.Errors[errLost.Error()] != 30 || res.P95 != 3 || res.DownloadMBs <= 0 || !slices.Contains(f.sizes, downloadSize) {
			t.Errorf("%+v, %v", res, err)
		}
		var none fakeClient
		if res, err := (row{"r", "", 60, packetSize, 1, game}).run(t.Context(), &none); err != nil || res.Errors["it carries no UDP"] != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// TestFailures: failed and truncated responses are counted and reported.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fakeClient{fail: func(n int64) error {
			if n%2 == 0 {
				return errors.New("no")
			}
			return nil
		}}
		res, err := row{"r", "", 10, 4 << 10, 1, alone}.run(t.Context(), &f)
		if err != nil || res.OK != 5 || res.Errors["no"] != 5 {
			t.Errorf("%+v, %v", res, err)
		}
		broken := fakeClient{fail: func(int64) error { return errors.New("no") }}
		if _, err := (row{"r", "", 10, 4 << 10, 1, alone}).run(t.Context(), &broken); err == nil {
			t.Error("a first request that fails is accepted")
		}
		if _, err := timedGet(t.Context(), short{}, 10); err == nil || err.Error() != "a response of 9 bytes instead of 10" {
			t.Errorf("a short response: %v", err)
		}
	})
}

type short struct{}

func (short) get(_ context.Context, size int) (int64, error) { return int64(size) - 1, nil }
func (short) stall(context.Context, int) error               { return nil }
