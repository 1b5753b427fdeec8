package devproxy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/devproxy/watch"
	"github.com/devproxy/devproxy/hcl"
)

// Loaded is a Proxyfile, its plan, and the mistakes in both.
type Loaded struct {
	File        *hcl.File
	Plan        *plan.Plan // incomplete when Diagnostics has errors
	Diagnostics hcl.Diagnostics
}

// Load reads a Proxyfile with load, which is hcl.Load with its arguments, and
// plans it with the Env that env returns. File is what load returned, even with
// an error.
func Load(load func() (*hcl.File, hcl.Diagnostics, error), env func(*hcl.File) plan.Env) (l Loaded, err error) {
	file, diags, err := load()
	if err != nil {
		return Loaded{File: file, Diagnostics: diags}, err
	}
	return planned(file, diags, env(file)), nil
}

// planned plans a file with mistakes, which may be none.
func planned(file *hcl.File, mistakes hcl.Diagnostics, env plan.Env) Loaded {
	l := Loaded{File: file, Diagnostics: mistakes}
	env.CheckShow = share.CheckShow
	built, diags := plan.Build(l.File, env)
	l.Plan = built
	// Where the file is wrong already, the plan's words for the same line would
	// repeat it.
	diags = slices.DeleteFunc(diags, func(d hcl.Diagnostic) bool { return hasErrorAt(l.Diagnostics, d.Range) })
	l.Diagnostics = slices.Concat(l.Diagnostics, diags)
	l.Diagnostics.Sort()
	return l
}

func hasErrorAt(diags hcl.Diagnostics, at hcl.Range) bool {
	return slices.ContainsFunc(diags, func(d hcl.Diagnostic) bool {
		return d.Severity == hcl.Error && d.Range.File == at.File && d.Range.Start.Line == at.Start.Line
	})
}

// Project loads a folder's Proxyfile, plans it and applies the plan to a
// Server, and does so again on every save.
type Project struct {
	Server *Server
	// Load reads the Proxyfile; hcl.Load with its arguments. The File must not
	// be nil.
	Load func() (*hcl.File, hcl.Diagnostics, error)
	// Bind opens the sockets that a file asks for, keeps those that it still asks
	// for, and returns the plan's inputs other than the file.
	Bind func(*hcl.File) (plan.Env, error)

	// Root is the folder of the project, links followed; empty is Folder's.
	Root string
	// Consent decides how much of a plan is served: the whole plan, or a plan
	// with parts withheld. An error keeps the previous plan. It is called before
	// sockets are opened, and again when that changes the plan. Nil serves all.
	Consent func(*plan.Plan) (*plan.Plan, error)

	// Register gets the names of a plan before it is served, and an error keeps the
	// previous plan: another project has one of them. Nil registers nothing.
	Register func(*plan.Plan) error
	// Again makes Follow apply the Proxyfile although it has not changed; nil never does.
	Again <-chan struct{}

	// Containers returns what is known of the project's containers: the same pointer until
	// that changes, and nil if the plan, of which parts may be withheld, uses none. It
	// watches them as long as plans use them. Nil knows none.
	Containers func(*plan.Plan) *plan.Containers
	// Moved makes Follow apply the containers, without reading a file; nil never does.
	Moved <-chan struct{}

	env    plan.Env        // of the last plan that was built
	last   *plan.Plan      // the last plan that was built and applied, with nothing withheld
	agreed *plan.Plan      // what of last is served
	file   *hcl.File       // of last
	own    hcl.Diagnostics // of file
}

// Save is the outcome of one save.
type Save struct {
	// At is when the change was noticed, Took how long it took to apply.
	At   time.Time
	Took time.Duration
	// File was read; it has no hosts when Err is not nil.
	File *hcl.File
	// Diagnostics are the file's and the plan's. With an error among them
	// nothing was applied.
	Diagnostics hcl.Diagnostics
	// Err is what kept the file from being read or applied, else nil.
	Err error
	// Applied is what changed; nil when nothing was applied.
	Applied *Applied
	// Plan is the plan that was applied, nil when none was. After a mistake it is
	// the previous plan, without parts whose consent was withdrawn.
	Plan *plan.Plan
	// Withheld are the effects of Plan that Consent has left out.
	Withheld []*plan.Effect
	// Containers is true if no file has changed, but the containers have.
	Containers bool

	own hcl.Diagnostics // of File alone
}

// Rejected reports whether the save changed nothing because of a mistake.
func (s Save) Rejected() bool { return s.Applied == nil }

// Apply loads the Proxyfile once and applies it.
func (p *Project) Apply() (save Save) {
	save.At = time.Now()
	defer func() { save.Took = time.Since(save.At) }()
	p.env.Taken = nil
	built, agreed, err := p.plan(&save)
	if err == nil && built != nil {
		built, agreed, err = p.register(&save, built, agreed)
	}
	if err != nil || built == nil {
		save.Err = err
		p.reconsider(&save)
		return save
	}
	p.serve(&save, built, agreed)
	return save
}

// refresh applies the containers of the moment to the file that is served. A mistake in a
// newer one changes nothing about that.
func (p *Project) refresh() (save Save) {
	save = Save{At: time.Now(), Containers: true, File: p.file, own: p.own}
	defer func() { save.Took = time.Since(save.At) }()
	if p.last == nil {
		return save
	}
	containers := p.containers(p.agreed)
	if containers == p.env.Containers {
		return save
	}
	p.env.Containers, p.env.Taken = containers, nil
	built, agreed, err := p.build(&save)
	if err == nil && built != nil {
		built, agreed, err = p.register(&save, built, agreed)
	}
	if err != nil || built == nil {
		save.Err = err
		return save
	}
	p.serve(&save, built, agreed)
	return save
}

// serve applies a plan that can be served.
func (p *Project) serve(save *Save, built, agreed *plan.Plan) {
	applied, err := p.Server.Apply(agreed)
	if err != nil {
		save.Err = err
		return
	}
	save.Applied, save.Plan = &applied, agreed
	p.last, p.agreed, p.file, p.own = built, agreed, save.File, save.own
}

func (p *Project) containers(agreed *plan.Plan) *plan.Containers {
	if p.Containers == nil {
		return nil
	}
	return p.Containers(agreed)
}

// plan returns the file's plan, and what of it is agreed to; nil when the file has
// mistakes. It loads and plans once, unless the sockets change: url() has the port
// that is bound, which depends on the file itself. It plans once more if the containers
// have changed, which are not looked at before they are agreed to.
func (p *Project) plan(save *Save) (built, agreed *plan.Plan, err error) {
	built, agreed, err = p.load(save)
	if err != nil || built == nil {
		return nil, nil, err
	}
	env, err := p.Bind(save.File)
	if err != nil {
		return nil, nil, err
	}
	rebound := !slices.Equal(env.Bound, p.env.Bound)
	p.env.Bound = env.Bound
	containers := p.containers(agreed)
	switch {
	case containers != p.env.Containers:
		p.env.Containers = containers
		if !rebound {
			return p.build(save)
		}
	case !rebound:
		return built, agreed, nil
	}
	return p.load(save)
}

func (p *Project) load(save *Save) (built, agreed *plan.Plan, err error) {
	save.File, save.own, err = p.Load()
	save.Diagnostics = save.own
	if err != nil {
		return nil, nil, err
	}
	return p.build(save)
}

// build plans the file of save.
func (p *Project) build(save *Save) (built, agreed *plan.Plan, err error) {
	env := p.env
	env.Root = p.Root
	loaded := planned(save.File, save.own, env)
	save.Diagnostics = loaded.Diagnostics
	if save.Diagnostics.HasErrors() {
		return nil, nil, nil
	}
	agreed, err = p.consented(save, loaded.Plan)
	return loaded.Plan, agreed, err
}

// reconsider withholds what consent was taken back for from the plan that is served,
// even though the save itself has a mistake.
func (p *Project) reconsider(save *Save) {
	if p.last == nil {
		return
	}
	agreed, err := p.consented(save, p.last)
	if err != nil || agreed == p.last {
		return
	}
	if _, err := p.Server.Apply(agreed); err == nil {
		save.Plan, p.agreed = agreed, agreed
		p.containers(agreed) // which may not be watched any longer
	}
}

// NameError is the error of a name that another project serves.
type NameError struct {
	Name string
	Err  error // for people
}

func (e *NameError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *NameError) Unwrap() error { return e.Err }

// register gets the names of a plan. It plans again without a name that only the labels
// of containers have, if another project has it.
func (p *Project) register(save *Save, built, next *plan.Plan) (*plan.Plan, *plan.Plan, error) {
	if p.Register == nil {
		return built, next, nil
	}
	for {
		err := p.Register(next)
		taken, is := errors.AsType[*NameError](err)
		if !is || !slices.ContainsFunc(next.Hosts(), func(h *plan.Host) bool { return h.Labelled && h.Name == taken.Name }) {
			return built, next, err
		}
		p.env.Taken = maps.Clone(p.env.Taken)
		if p.env.Taken == nil {
			p.env.Taken = map[string]string{}
		}
		p.env.Taken[taken.Name] = taken.Error()
		if built, next, err = p.build(save); err != nil || built == nil {
			return nil, nil, err
		}
	}
}

// consented returns the part of a plan that may be served. It notes in save what
// it leaves out.
func (p *Project) consented(save *Save, built *plan.Plan) (*plan.Plan, error) {
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

// Follow applies every change of the files that first was read from, until
// ctx ends. report is called after each, in Follow's goroutine; note is called with
// the reason why the system provides no file events.
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
		case <-p.Again:
		case <-p.Moved:
			if save := p.refresh(); save.Applied != nil || save.Err != nil {
				report(save)
			}
			continue
		}
		save := p.Apply()
		watcher.Set(watched(save.File))
		report(save)
	}
}

// watched returns the files that f was read from, with their contents.
func watched(f *hcl.File) []watch.File {
	files := make([]watch.File, len(f.Watch))
	for i, path := range f.Watch {
		files[i] = watch.File{Path: path, Content: f.Read[path]}
	}
	return files
}
