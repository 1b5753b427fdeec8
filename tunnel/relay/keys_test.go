package relay

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// watchedKeys reads a file of keys whose text can be changed.
func watchedKeys(t *testing.T, registry Registry, text string) (k *keyPolicy, look func(text string) error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authorized_keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	k, err := newKeyPolicy(&Options{AuthorizedKeys: path, Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	return k, func(text string) error {
		t.Helper()
		write(text)
		return k.reload(t.Context())
	}
}

// TestKeysFileWhileWritten: a file that is empty or incomplete while it is written ends
// no share. A key that is marked as revoked is out at once.
func TestKeysFileWhileWritten(t *testing.T) {
	a, b, c := publicKey(testKey("a")), publicKey(testKey("b")), publicKey(testKey("c"))
	whole := a.String() + "\n" + b.String() + "\nrevoked " + c.String() + "\n"
	type step struct {
		text string
		in   []Key
		out  []Key
	}
	for name, steps := range map[string][]step{
		"empty for a moment":      {{"", []Key{a, b}, []Key{c}}, {whole, []Key{a, b}, []Key{c}}, {"", []Key{a, b}, []Key{c}}, {whole, []Key{a, b}, []Key{c}}},
		"half there":              {{a.String() + "\n", []Key{a, b}, []Key{c}}, {whole, []Key{a, b}, []Key{c}}},
		"other halves":            {{a.String() + "\n", []Key{a, b}, []Key{c}}, {b.String() + "\n", []Key{a, b}, []Key{c}}, {whole, []Key{a, b}, []Key{c}}},
		"cut within a line":       {{whole[:30], []Key{a, b}, []Key{c}}, {whole[:30], []Key{a, b}, []Key{c}}, {whole, []Key{a, b}, []Key{c}}},
		"left out for good":       {{a.String() + "\n", []Key{a, b}, []Key{c}}, {a.String() + "\n", []Key{a}, []Key{b, c}}},
		"emptied for good":        {{"", []Key{a, b}, []Key{c}}, {"", nil, []Key{a, b, c}}, {whole, []Key{a, b}, []Key{c}}},
		"marked as revoked":       {{a.String() + "\nrevoked " + b.String() + "\n", []Key{a}, []Key{b, c}}},
		"marked, and half there":  {{"revoked " + b.String() + "\n", []Key{a}, []Key{b, c}}, {"revoked " + b.String() + "\n", nil, []Key{a, b, c}}},
		"a barred key let in":     {{whole + c.String() + "\n", []Key{a, b}, []Key{c}}},
		"its mark is taken away":  {{a.String() + "\n" + b.String() + "\n" + c.String() + "\n", []Key{a, b}, []Key{c}}, {a.String() + "\n" + b.String() + "\n" + c.String() + "\n", []Key{a, b, c}, nil}},
		"one more, and one fewer": {{a.String() + "\n" + publicKey(testKey("d")).String() + "\n", []Key{a, b, publicKey(testKey("d"))}, []Key{c}}},
	} {
		t.Run(name, func(t *testing.T) {
			k, look := watchedKeys(t, NewMemory(), whole)
			for i, step := range steps {
				err := look(step.text)
				if cut := strings.HasPrefix(name, "cut") && i == 0; (err != nil) != cut {
					t.Errorf("look %d: %v", i, err)
				}
				for _, key := range step.in {
					if err := k.admit(t.Context(), key, "", nil); err != nil {
						t.Errorf("look %d: %v is out: %v", i, key, err)
					}
				}
				for _, key := range step.out {
					if err := k.admit(t.Context(), key, "", nil); codeFrom(err) != tunnel.CodeRevoked && codeFrom(err) != tunnel.CodeUnknownKey {
						t.Errorf("look %d: %v is in: %v", i, key, err)
					}
				}
			}
		})
	}
}

// TestKeysRevokedLater: a revocation that could not be written is written later.
func TestKeysRevokedLater(t *testing.T) {
	a := publicKey(testKey("a"))
	broken := &brokenRegistry{Memory: NewMemory()}
	_, look := watchedKeys(t, broken, a.String()+"\n")
	broken.set = syscall.ENOSPC
	if err := look("revoked " + a.String() + "\n"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	broken.set = nil
	if err := look("revoked " + a.String() + "\n"); err != nil {
		t.Error(err)
	}
	if standing, err := broken.Standing(t.Context(), a); err != nil || standing != Revoked {
		t.Errorf("the key is %v, %v", standing, err)
	}
}

// TestDiskFull: an agent does not learn about this server's files; the log has the error.
func TestDiskFull(t *testing.T) {
	const path = "/var/lib/devproxy/relay.db"
	full := &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
	broken := &brokenRegistry{Memory: NewMemory()}
	var log syncBuffer
	w := start(t, func(o *Options) {
		o.Registry, o.Open, o.Tokens = broken, false, []string{"correct horse battery staple"}
		o.Log = slog.New(slog.NewJSONHandler(&log, nil))
	})
	key := testKey("a")
	claim := claimOf(key, "")
	claim.Enrol = "correct horse battery staple"
	a := w.agent(key, claim, &recorder{})

	neutral := func(what string, code tunnel.Code, text string) {
		t.Helper()
		if code != tunnel.CodeFailed || strings.Contains(text, path) || strings.Contains(text, "space") || text == "" {
			t.Errorf("%s gets %d %q", what, code, text)
		}
		if line := log.String(); !strings.Contains(line, path) || !strings.Contains(line, "no space left") || !strings.Contains(line, `"level":"ERROR"`) {
			t.Errorf("%s: the log has only %s", what, line)
		}
	}
	broken.standing = full
	_, err := w.tryAgent(testKey("b"), claim, &recorder{})
	var refused *tunnel.Refusal
	if !errors.As(err, &refused) {
		t.Fatalf("a new agent gets %v", err)
	}
	neutral("a new agent", refused.Code, refused.Message)
	broken.standing, broken.set = nil, full
	if _, err = w.tryAgent(testKey("c"), claim, &recorder{}); !errors.As(err, &refused) {
		t.Fatalf("an agent that enrols gets %v", err)
	}
	neutral("an agent that enrols", refused.Code, refused.Message)
	broken.lookup = full
	reply := a.ask(tunnel.Request{Op: "claim", Claim: &tunnel.Claim{Name: "other", Hosts: []string{""}}})
	neutral("an agent that claims", reply.Code, reply.Error)
}

// TestKeysReloaded: a key that is revoked in the file loses its session, even if it was
// enrolled; a registry that cannot be written is reported.
func TestKeysReloaded(t *testing.T) {
	a, b := publicKey(testKey("a")), publicKey(testKey("b"))
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# none\n")
	broken := &brokenRegistry{Memory: NewMemory()}
	if err := broken.SetStanding(t.Context(), a, Enrolled); err != nil {
		t.Fatal(err)
	}
	k, err := newKeyPolicy(&Options{AuthorizedKeys: path, Registry: broken})
	if err != nil {
		t.Fatal(err)
	}
	write("revoked " + a.String() + "\n" + b.String() + "\n")
	var told []Change
	defer broken.Watch(func(c Change) { told = append(told, c) })()
	if err := errors.Join(k.reload(t.Context()), k.reload(t.Context())); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0] != (Change{Key: a, Standing: Revoked}) {
		t.Errorf("got %v", told)
	}
	write("revoked " + a.String() + "\nrevoked " + b.String() + "\n")
	if err := k.reload(t.Context()); err != nil || len(told) < 2 || slices.ContainsFunc(told[1:], func(c Change) bool { return c.Key != b }) {
		t.Errorf("%v; got %v", err, told)
	}
	c, d := publicKey(testKey("c")), publicKey(testKey("d"))
	write(c.String() + "\n" + d.String() + "\n")
	if err := k.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	told = nil
	write("# c is gone\n" + d.String() + "\n")
	if err := errors.Join(k.reload(t.Context()), k.reload(t.Context())); err != nil || len(told) != 1 || told[0] != (Change{Key: c, Standing: Revoked}) {
		t.Errorf("a key that is no longer in the file: %v; got %v", err, told)
	}
	broken.set = errors.New("the disk is full")
	write("# d is gone\n")
	if err := k.reload(t.Context()); err != nil {
		t.Errorf("the first look: %v", err)
	}
	if err := k.reload(t.Context()); !errors.Is(err, broken.set) {
		t.Errorf("a key that could not be taken out: %v", err)
	}
	broken.set = errors.New("the disk is full")
	write("revoked " + publicKey(testKey("c")).String() + "\n")
	if err := k.reload(t.Context()); !errors.Is(err, broken.set) {
		t.Errorf("a key that could not be revoked: %v", err)
	}
	if err := k.admit(t.Context(), publicKey(testKey("c")), "", nil); codeFrom(err) != tunnel.CodeRevoked {
		t.Errorf("it is admitted: %v", err)
	}
}

// TestKeysWatched: the file is followed until the relay ends. A mistake in it is reported
// once for each text, and what was read before stays in force.
func TestKeysWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		a, b := publicKey(testKey("a")), publicKey(testKey("b"))
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(a.String())
		k, err := newKeyPolicy(&Options{AuthorizedKeys: path, Registry: NewMemory()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var noted []error
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.watch(ctx, func(err error) { noted = append(noted, err) })
		}()
		for _, step := range []struct {
			text  string
			a, b  bool // is admitted
			notes int
		}{
			{a.String(), true, false, 0},
			{"nonsense", true, false, 1},
			{a.String() + "\n" + b.String(), true, true, 0},
			{b.String(), false, true, 0},
		} {
			noted = nil
			write(step.text)
			time.Sleep(3 * keysPoll)
			synctest.Wait()
			if len(noted) != step.notes {
				t.Errorf("%q: noted %v", step.text, noted)
			}
			for key, may := range map[Key]bool{a: step.a, b: step.b} {
				if err := k.admit(t.Context(), key, "", nil); (err == nil) != may {
					t.Errorf("%q: %v", step.text, err)
				}
			}
		}
		cancel()
		<-done
		k.path = ""
		k.watch(t.Context(), func(err error) { t.Error(err) }) // nothing to follow
	})
}
