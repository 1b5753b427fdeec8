package relay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/devproxy/devproxy/tunnel"
)

// TestFileStaysSmall: 308 claims of a hundred hosts took 16 MB once.
func TestFileStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := start(t, func(o *Options) { o.Registry = f })
	hosts := []string{""}
	for i := range 99 {
		hosts = append(hosts, fmt.Sprintf("host-with-a-long-name-%d", i))
	}
	for i := range 20 {
		if _, err := w.tryAgent(testKey(fmt.Sprint(i)), tunnel.Claim{Name: fmt.Sprintf("name-%d", i), Hosts: slices.Clone(hosts)}, &recorder{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.names.records); n != 20 {
		t.Errorf("20 shares of 100 hosts are %d names", n)
	}
	for i := range 288 {
		c := NameClaim{Owner: Key{byte(i), 1}, From: prefixOf(i), Names: []string{fmt.Sprintf("more-%d.%s", i, domain)}}
		if err := f.Claim(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d bytes", info.Size()); info.Size() > 1<<20 {
		t.Errorf("308 names take %d bytes", info.Size())
	}
}

// TestFileForgets: a forgotten name is deleted from the disk too.
func TestFileForgets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string) error {
		return f.Claim(t.Context(), NameClaim{Owner: Key{1}, Names: []string{name + "." + domain}, Quota: Quota{PlainPerKey: 1}})
	}
	if err := claim("one"); err != nil {
		t.Fatal(err)
	}
	if err := claim("two"); !isQuota(err) {
		t.Errorf("a second: %v", err)
	}
	if err := f.Release(t.Context(), Key{1}, []string{"one." + domain}); err != nil {
		t.Fatal(err)
	}
	if err := claim("two"); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	if err := f.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if err := f.Suspend(); err != nil {
		t.Fatal(err)
	}
	_, known, lookupErr := f.Lookup(t.Context(), "two."+domain)
	standing, standingErr := f.Standing(t.Context(), Key{1})
	for what, err := range map[string]error{
		"a sweep": f.Sweep(t.Context()), "a look": lookupErr, "a key": standingErr, "another key": f.SetStanding(t.Context(), Key{1}, Enrolled),
	} {
		if !errors.Is(err, ErrSuspended) || known || standing != Unknown {
			t.Errorf("%s while suspended: %v", what, err)
		}
	}
	if err := f.Resume(); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.names.records) != 1 || len(f.names.records["two."+domain].Owner) == 0 {
		t.Errorf("the file holds %v", f.names.records)
	}
	if r, known, err := f.Lookup(t.Context(), "two."+domain); !known || err != nil || r.Owner != (Key{1}) {
		t.Errorf("%+v, %v, %v", r, known, err)
	}
}

// TestKeysTotal: n keys are enrolled and the n+1st is not; a known key, or a
// revoked one, needs no room.
func TestKeysTotal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	memory := NewMemory()
	for i := range keysTotal - 2 {
		key := Key{byte(i), byte(i >> 8), byte(i >> 16)}
		memory.standings[key], f.standings[key] = Enrolled, Enrolled
	}
	for kind, r := range map[string]Registry{"memory": memory, "file": f} {
		set := func(key byte, s Standing) error { return r.SetStanding(t.Context(), Key{key, 0, 0, 1}, s) }
		check := func(what string, err error, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %s: %v, want %v", kind, what, err, want)
			}
		}
		check("the last but one", set(1, Enrolled), nil)
		check("the same again", set(1, Enrolled), nil)
		check("the last", set(2, Enrolled), nil)
		check("one more", set(3, Enrolled), errKeys)
		got, err := r.Standing(t.Context(), Key{3, 0, 0, 1})
		if got != Unknown || err != nil {
			t.Errorf("%s: a refused key is %v, %v", kind, got, err)
		}
		check("one that it has", set(2, Enrolled), nil)
		check("to bar one", set(4, Revoked), nil)
		check("to forget it", set(4, Unknown), nil)
		check("to forget it again", set(4, Unknown), nil)
		check("still one more", set(3, Enrolled), errKeys)
		check("to forget another", set(1, Unknown), nil)
		check("one in its place", set(3, Enrolled), nil)
		check("and one more", set(5, Enrolled), errKeys)
	}
	if err := errors.Join(f.Suspend(), f.Resume()); err != nil || len(f.standings) != 2 {
		t.Errorf("the file has %d keys, %v", len(f.standings), err)
	}
}

// TestFileNotWritten: what cannot be written has not happened.
func TestFileNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string) error {
		return f.Claim(t.Context(), NameClaim{Owner: Key{1}, Names: []string{name}})
	}
	if err := claim(plain); err != nil {
		t.Fatal(err)
	}
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	if f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var told []Change
	f.Watch(func(c Change) { told = append(told, c) })
	for what, err := range map[string]error{
		"a claim":   claim("more." + domain),
		"a release": f.Release(t.Context(), Key{1}, []string{plain}),
		"a key":     f.SetStanding(t.Context(), Key{1}, Enrolled),
	} {
		if err == nil {
			t.Errorf("%s succeeds", what)
		}
	}
	if err := claim(plain); err != nil {
		t.Errorf("a claim that changes nothing: %v", err)
	}
	_, known, err := f.Lookup(t.Context(), "more."+domain)
	if known || err != nil {
		t.Errorf("the new name is known: %v, %v", known, err)
	}
	if r, known, _ := f.Lookup(t.Context(), plain); !known || !r.Ended.IsZero() {
		t.Errorf("the old name is %+v", r)
	}
	if len(told) > 0 || len(f.standings) != 0 {
		t.Errorf("got %v, %d keys", told, len(f.standings))
	}
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := claim("more." + domain); err == nil {
		t.Error("a claim succeeds without a file")
	}
}

// TestFailedWriteIsAlone: a change that cannot be written does not undo another one.
// What was granted meanwhile is granted in memory and in the file.
func TestFailedWriteIsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	name := func(owner, i int) string { return fmt.Sprintf("name-%d-%d.%s", owner, i, domain) }
	const owners, each = 20, 5
	until := func(i int) time.Time { return time.Unix(1<<33+int64(i), 0).UTC() }
	claim := func(owner, i int, more ...string) error {
		return f.Claim(t.Context(), NameClaim{Owner: Key{byte(owner)}, From: prefixOf(owner), Names: append([]string{name(owner, i)}, more...), Until: until(i)})
	}
	var honest, failing sync.WaitGroup
	stop := make(chan struct{})
	for owner := range owners {
		honest.Go(func() {
			for i := range each {
				if err := claim(owner, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for owner := range owners {
		failing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if claim(owner, i%each, "") == nil { // the file takes no empty name
					t.Error("a name that the file does not take was granted")
					return
				}
			}
		})
	}
	honest.Wait()
	close(stop)
	failing.Wait()
	check := func(where string, r Registry) {
		t.Helper()
		for owner := range owners {
			for i := range each {
				if record, known, err := r.Lookup(t.Context(), name(owner, i)); !known || record.Owner != (Key{byte(owner)}) || !record.Until.Equal(until(i)) || err != nil {
					t.Fatalf("%s: %s is %+v, %t, %v", where, name(owner, i), record, known, err)
				}
			}
		}
		if _, known, _ := r.Lookup(t.Context(), ""); known {
			t.Errorf("%s: what was not written is known", where)
		}
	}
	check("in memory", f)
	if n := len(f.pending); n != 0 {
		t.Errorf("%d names are still marked as being written", n)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	check("in the file", again)
}

// TestWritingTogether: calls write the same name at once. When one of them has failed,
// the record in the file is in force as soon as all have returned.
func TestWritingTogether(t *testing.T) {
	f, err := OpenFile(filepath.Join(t.TempDir(), "relay.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old, later := Record{Owner: Key{1}, Seen: time.Now()}, Record{Owner: Key{1}, Seen: time.Now(), Until: time.Now().Add(time.Hour)}
	until := func() time.Time {
		r, known, err := f.Lookup(t.Context(), plain)
		if !known || err != nil {
			t.Fatalf("the name is gone: %v", err)
		}
		return r.Until
	}
	for name, failed := range map[string][2]bool{"none fails": {}, "the first fails": {true, false}, "the second fails": {false, true}, "both fail": {true, true}} {
		if err := f.Claim(t.Context(), NameClaim{Owner: old.Owner, Names: []string{plain}}); err != nil {
			t.Fatal(err)
		}
		f.memoryMu.Lock()
		f.names.put(plain, later)
		first := f.beginLocked([]string{plain}, nil)
		second := f.beginLocked(nil, []string{plain, "other." + domain}) // relies on the first
		f.memoryMu.Unlock()
		if !slices.Equal(first, []string{plain}) || !slices.Equal(second, first) {
			t.Errorf("%s: %q and %q are written", name, first, second)
		}
		if err := f.finish(first, failed[0]); err != nil || !until().Equal(later.Until) {
			t.Errorf("%s: while one is written: %v, %v", name, until(), err)
		}
		want := later.Until
		if failed[0] || failed[1] {
			want = old.Until
		}
		if err := f.finish(second, failed[1]); err != nil || !until().Equal(want) {
			t.Errorf("%s: at the end: %v, %v", name, until(), err)
		}
		if len(f.pending) > 0 {
			t.Errorf("%s: %d names are still marked as being written", name, len(f.pending))
		}
	}
}

// TestFileLocked: a file that another relay has open is reported as such, and a file that
// is not a registry is not changed.
func TestFileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("a second time: %v", err)
	}
	if err := f.Resume(); err != nil { // it is open already
		t.Error(err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	text := []byte(strings.Repeat("no database\n", 1000))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path); err == nil || strings.Contains(err.Error(), "another process") {
		t.Errorf("no registry: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != string(text) {
		t.Error("it was written to")
	}
}

// TestFileSkips: an entry that cannot be read is ignored.
func TestFileSkips(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { f.Close() }()
	err = f.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(namesBucket)).Put([]byte("bad."+domain), []byte("{"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Suspend(), f.Resume()); err != nil {
		t.Fatal(err)
	}
	if err := f.Claim(t.Context(), NameClaim{Owner: Key{1}, Names: []string{"bad." + domain}}); err != nil {
		t.Error(err)
	}
}
