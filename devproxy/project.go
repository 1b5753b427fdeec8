package devproxy

import (
	"context"
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
	l.File, l.Diagnostics, err = load()
	if err != nil {
		return l, err
	}
	in := env(l.File)
	in.CheckShow = share.CheckShow
	built, diags := plan.Build(l.File, in)
	l.Plan = built
	// Where the file is wrong already, the plan's words for the same line would
	// repeat it.
	diags = slices.DeleteFunc(diags, func(d hcl.Diagnostic) bool { return hasErrorAt(l.Diagnostics, d.Range) })
	l.Diagnostics = slices.Concat(l.Diagnostics, diags)
	l.Diagnostics.Sort()
	return l, nil
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

	env  plan.Env   // of the sockets that are open
	last *plan.Plan // the last plan that was built and applied, with nothing withheld
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
}

// Rejected reports whether the save changed nothing because of a mistake.
func (s Save) Rejected() bool { return s.Applied == nil }

// Apply loads the Proxyfile once and applies it.
func (p *Project) Apply() (save Save) {
	save.At = time.Now()
	defer func() { save.Took = time.Since(save.At) }()
	built, agreed, err := p.plan(&save)
	if err == nil && built != nil {
		err = p.register(agreed)
	}
	if err != nil || built == nil {
		save.Err = err
		p.reconsider(&save)
		return save
	}
	applied, err := p.Server.Apply(agreed)
	if err != nil {
		save.Err = err
		return save
	}
	save.Applied, save.Plan, p.last = &applied, agreed, built
	return save
}

// plan returns the file's plan, and what of it is agreed to; nil when the file has
// mistakes. It loads and plans once, unless the sockets change: url() has the port
// that is bound, which depends on the file itself.
func (p *Project) plan(save *Save) (built, agreed *plan.Plan, err error) {
	built, agreed, err = p.load(save)
	if err != nil || built == nil {
		return nil, nil, err
	}
	env, err := p.Bind(save.File)
	if err != nil {
		return nil, nil, err
	}
	if slices.Equal(env.Bound, p.env.Bound) {
		return built, agreed, nil
	}
	p.env = env
	return p.load(save)
}

func (p *Project) load(save *Save) (built, agreed *plan.Plan, err error) {
	loaded, err := Load(p.Load, func(*hcl.File) plan.Env {
		return plan.Env{Root: p.Root, Bound: p.env.Bound}
	})
	save.File, save.Diagnostics = loaded.File, loaded.Diagnostics
	if err != nil || save.Diagnostics.HasErrors() {
		return nil, nil, err
	}
	agreed, err = p.agreed(save, loaded.Plan)
	return loaded.Plan, agreed, err
}

// reconsider withholds what consent was taken back for from the plan that is served,
// even though the save itself has a mistake.
func (p *Project) reconsider(save *Save) {
	if p.last == nil {
		return
	}
	agreed, err := p.agreed(save, p.last)
	if err != nil || agreed == p.last {
		return
	}
	if _, err := p.Server.Apply(agreed); err == nil {
		save.Plan = agreed
	}
}

func (p *Project) register(next *plan.Plan) error {
	if p.Register == nil {
		return nil
	}
	return p.Register(next)
}

// agreed returns the part of a plan that may be served. It notes in save what
// it leaves out.
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
