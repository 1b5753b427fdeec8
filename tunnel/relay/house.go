package relay

import "time"

const (
	// sweepEvery is how often lost sessions are looked through.
	sweepEvery = 10 * time.Second
	// renewEvery is how often sessions say that their names are in use.
	renewEvery = 12 * time.Hour
)

// keepHouse does what is due from time to time, until the relay's life ends.
func (r *Relay) keepHouse() {
	sweep, renew := time.NewTicker(sweepEvery), time.NewTicker(renewEvery)
	defer sweep.Stop()
	defer renew.Stop()
	for {
		select {
		case <-r.life.Done():
			return
		case now := <-sweep.C:
			r.table.sweep(now.Add(-recentlyGone))
		case <-renew.C:
			r.renewAll()
		}
	}
}

func (r *Relay) renewAll() {
	for _, s := range r.table.all() {
		names := r.table.claimOf(s).names()
		if err := r.opts.Registry.Renew(r.life, s.key, names); err != nil {
			r.log.Error("names not renewed", "key", s.key, "error", err)
		}
	}
}
