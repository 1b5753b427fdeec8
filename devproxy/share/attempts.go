package share

import "github.com/devproxy/devproxy/devproxy/access"

// Attempts counts wrong guesses at a password. It outlives the shares of one
// link, so that no change of the Proxyfile gives anybody more of them. Create
// it with NewAttempts.
type Attempts = access.Attempts

// NewAttempts has counted none.
func NewAttempts() *Attempts { return access.NewAttempts() }
