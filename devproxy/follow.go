package devproxy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/watch"
	"github.com/devproxy/devproxy/hcl"
)

// Project is a folder's Proxyfile on its way to a Server: loaded, planned,
// applied, and again on every save.
type Project struct {
	Server *Server
	// Folder is the project's identity for the server.
	Folder string
	// Load reads the Proxyfile; hcl.Load with its arguments. The File must not
	// be nil.
	Load func() (*hcl.File, hcl.Diagnostics, error)
	// Bind has the sockets that a file asks for opened, keeping those that stay
	// wanted, and returns what plans depend on beside the file.
	Bind func(*hcl.File) (plan.Env, error)

	// Root is the folder of the project, links followed; empty is Folder's.
	Root string
	// Consent decides what of a plan is served: the plan itself, or one with
	// parts withheld; an error keeps what was served. It is asked before sockets
	// are opened and again, when these are, before anything is served. Nil
	// serves all.
	Consent func(*plan.Plan) (*plan.Plan, error)

	env  plan.Env   // of the sockets that are open
	last *plan.Plan // what was built last and applied, with nothing withheld
}

// Save is the outcome of one save.
type Save struct {
	// At is when the change was noticed, Took how long it took to apply.
	At   time.Time
	Took time.Duration
	// File is what was read; without hosts when Err is not nil.
	File *hcl.File
	// Diagnostics are the file's and the plan's. With an error among them
	// nothing was applied.
	Diagnostics hcl.Diagnostics
	// Err is what kept the file from being read or applied, else nil.
	Err error
	// Applied is what changed; nil when nothing was applied.
	Applied *Applied
	// Plan is the plan that was applied, nil when none was. After a mistake it is
	// the rest of the plan before, when consent for a part of that was taken back.
	Plan *plan.Plan
	// Withheld are the effects that Plan was to have and Consent has left out.
	Withheld []*plan.Effect
}

// Rejected reports whether the save changed nothing because of a mistake.
func (s Save) Rejected() bool { return s.Applied == nil }

// Apply loads the Proxyfile once and applies it.
func (p *Project) Apply() (save Save) {
	save.At = time.Now()
	defer func() { save.Took = time.Since(save.At) }()
	save.File, save.Diagnostics, save.Err = p.Load()
	if save.Err != nil || save.Diagnostics.HasErrors() {
		p.reconsider(&save)
		return save
	}
	built, err := p.plan(&save)
	var agreed *plan.Plan
	if err == nil && built != nil {
		agreed, err = p.agreed(&save, built)
	}
	if err != nil || built == nil {
		save.Err = err
		p.reconsider(&save)
		return save
	}
	applied, err := p.Server.Apply(p.Folder, agreed)
	if err != nil {
		save.Err = err
		return save
	}
	save.Applied, save.Plan, p.last = &applied, agreed, built
	return save
}

// reconsider has the plan that is served no longer do what consent was taken
// back for, though the save itself has a mistake.
func (p *Project) reconsider(save *Save) {
	if p.last == nil {
		return
	}
	agreed, err := p.agreed(save, p.last)
	if err != nil || agreed == p.last {
		return
	}
	if _, err := p.Server.Apply(p.Folder, agreed); err == nil {
		save.Plan = agreed
	}
}

// plan builds the file's plan: nil when it has mistakes. They are looked for
// before a socket is touched.
func (p *Project) plan(save *Save) (*plan.Plan, error) {
	p.env.Root = p.Root
	first, diags := plan.Build(save.File, p.env)
	if diags.HasErrors() {
		save.add(diags)
		return nil, nil
	}
	if _, err := p.agreed(save, first); err != nil {
		return nil, err
	}
	env, err := p.Bind(save.File)
	if err != nil {
		return nil, err
	}
	env.Root = p.Root
	if !slices.Equal(env.Bound, p.env.Bound) {
		// url() names the port, which only now is known.
		p.env = env
		save.File, save.Diagnostics, err = p.Load()
		if err != nil || save.Diagnostics.HasErrors() {
			return nil, err
		}
	}
	built, diags := plan.Build(save.File, env)
	save.add(diags)
	if diags.HasErrors() {
		return nil, nil
	}
	return built, nil
}

// agreed is what of a plan may be served. What is left out is noted in save.
func (p *Project) agreed(save *Save, built *plan.Plan) (*plan.Plan, error) {
	save.Withheld = nil
	if p.Consent == nil {
		return built, nil
	}
	agreed, err := p.Consent(built)
	if err != nil {
		return nil, err
	}
	kept := agreed.Effects()
	for _, e := range built.Effects() {
		if !slices.Contains(kept, e) {
			save.Withheld = append(save.Withheld, e)
		}
	}
	return agreed, nil
}

func (s *Save) add(diags hcl.Diagnostics) {
	s.Diagnostics = append(s.Diagnostics, diags...)
	s.Diagnostics.Sort()
}

// Follow applies every change of the files that first was read from, until
// ctx ends. report is called after each, in Follow's goroutine; note tells why
// the system has no file events to give.
func (p *Project) Follow(ctx context.Context, first Save, report func(Save), note func(string)) {
	watcher := watch.New(watch.Options{Note: note})
	watcher.Set(watched(first.File))
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { watcher.Run(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-watcher.Changes():
			save := p.Apply()
			watcher.Set(watched(save.File))
			report(save)
		}
	}
}

// watched are the files that f was made of, with what they held.
func watched(f *hcl.File) []watch.File {
	files := make([]watch.File, len(f.Watch))
	for i, path := range f.Watch {
		files[i] = watch.File{Path: path, Content: f.Read[path]}
	}
	return files
}
