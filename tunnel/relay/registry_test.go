package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	token = "shop-0123456789abcdef." + domain
	plain = "shop." + domain
)

// TestRegistries: both kinds follow the same rules.
func TestRegistries(t *testing.T) {
	for kind, open := range map[string]func(t *testing.T) Registry{
		"memory": func(*testing.T) Registry { return NewMemory() },
		"file": func(t *testing.T) Registry {
			f, err := OpenFile(filepath.Join(t.TempDir(), "relay.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		},
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testRegistry(t, open(t)) })
		})
	}
}

func testRegistry(t *testing.T, r Registry) {
	ctx := t.Context()
	a, b := Key{1}, Key{2}
	var told []Change
	stop := r.Watch(func(c Change) { told = append(told, c) })
	claim := func(owner Key, until time.Time, names ...string) error {
		return r.Claim(ctx, NameClaim{Owner: owner, Names: names, Until: until})
	}
	taken := func(err error) bool { var e *TakenError; return errors.As(err, &e) }
	ended := func(err error) bool { var e *EndedError; return errors.As(err, &e) }
	check := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Error(what)
		}
	}
	check("a claims two names", claim(a, time.Time{}, token, plain) == nil)
	check("a claims again", claim(a, time.Time{}, token, plain) == nil)
	check("b gets neither", taken(claim(b, time.Time{}, token)) && taken(claim(b, time.Time{}, plain)))
	check("b gets none when one is taken", taken(claim(b, time.Time{}, "free."+domain, plain)))
	_, known, err := r.Lookup(ctx, "free."+domain)
	check("nothing of a refused claim stays", !known && err == nil)
	check("b ends nothing of a's", r.Release(ctx, b, []string{token, plain}) == nil)
	record, known, _ := r.Lookup(ctx, token)
	check("a's name goes on", known && record.Owner == a && record.Ended.IsZero())

	time.Sleep(time.Hour)
	now := time.Now()
	check("a ends both", r.Release(ctx, a, []string{token, plain, "nothing." + domain}) == nil)
	record, _, _ = r.Lookup(ctx, token)
	at, over := record.EndedAt(now)
	check("the moment is kept", over && !at.Before(now) && at.Sub(now) < time.Second) // a file collects writes
	check("an unguessable name does not begin again", ended(claim(a, time.Time{}, token)) && taken(claim(b, time.Time{}, token)))
	check("a plain one is kept from others", taken(claim(b, time.Time{}, plain)))
	check("a plain one begins again for its owner", claim(a, time.Time{}, plain) == nil)
	check("and ends again", r.Release(ctx, a, []string{plain}) == nil)
	time.Sleep(30 * 24 * time.Hour)
	check("30 days later it is still kept", taken(claim(b, time.Time{}, plain)))
	time.Sleep(plainRetention)
	check("after its memory has gone by it is free", claim(b, time.Time{}, plain) == nil)
	check("an unguessable one never is", taken(claim(b, time.Time{}, token)))

	until := time.Now().Add(time.Hour)
	other := "shop-zzzzzzzzzzzzzzzz." + domain
	check("a claims until", claim(a, until, other) == nil)
	time.Sleep(30 * time.Minute)
	check("a extends", claim(a, until.Add(time.Hour), other) == nil)
	time.Sleep(time.Hour)
	check("it goes on", claim(a, until.Add(time.Hour), other) == nil)
	time.Sleep(time.Hour)
	check("it has ended by itself", ended(claim(a, time.Time{}, other)))
	record, _, _ = r.Lookup(ctx, other)
	at, over = record.EndedAt(time.Now())
	check("at its moment", over && at.Equal(until.Add(time.Hour)))

	check("b's name is in use", r.Renew(ctx, b, []string{plain, token}) == nil)
	before, _, _ := r.Lookup(ctx, plain)
	time.Sleep(2 * seenEvery)
	check("b renews", r.Renew(ctx, b, []string{plain, token}) == nil)
	after, _, _ := r.Lookup(ctx, plain)
	check("which is noted", after.Seen.After(before.Seen))
	record, _, _ = r.Lookup(ctx, token)
	check("for its own names alone", record.Owner == a)

	for _, standing := range []Standing{Enrolled, Revoked, Unknown} {
		check("a key's standing is kept", r.SetStanding(ctx, a, standing) == nil)
		got, err := r.Standing(ctx, a)
		check("and found", got == standing && err == nil)
	}
	stop()
	_ = r.SetStanding(ctx, b, Revoked)
	want := []Change{{Name: token, Key: a}, {Name: plain, Key: a}, {Name: plain, Key: a}, {Key: a, Standing: Enrolled}, {Key: a, Standing: Revoked}, {Key: a}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// TestWatchers: each gets the changes until it stops, and no longer.
func TestWatchers(t *testing.T) {
	var w watchers
	told := map[string]int{}
	first := w.Watch(func(Change) { told["first"]++ })
	second := w.Watch(func(Change) { told["second"]++ })
	w.notify(Change{}, Change{})
	first()
	w.notify(Change{})
	third := w.Watch(func(Change) { told["third"]++ })
	w.notify(Change{})
	first() // again
	second()
	third()
	w.notify(Change{})
	if want := map[string]int{"first": 2, "second": 4, "third": 1}; !maps.Equal(told, want) {
		t.Errorf("got %v, want %v", told, want)
	}
}

// TestKeyText: a key is the same after it was written and read, and other texts are
// refused.
func TestKeyText(t *testing.T) {
	key := publicKey(testKey("a"))
	text, err := json.Marshal(key)
	var back Key
	if err := errors.Join(err, json.Unmarshal(text, &back)); err != nil || back != key {
		t.Errorf("%s: %v, %v", text, back, err)
	}
	for _, text := range []string{`""`, `"AAAA"`, `"` + key.String() + `AAAA"`, `"` + key.String()[1:] + `"`} {
		if err := json.Unmarshal([]byte(text), &back); err == nil || back != key {
			t.Errorf("%s is read as %v, %v", text, back, err)
		}
	}
}

// TestFile: the next process reads what was written; one process has the file at a time.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	first, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != fs.FileMode(0o600) {
		t.Errorf("%v, %v; want mode 0600", info, err)
	}
	ctx := context.Background()
	var group sync.WaitGroup
	for i := range 50 { // as after a restart
		group.Go(func() {
			if err := first.Claim(ctx, NameClaim{Owner: Key{byte(i)}, Names: []string{string(rune('a'+i)) + "." + domain}}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := first.Suspend(); err != nil {
		t.Fatal(err)
	}
	if err := first.Claim(ctx, NameClaim{Owner: Key{1}, Names: []string{plain}}); !errors.Is(err, ErrSuspended) {
		t.Errorf("a claim while another process has the file: %v", err)
	}
	second, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if r, known, err := second.Lookup(ctx, string(rune('a'+i))+"."+domain); r.Owner != (Key{byte(i)}) || !known || err != nil {
			t.Errorf("name %d: %+v, %v, %v", i, r, known, err)
		}
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, known, err := first.Lookup(ctx, "a."+domain); !known || err != nil {
		t.Errorf("after the other process: %v, %v", known, err)
	}
	_ = first.Close()
}

func TestParseKeys(t *testing.T) {
	key := publicKey(testKey("a"))
	good := "# x\r\n\n  " + key.String() + "  \ndevproxy-ed25519 " + publicKey(testKey("b")).String() + " with a comment # and more\n revoked devproxy-ed25519 " + publicKey(testKey("c")).String()
	file, err := parseKeys("f", []byte(good))
	if err != nil || len(file) != 3 || file[key] != Enrolled || file[publicKey(testKey("b"))] != Enrolled || file[publicKey(testKey("c"))] != Revoked {
		t.Errorf("%+v, %v", file, err)
	}
	_, err = parseKeys("keys", []byte("\nssh-ed25519 AAAA\n"+key.String()+"\ndevproxy-ed25519\n"+key.String()[:20]))
	var lines []int
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			var at *KeysError
			if errors.As(e, &at) {
				lines = append(lines, at.Line)
			}
		}
	}
	if !slices.Equal(lines, []int{2, 4, 5}) {
		t.Errorf("wrong lines %v of %v", lines, err)
	}
}

// TestCheckKeysFile: an operator sees what is wrong with a file before a relay uses it.
func TestCheckKeysFile(t *testing.T) {
	line := publicKey(testKey("a")).String() + "\n"
	of := func(n int) string { return line + strings.Repeat("#", 100) + strings.Repeat("\n", n-len(line)-100) }
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, says string }{
		"good":             {line, ""},
		"empty":            {"", ""},
		"a bad line":       {line + "nonsense\n", ":2: "},
		"a word alone":     {"devproxy-ed25519\n", "no key follows"},
		"a very long line": {line + strings.Repeat("x", bufio.MaxScanTokenSize) + "\n", "too long"},
		"the largest":      {of(maxKeysFile), ""},
		"a larger one":     {of(maxKeysFile + 1), "more than 4194304 bytes"},
	} {
		path := filepath.Join(dir, "keys")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CheckKeysFile(path); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if err := CheckKeysFile(path); err == nil || !strings.Contains(err.Error(), "cannot read the authorized keys") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestBadKeysFile: a file that becomes unreadable changes nothing.
func TestBadKeysFile(t *testing.T) {
	a := publicKey(testKey("a"))
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(a.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := newKeyPolicy(&Options{AuthorizedKeys: path, Registry: NewMemory()})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "nonsense\n"} {
		if text == "" {
			err = os.Rename(path, path+"~")
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := k.reload(t.Context()); err == nil {
			t.Errorf("%q: no error", text)
		}
		if err := k.admit(t.Context(), a, "", nil); err != nil {
			t.Errorf("%q: the key is out: %v", text, err)
		}
	}
	for _, path := range []string{path, path + ".none"} {
		if _, err := newKeyPolicy(&Options{AuthorizedKeys: path, Registry: NewMemory()}); err == nil {
			t.Error("a relay starts with a file that cannot be read")
		}
	}
}

// brokenRegistry fails where a test says.
type brokenRegistry struct {
	*Memory
	standing, lookup, set, release, renew, sweep error
}

func (b *brokenRegistry) Release(ctx context.Context, owner Key, names []string) error {
	if b.release != nil {
		return b.release
	}
	return b.Memory.Release(ctx, owner, names)
}

func (b *brokenRegistry) Renew(ctx context.Context, owner Key, names []string) error {
	if b.renew != nil {
		return b.renew
	}
	return b.Memory.Renew(ctx, owner, names)
}

func (b *brokenRegistry) Sweep(ctx context.Context) error {
	if b.sweep != nil {
		return b.sweep
	}
	return b.Memory.Sweep(ctx)
}

func (b *brokenRegistry) SetStanding(ctx context.Context, key Key, s Standing) error {
	if b.set != nil {
		return b.set
	}
	return b.Memory.SetStanding(ctx, key, s)
}

func (b *brokenRegistry) Standing(ctx context.Context, key Key) (Standing, error) {
	if b.standing != nil {
		return Unknown, b.standing
	}
	return b.Memory.Standing(ctx, key)
}

func (b *brokenRegistry) Lookup(ctx context.Context, name string) (Record, bool, error) {
	if b.lookup != nil {
		return Record{}, false, b.lookup
	}
	return b.Memory.Lookup(ctx, name)
}

// TestBrokenRegistry: a registry that cannot be read admits no key, even where every
// key is admitted.
func TestBrokenRegistry(t *testing.T) {
	broken := &brokenRegistry{Memory: NewMemory()}
	w := start(t, func(o *Options) { o.Registry = broken })
	key := testKey("a")
	if err := broken.SetStanding(t.Context(), publicKey(key), Revoked); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tryAgent(key, claimOf(key, ""), &recorder{}); codeFrom(err) != tunnel.CodeRevoked {
		t.Errorf("a revoked key: %v", err)
	}
	for name, fault := range map[string]func(error){
		"standing": func(err error) { broken.standing = err },
		"lookup":   func(err error) { broken.lookup = err },
	} {
		for _, kind := range []struct {
			err  error
			code tunnel.Code
		}{{errors.New("the disk is gone"), tunnel.CodeFailed}, {ErrSuspended, tunnel.CodeBusy}} {
			fault(kind.err)
			for _, who := range []string{"a", "b"} {
				if who == "a" && name == "lookup" {
					continue // revoked
				}
				if _, err := w.tryAgent(testKey(who), claimOf(testKey(who), ""), &recorder{}); codeFrom(err) != kind.code {
					t.Errorf("%s fails with %v: key %s gets %v", name, kind.err, who, err)
				}
			}
		}
		fault(nil)
	}
	if _, err := w.tryAgent(testKey("b"), claimOf(testKey("b"), ""), &recorder{}); err != nil {
		t.Errorf("a registry that works again: %v", err)
	}
}
