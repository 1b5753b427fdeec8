package relay

import (
	"cmp"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// KeyInfo is what a registry knows of a key, for the relay's operator.
type KeyInfo struct {
	Key Key `json:"key"`
	// Standing is "enrolled" or "revoked"; empty for a key that is known by its
	// names alone, such as one of an authorized_keys file.
	Standing string `json:"standing,omitempty"`
	// Names are the key's plain names, sorted. Unguessable ones are secrets, so that
	// Links is only their number.
	Names []string `json:"names,omitempty"`
	Links int      `json:"links,omitempty"`
	// Seen is when one of its names was last in use, to the day; zero for never.
	Seen time.Time `json:"seen,omitzero"`
}

// ErrInUse is a registry that a relay has open.
var ErrInUse = errors.New("a relay has it open")

// ReadKeys lists the keys in the registry at path, sorted. It fails with ErrInUse
// while a relay runs with it, whose /keys tells the same.
func ReadKeys(path string) ([]KeyInfo, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err // bbolt would make the file
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, err
	}
	defer db.Close()
	names, err := readNames(db)
	if err != nil {
		return nil, err
	}
	return listKeys(db, names)
}

// keyInfos lists the keys of a registry that is open.
func (f *File) keyInfos() ([]KeyInfo, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return nil, ErrSuspended
	}
	names, err := readNames(f.db)
	if err != nil {
		return nil, err
	}
	return listKeys(f.db, names)
}

func listKeys(db *bbolt.DB, names *ledger) ([]KeyInfo, error) {
	all := map[Key]*KeyInfo{}
	find := func(key Key) *KeyInfo {
		if all[key] == nil {
			all[key] = &KeyInfo{Key: key}
		}
		return all[key]
	}
	now := time.Now()
	for name, r := range names.records {
		if forgettable(name, r, now) {
			continue
		}
		info := find(r.Owner)
		if masked(name) == name {
			info.Names = append(info.Names, name)
		} else {
			info.Links++
		}
		if r.Seen.After(info.Seen) {
			info.Seen = r.Seen
		}
	}
	err := db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(keysBucket))
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(key, standing []byte) error {
			if len(key) == len(Key{}) {
				find(Key(key)).Standing = map[string]string{enrolled: "enrolled", barred: "revoked"}[string(standing)]
			}
			return nil
		})
	})
	list := make([]KeyInfo, 0, len(all))
	for _, info := range all {
		slices.Sort(info.Names)
		list = append(list, *info)
	}
	slices.SortFunc(list, func(a, b KeyInfo) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return list, err
}

// serveKeys answers GET /keys with a KeyInfo for each key, as JSON. Web pages that
// have a name lead here (DNS rebinding) get nothing.
func (r *Relay) serveKeys(w http.ResponseWriter, req *http.Request) {
	file, ok := r.opts.Registry.(*File)
	if !ok || !isAddress(req.Host) {
		http.Error(w, "ask with the address in place of a name", http.StatusMisdirectedRequest)
		return
	}
	list, err := file.keyInfos()
	if err != nil {
		r.log.Error("keys not listed", "error", err)
		http.Error(w, "the keys cannot be read; the relay's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // whoever asked is gone otherwise
}

// isAddress reports whether a Host names an IP address or this machine.
func isAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
