package hcl

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Worktree is a linked git worktree. Its hosts have names of their own, so that
// several worktrees of a repository can run at once.
type Worktree struct {
	// Name is the branch, "fix/ui", or the name of the folder without one.
	Name string
	// Key differs for all worktrees of a repository.
	Key string
	// Repository is the folder of the repository, for people.
	Repository string
	// Head is the absolute path of the file that names the branch, Content what is
	// in it. A watcher needs them: another branch means other hosts.
	Head    string
	Content []byte
}

const (
	// hashSize is how many hexadecimal digits a label gets that is not unique
	// without them.
	hashSize = 4
	// noLabel is the label of a name without any Latin letter or digit.
	noLabel = "worktree"
)

// label returns the DNS label of the worktree: that of its name. A label that is not the
// name itself, or is among taken, ends with a hash: another branch may have the same one,
// and no worktree needs to know the others.
func (w *Worktree) label(taken map[string]bool) string {
	label := Label(w.Name)
	if label == w.Key && !taken[label] {
		return label
	}
	if label == "" {
		label = noLabel
	}
	return w.hashed(label)
}

// hashed returns label, shortened if needed, with the hash of the worktree after it.
func (w *Worktree) hashed(label string) string {
	sum := sha256.Sum256([]byte(w.Key))
	label = strings.TrimRight(label[:min(len(label), maxLabel-1-hashSize)], "-")
	return label + "-" + hex.EncodeToString(sum[:])[:hashSize]
}

// Relocation is where the hosts of a linked worktree move: those below From move below
// To, which is From with a label before it. A nil Relocation moves nothing.
type Relocation struct {
	*Worktree
	Label    string // "fix-ui"
	From, To string // "shop.localhost", "fix-ui.shop.localhost"

	names []string // the hosts and aliases below From, as written
}

// Moved returns the name that a host has in the worktree: admin.shop.localhost becomes
// admin.fix-ui.shop.localhost. Names outside of From stay.
func (r *Relocation) Moved(name string) string {
	if r == nil || !isWithin(name, r.From) {
		return name
	}
	return strings.TrimSuffix(name, r.From) + r.To
}

// Original returns the name that a host of the worktree has in the file.
func (r *Relocation) Original(name string) string {
	if r == nil || !isWithin(name, r.To) {
		return name
	}
	return strings.TrimSuffix(name, r.To) + r.From
}

// Host is Moved for names of hosts of the file alone: other names below From may be
// those of another project. name is in lower case. moves is false if it stays.
func (r *Relocation) Host(name string) (moved string, moves bool) {
	if r == nil || !isWithin(name, r.From) || isWithin(name, r.To) {
		return name, false
	}
	if !hasHost(r.names, name) {
		return name, false
	}
	return r.Moved(name), true
}

// Link returns the URL text with the host that it has in the worktree, if it is a host
// of the file. The rest of it stays, byte for byte. It may have placeholders.
func (r *Relocation) Link(text string) string {
	scheme, rest, isURL := strings.Cut(text, "://")
	if r == nil || !isURL || strings.Contains(scheme, "/") {
		return text
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?#{"); end >= 0 { // {rest} may follow the host
		authority = rest[:end]
	}
	u := url.URL{Host: authority}
	moved, moves := r.Host(strings.ToLower(u.Hostname()))
	if !moves {
		return text
	}
	return scheme + "://" + moved + authority[len(u.Hostname()):] + rest[len(authority):]
}

// publicName returns the plain name of a share in the worktree, whose key is another:
// a relay gives a name to one key. The result is a name that can be chosen, as
// decodePublicName checks.
func (r *Relocation) publicName(name string) string {
	moved := name + "-" + r.Label
	if len(moved) > maxLabel || tokenForm.MatchString(moved) {
		moved = r.hashed(name)
	}
	return moved
}

// isWithin reports whether name is domain or below it.
func isWithin(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// relocate decodes the attributes that say where the hosts move. move moves them.
func (d *decoder) relocate(root *block) {
	d.relocating = true
	defer func() { d.relocating = false }()
	moves := true
	if f, present := d.get(root, "worktree"); present {
		on := f.boolean()
		moves = on != nil && *on
	}
	f, present := d.get(root, "domain")
	d.file.DomainFlow = f.comesFrom() // also into null
	if present {
		if text, ok := f.str("domain"); ok {
			d.file.Domain = f.place().hostName(text, false)
		}
	}
	from := d.file.Domain
	if from == "" && !present {
		from = commonParent(d.hostNames)
	}
	if d.env.worktree == nil || !moves || from == "" {
		return
	}
	taken := map[string]bool{}
	for _, name := range slices.Concat(d.hostNames, d.literalAliases(root)) {
		if below, ok := strings.CutSuffix(name, "."+from); ok {
			taken[below[strings.LastIndexByte(below, '.')+1:]] = true
		}
	}
	r := &Relocation{Worktree: d.env.worktree, From: from, names: slices.Clone(d.hostNames)}
	r.Label = r.label(taken)
	r.To = r.Label + "." + from
	d.relocation = r
}

// literalAliases returns the aliases that are written as they are. Others are not known
// yet.
func (d *decoder) literalAliases(root *block) (names []string) {
	for _, host := range root.only("host") {
		attr := host.attrs["aliases"]
		if attr == nil {
			continue
		}
		list, _ := attr.Expr.(*hclsyntax.TupleConsExpr)
		if list == nil {
			continue
		}
		for _, element := range list.Exprs {
			if name, ok := literalText(element); ok {
				names = append(names, strings.ToLower(name))
			}
		}
	}
	return names
}

// move moves the hosts of a linked worktree, and the links to them.
func (d *decoder) move() {
	r := d.relocation
	if r == nil || d.file.Domain != r.From {
		return
	}
	d.file.Relocation, d.file.Domain = r, r.To
	for _, host := range d.file.Hosts {
		for i := range host.Aliases {
			r.names = append(r.names, host.Aliases[i].Value)
		}
	}
	for _, host := range d.file.Hosts {
		d.moveName(&host.Name)
		for i := range host.Aliases {
			d.moveName(&host.Aliases[i])
		}
	}
	for _, host := range d.file.Hosts {
		host.moveLinks(r)
		for _, route := range host.Routes {
			route.moveLinks(r)
		}
	}
	if share := d.file.Share; share != nil {
		for i := range share.Hosts {
			share.Hosts[i].Value = r.Moved(share.Hosts[i].Value)
		}
		if share.Name != "" {
			share.Name = r.publicName(share.Name)
		}
		share.Domain = "" // it belongs to the key of the main worktree
	}
}

func (d *decoder) moveName(name *Name) {
	switch {
	case name.Value == "":
	case !isWithin(strings.TrimPrefix(name.Value, "*."), d.relocation.From):
		d.at(name.Range).warnf("only one worktree at a time can serve it; for a name in each worktree, write one below "+d.relocation.From,
			"%q is not below the domain %s, so it is the same in every worktree", name.Value, d.relocation.From)
	default:
		name.Value = d.relocation.Moved(name.Value)
		if len(name.Value) > maxName {
			d.at(name.Range).errorf("use a shorter one, a branch with a shorter name, or worktree = false", "in this worktree, the name has more than %d characters", maxName)
		}
	}
}

// moveLinks changes the places that s sends browsers to, and those that may read its
// responses.
func (s *Settings) moveLinks(r *Relocation) {
	if s.Redirect != nil {
		s.Redirect.Target = r.Link(s.Redirect.Target)
	}
	if s.CORS == nil {
		return
	}
	for i, origin := range s.CORS.Origins {
		moved := r.Link(origin)
		s.CORS.Origins[i] = moved
		if flow, ok := s.CORS.Flows[origin]; ok && moved != origin {
			delete(s.CORS.Flows, origin)
			s.CORS.Flows[moved] = flow
		}
	}
}
