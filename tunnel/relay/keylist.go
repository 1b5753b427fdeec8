package relay

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
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

// KeyInfo is what a registry knows about a key, for the relay's operator.
type KeyInfo struct {
	Key Key `json:"key"`
	// Standing is "enrolled" or "revoked". It is empty for a key that the registry
	// knows only by its names, such as one of an authorized_keys file.
	Standing string `json:"standing,omitempty"`
	// Names are the key's plain names, sorted. Unguessable names are secrets, so
	// Links is only their number.
	Names []string `json:"names,omitempty"`
	Links int      `json:"links,omitempty"`
	// Seen is when one of its names was last in use, to the day; zero for never.
	Seen time.Time `json:"seen,omitzero"`
}

// ErrInUse reports that a relay has the registry open.
var ErrInUse = errors.New("a relay has it open")

// ReadKeys lists the keys in the registry at path, sorted. It fails with ErrInUse
// while a relay runs with it; that relay's /keys has the same list.
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
	return listKeys(db)
}

// keyInfos lists the keys of a registry that is open.
func (f *File) keyInfos() ([]KeyInfo, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return nil, ErrSuspended
	}
	return listKeys(f.db)
}

func listKeys(db *bbolt.DB) ([]KeyInfo, error) {
	names, err := readNames(db)
	if err != nil {
		return nil, err
	}
	all := names.keyInfos(time.Now())
	err = db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(keysBucket))
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(key, mark []byte) error {
			if len(key) != len(Key{}) {
				return nil
			}
			info := all[Key(key)]
			info.Key, info.Standing = Key(key), map[string]string{markEnrolled: "enrolled", markRevoked: "revoked"}[string(mark)]
			all[Key(key)] = info
			return nil
		})
	})
	list := slices.AppendSeq([]KeyInfo{}, maps.Values(all))
	slices.SortFunc(list, func(a, b KeyInfo) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return list, err
}

// keyInfos lists the owners of names.
func (t *nameTable) keyInfos(now time.Time) map[Key]KeyInfo {
	all := map[Key]KeyInfo{}
	for key, names := range t.keys {
		info := KeyInfo{Key: key}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			r, known := t.lookup(name, now)
			switch {
			case !known:
				continue
			case masked(name) == name:
				info.Names = append(info.Names, name)
			default:
				info.Links++
			}
			if r.Seen.After(info.Seen) {
				info.Seen = r.Seen
			}
		}
		if len(info.Names)+info.Links > 0 {
			all[key] = info
		}
	}
	return all
}

// serveKeys answers GET /keys with a KeyInfo for each key, as JSON. It refuses
// requests to a name, which a web page could send (DNS rebinding).
func (r *Relay) serveKeys(w http.ResponseWriter, req *http.Request) {
	file, ok := r.opts.Registry.(*File)
	if !ok || !isAddress(req.Host) {
		http.Error(w, "use the IP address instead of a name", http.StatusMisdirectedRequest)
		return
	}
	list, err := file.keyInfos()
	if err != nil {
		r.log.Error("keys not listed", "error", err)
		http.Error(w, "cannot read the keys; the relay's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list) // fails only when the client is gone
}

// isAddress reports whether a Host names an IP address or this machine.
func isAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
