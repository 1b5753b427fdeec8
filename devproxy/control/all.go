package control

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// Answer is what an instance says about itself.
type Answer struct {
	Holder Holder
	// Status is zero if Err is not nil.
	Status Status
	// Err says why the instance does not answer: its process was stopped, for
	// example, or it is another version.
	Err error
}

// All asks every instance of this user for its status, all of them at once, and
// returns the answers by folder. One that has not answered within patience has an
// error; one that has ended is left out.
func All(ctx context.Context, runtimeDir string, patience time.Duration) ([]Answer, error) {
	all, err := bases(runtimeDir, holderSuffix)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found := make([]Answer, len(all))
	var group sync.WaitGroup
	for i, base := range all {
		group.Go(func() { found[i] = ask(ctx, base) })
	}
	group.Wait()
	found = slices.DeleteFunc(found, func(a Answer) bool { return a.Holder.PID == 0 || errors.Is(a.Err, ErrNotRunning) })
	slices.SortFunc(found, func(a, b Answer) int { return cmp.Compare(a.Holder.Folder, b.Holder.Folder) })
	return found, nil
}

// ask asks the instance whose files have the path base, without suffix.
func ask(ctx context.Context, base string) (a Answer) {
	a.Holder, _ = readHolder(base)
	client, err := dial(ctx, base)
	if err != nil {
		a.Err = err
		return a
	}
	a.Status, a.Err = client.Status(ctx)
	return a
}

// Clients returns a client of every instance of this user, by folder, including those that
// are starting or ending, or do not answer.
func Clients(runtimeDir string) ([]*Client, error) {
	bases, err := bases(runtimeDir, holderSuffix)
	var all []*Client
	for _, base := range bases {
		client := newClient(base)
		holder, ok := readHolder(base)
		if ok && !client.abandoned() {
			client.holder = holder
			all = append(all, client)
		}
	}
	slices.SortFunc(all, func(a, b *Client) int { return cmp.Compare(a.holder.Folder, b.holder.Folder) })
	return all, err
}

// abandoned reports whether the instance was killed: its socket is left, and nothing
// listens on it. Another process may have its id by now.
func (c *Client) abandoned() bool { return neterror.Refused(c.try(context.Background())) }
