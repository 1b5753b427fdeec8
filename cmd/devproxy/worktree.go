package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/worktree"
	"github.com/devproxy/devproxy/hcl"
)

// worktreeOf returns the linked git worktree that folder is in; nil if it is in none.
func worktreeOf(folder string) *hcl.Worktree {
	userHome, _ := os.UserHomeDir() // empty if it is not known
	return worktree.Linked(folder, userHome).Language()
}

// printWorktree says where the hosts of a worktree have moved; nothing without one.
func printWorktree(s *streams, w *control.Worktree) {
	if w == nil {
		return
	}
	s.paragraph(printable(fmt.Sprintf("worktree %s of %s: %s is %s here", w.Name, devproxy.Home(w.Repository), w.From, w.Domain)))
}

// relocate changes the host of v to the one that it has in this worktree. It returns
// the URL that was asked for; empty if that is the same.
func (v *visit) relocate(r *plan.Relocation) (asked string) {
	host := hostOf(v.authority)
	moved, moves := r.Host(strings.ToLower(host))
	if !moves {
		return ""
	}
	asked = v.url()
	v.authority = moved + strings.TrimPrefix(v.authority, host)
	return asked
}
