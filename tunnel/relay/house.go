package relay

import (
	"errors"
	"time"
)

const (
	// sweepEvery is how often lost sessions are looked through.
	sweepEvery = 10 * time.Second
	// renewEvery is how often sessions say that their names are in use.
	renewEvery = 12 * time.Hour
)

// keepHouse does what is due from time to time, until the relay's life ends.
func (r *Relay) keepHouse() {
	r.sweepNames()
	summary := time.NewTicker(summaryEvery)
	defer summary.Stop()
	sweep, renew := time.NewTicker(sweepEvery), time.NewTicker(renewEvery)
	defer sweep.Stop()
	defer renew.Stop()
	for {
		select {
		case <-r.life.Done():
			r.journal.summarize(time.Now())
			return
		case now := <-summary.C:
			r.journal.summarize(now)
		case now := <-sweep.C:
			r.table.sweep(now.Add(-recentlyGone))
		case <-renew.C:
			r.renewAll()
			r.sweepNames()
		}
	}
}

func (r *Relay) renewAll() {
	for _, s := range r.table.all() {
		names := r.table.claimOf(s).names()
		if err := r.opts.Registry.Renew(r.life, s.key, names); err != nil && !errors.Is(err, ErrSuspended) {
			r.log.Error("names not renewed", "key", s.key, "error", err)
		}
	}
}

func (r *Relay) sweepNames() {
	if err := r.opts.Registry.Sweep(r.life); err != nil && !errors.Is(err, ErrSuspended) {
		r.log.Error("unused names not forgotten", "error", err)
	}
}
