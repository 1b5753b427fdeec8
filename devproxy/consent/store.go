// Package consent remembers the effects outside their folders that a user has
// allowed projects: which folders, sockets and machines their Proxyfiles reach,
// and which values of the environment leave.
//
// A consent belongs to a repository and to an effect: the worktrees of a
// repository share it, and neither the line nor the route that causes the effect
// matters. Nothing in a repository can give consent: the store is a file in
// $DEVPROXY_HOME, and which repository a folder belongs to is decided by what the
// repository itself says of its worktrees, not by what the folder claims.
package consent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/worktree"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
)

// The files of a store, in $DEVPROXY_HOME.
const (
	fileName = "consent.json"
	lockName = "consent.lock"
)

// maxFile bounds the file: some thousand projects.
const maxFile = 16 << 20

// Store is the file that consents are kept in.
type Store struct {
	home, userHome string
}

// NewStore returns the store in home, which is $DEVPROXY_HOME. userHome is the
// user's home directory, or empty.
func NewStore(home, userHome string) *Store { return &Store{home, userHome} }

// Path is that of the file, which need not exist. Each change replaces it.
func (s *Store) Path() string { return filepath.Join(s.home, fileName) }

// Error says why the store cannot be used.
type Error = failure.Error

// Consents is a snapshot of the user's consents.
type Consents struct{ file record }

// record is the file. It contains no value of the environment: an entry whose target
// is made of some has a keyed digest of it, and the target with their names.
type record struct {
	// Secret is the key of the digests.
	Secret string `json:"secret"`
	// Projects are entries by Project.Key.
	Projects map[string][]entry `json:"projects,omitempty"`
	// Relays are allowed for all projects of the user.
	Relays []entry `json:"relays,omitempty"`
}

type entry struct {
	Kind   plan.Kind `json:"kind"`
	Target string    `json:"target"`
	Env    []string  `json:"env,omitempty"`
	Digest string    `json:"digest,omitempty"`
}

// entryOf is the entry of an effect.
func (r *record) entryOf(e *plan.Effect) entry {
	kept := entry{Kind: e.Kind, Target: e.Target, Env: e.Env}
	if e.Resolved != "" {
		secret, _ := hex.DecodeString(r.Secret) // valid: see read
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%q %q", e.Kind, e.Resolved)
		kept.Digest = hex.EncodeToString(mac.Sum(nil))
	}
	return kept
}

// covers reports whether consent to e is consent to other: the same, with at
// most the same variables.
func (e entry) covers(other entry) bool {
	// The digest is of the target itself; the text depends on how the target is
	// composed.
	same := e.Target == other.Target || e.Digest != ""
	return e.Kind == other.Kind && same && e.Digest == other.Digest &&
		!slices.ContainsFunc(other.Env, func(name string) bool { return !slices.Contains(e.Env, name) })
}

// list returns the entries for a kind of effect: a relay is confirmed once per user.
func (r *record) list(p Project, kind plan.Kind) []entry {
	if kind == plan.KindRelay {
		return r.Relays
	}
	return r.Projects[p.Key]
}

func (r *record) setList(p Project, kind plan.Kind, entries []entry) {
	if kind == plan.KindRelay {
		r.Relays = entries
	} else {
		r.Projects[p.Key] = entries
	}
}

// Allows reports whether the user has allowed e to p.
func (c *Consents) Allows(p Project, e *plan.Effect) bool {
	wanted := []entry{c.file.entryOf(e)}
	for _, wider := range e.Within {
		wanted = append(wanted, entry{Kind: e.Kind, Target: wider, Env: e.Env})
	}
	return slices.ContainsFunc(c.file.list(p, e.Kind), func(known entry) bool { return slices.ContainsFunc(wanted, known.covers) })
}

// Read reads the store for use by p. The error is an *Error, and nothing is allowed
// then.
func (s *Store) Read(p Project) (*Consents, error) {
	if err := s.checkPlace(p); err != nil {
		return nil, err
	}
	file, err := s.read()
	if err != nil {
		return nil, err
	}
	return &Consents{file}, nil
}

// Allow allows effects to p. The error is an *Error.
func (s *Store) Allow(p Project, effects []*plan.Effect) error {
	return s.change(p, func(r *record) {
		for _, e := range effects {
			wanted := r.entryOf(e)
			kept := slices.DeleteFunc(slices.Clone(r.list(p, e.Kind)), wanted.covers)
			if slices.ContainsFunc(kept, func(known entry) bool { return known.covers(wanted) }) {
				continue
			}
			r.setList(p, e.Kind, append(kept, wanted))
		}
	})
}

// Deny takes back all consents of p, and those for relays among effects. It
// returns how many. The error is an *Error.
func (s *Store) Deny(p Project, effects []*plan.Effect) (n int, err error) {
	err = s.change(p, func(r *record) {
		n = len(r.Projects[p.Key])
		delete(r.Projects, p.Key)
		for _, e := range effects {
			if e.Kind == plan.KindRelay {
				before := len(r.Relays)
				wanted := r.entryOf(e)
				r.Relays = slices.DeleteFunc(r.Relays, func(known entry) bool { return known.covers(wanted) || wanted.covers(known) })
				n += before - len(r.Relays)
			}
		}
	})
	return n, err
}

// change rewrites the file while no other process does.
func (s *Store) change(p Project, edit func(*record)) error {
	if err := s.checkPlace(p); err != nil {
		return err
	}
	if err := os.MkdirAll(s.home, 0o700); err != nil {
		return s.failure("make the folder", s.home, err)
	}
	lock := filepath.Join(s.home, lockName)
	unlock, err := localca.Lock(lock)
	if err != nil {
		return s.failure("lock", lock, err)
	}
	defer unlock()
	file, err := s.read()
	if err != nil {
		return err
	}
	edit(&file)
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	if err := localca.WriteFile(s.Path(), append(text, '\n'), 0o600); err != nil {
		return s.failure("write", s.Path(), err)
	}
	return nil
}

// read returns the content of the file; empty, with a new secret, when it does not
// exist.
func (s *Store) read() (record, error) {
	file := record{Projects: map[string][]entry{}}
	text, err := s.text()
	if errors.Is(err, fs.ErrNotExist) {
		secret := make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails
		file.Secret = hex.EncodeToString(secret)
		return file, nil
	}
	if err != nil {
		return file, s.failure("read", s.Path(), err)
	}
	err = json.Unmarshal(text, &file)
	if secret, noSecret := hex.DecodeString(file.Secret); err != nil || noSecret != nil || len(secret) != sha256.Size {
		return record{}, failure.Errorf("remove it, then: devproxy allow", "%s is damaged, so nothing is allowed", s.Path())
	}
	if file.Projects == nil { // "projects": null
		file.Projects = map[string][]entry{}
	}
	return file, nil
}

// text reads the file. A file that others could have written is refused.
func (s *Store) text() ([]byte, error) {
	info, err := os.Lstat(s.Path())
	if err != nil {
		return nil, err
	}
	// On Windows, the security descriptor says who may write the file, and the user's
	// profile folder keeps it to the user.
	isOpen := info.Mode().Perm()&0o022 != 0 && runtime.GOOS != "windows"
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return nil, errors.New("devproxy did not write it")
	case !hcl.IsOwn(info):
		return nil, errors.New("it belongs to another user")
	case isOpen:
		return nil, errors.New("other users can write to it; fix it with chmod 600")
	}
	return os.ReadFile(s.Path())
}

// checkPlace refuses a store inside the project: its consents could be files of
// the repository. A project that contains the user's home directory is the user's own.
func (s *Store) checkPlace(p Project) error {
	home, err := filepath.Abs(s.home)
	if err != nil {
		return s.failure("find", s.home, err)
	}
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	user, err := filepath.EvalSymlinks(s.userHome)
	if err != nil {
		user = s.userHome
	}
	if !worktree.Contains(p.Root, home) || user != "" && worktree.Contains(p.Root, user) {
		return nil
	}
	return failure.Errorf("name a folder outside in "+localca.HomeVariable+", or use --allow for one run",
		"the state folder %s is inside the project %s, whose files could give consent", home, p.Root)
}

func (s *Store) failure(op, path string, err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return failure.Errorf(localca.FixFor(path, err), "cannot %s %s: %w", op, path, err)
}
