package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/container/containertest"
)

// with returns labels with some replaced.
func with(labels map[string]string, pairs ...string) map[string]string {
	all := map[string]string{}
	for name, value := range labels {
		all[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return all
}

// TestMembership has containers of other projects, and some that pretend.
func TestMembership(t *testing.T) {
	t.Parallel()
	engine := containertest.New(t)
	opts := options(t, engine.Host())
	base := opts.Folder
	opts.Folder = filepath.Join(base, "shop")
	write := func(path, content string) {
		t.Helper()
		path = filepath.Join(base, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("shop/Proxyfile", "")
	write("shop/.git/HEAD", "ref: refs/heads/main\n")
	write("shop/.git/worktrees/fix/HEAD", "ref: refs/heads/fix\n")
	write("shop/.git/worktrees/fix/commondir", "../..\n")
	write("shop/.git/worktrees/fix/gitdir", filepath.Join(base, "shop/trees/fix/.git")+"\n")
	write("shop/trees/fix/.git", "gitdir: "+filepath.Join(base, "shop/.git/worktrees/fix")+"\n")
	write("shop/other/Proxyfile", "")
	write("shop/other/deep/compose.yaml", "")
	write("shop/backend/.git", "gitdir: ../.git/modules/backend\n")
	write("shop/backend/compose.yaml", "")
	write("shop/vendor/clone/.git/HEAD", "ref: refs/heads/main\n")
	write("shop/vendor/clone/compose.yaml", "")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(opts.Folder, link); err != nil {
		t.Fatal(err)
	}

	mine := containertest.Compose(opts.Folder, "api", 1)
	evil := map[string]string{"com.docker.compose.project.working_dir": opts.Folder, "com.docker.compose.service": "api", "devproxy.host": "shop.localhost"}
	for name, test := range map[string]struct {
		containertest.Container
		want string // service and host, or the problem
	}{
		"compose":                 {containertest.Container{Labels: with(mine, "devproxy.host", "a.localhost")}, "api a.localhost"},
		"compose below":           {containertest.Container{Labels: containertest.Compose(opts.Folder+"/docker/dev", "db", 1)}, "db "},
		"submodule":               {containertest.Container{Labels: containertest.Compose(opts.Folder+"/backend", "db", 1)}, "db "},
		"a clone in it":           {containertest.Container{Labels: containertest.Compose(opts.Folder+"/vendor/clone", "db", 1)}, "its compose file is in another repository"},
		"compose above":           {containertest.Container{Labels: containertest.Compose(base, "api", 1)}, ""},
		"compose next to it":      {containertest.Container{Labels: containertest.Compose(opts.Folder+"-copy", "api", 1)}, ""},
		"dots":                    {containertest.Container{Labels: containertest.Compose(opts.Folder+"/../evil", "api", 1)}, ""},
		"relative":                {containertest.Container{Labels: containertest.Compose("shop", "api", 1)}, ""},
		"worktree":                {containertest.Container{Labels: containertest.Compose(opts.Folder+"/trees/fix", "api", 1)}, ""},
		"project below":           {containertest.Container{Labels: containertest.Compose(opts.Folder+"/other/deep", "api", 1)}, ""},
		"other project's claim":   {containertest.Container{Labels: with(containertest.Compose(base+"/evil", "api", 1), "devproxy.project", opts.Folder, "devproxy.host", "shop.localhost")}, ""},
		"by hand":                 {containertest.Container{Labels: map[string]string{"devproxy.project": opts.Folder + "/", "devproxy.host": "b.localhost", "devproxy.path": "/x"}}, " b.localhost"},
		"by hand, elsewhere":      {containertest.Container{Labels: map[string]string{"devproxy.project": base + "/evil", "devproxy.host": "b.localhost"}}, ""},
		"by hand, below":          {containertest.Container{Labels: map[string]string{"devproxy.project": opts.Folder + "/below"}}, ""},
		"by hand, relative":       {containertest.Container{Labels: map[string]string{"devproxy.project": "."}}, "not an absolute path"},
		"by hand, no project":     {containertest.Container{Labels: map[string]string{"devproxy.host": "b.localhost"}}, "no label says to which project it belongs"},
		"no labels":               {containertest.Container{}, ""},
		"image of a stranger":     {containertest.Container{ImageLabels: evil}, "so nothing says where the container belongs"},
		"other project's trick":   {containertest.Container{Labels: with(containertest.Compose(base+"/evil", "api", 1), "devproxy.project", opts.Folder, "devproxy.host", "shop.localhost"), ImageLabels: containertest.Compose(base+"/evil", "api", 1)}, "so nothing says where the container belongs"},
		"image that says project": {containertest.Container{ImageLabels: map[string]string{"devproxy.project": opts.Folder, "devproxy.host": "shop.localhost"}}, "come from its image"},
		"image with a host":       {containertest.Container{Labels: mine, ImageLabels: map[string]string{"devproxy.host": "shop.localhost"}}, "api "},
		"image with a service":    {containertest.Container{Labels: map[string]string{"devproxy.project": opts.Folder}, ImageLabels: map[string]string{"com.docker.compose.service": "api"}}, " "},
		"image built by compose":  {containertest.Container{Labels: mine, ImageLabels: map[string]string{"com.docker.compose.service": "api", "com.docker.compose.project": "shop"}}, "api "},
		"image that is gone":      {containertest.Container{Labels: mine, NoImage: true}, "its image can't be read"},
		"long label":              {containertest.Container{Labels: with(mine, "devproxy.host", strings.Repeat("a", maxLabel+1))}, "longer than 1024 bytes"},
		"control characters":      {containertest.Container{Labels: with(mine, "com.docker.compose.service", "api\x1b[2J")}, "control characters"},
		"many other labels":       {containertest.Container{Labels: with(mine, "other", strings.Repeat("\x1b", 5000))}, "api "},
	} {
		c := test.Container
		c.Name = "c1"
		engine.Set(c)
		for _, folder := range []string{opts.Folder, link} {
			opts.Folder = folder
			s := List(t.Context(), opts)
			if s.Err != nil {
				t.Fatal(s.Err)
			}
			var got string
			if len(s.Containers) == 1 {
				got = s.Containers[0].Service + " " + s.Containers[0].Host
			}
			if name == "image with a host" && len(s.Problems) != 1 {
				t.Errorf("%s: no problem says that the host does not count", name)
			} else if len(s.Containers) == 0 && len(s.Problems) == 1 {
				got = s.Problems[0].Err.Error()
			}
			if got != test.want && (len(test.want) <= 10 || !strings.Contains(got, test.want)) {
				t.Errorf("%s: %q, want %q", name, got, test.want)
			}
		}
		opts.Folder = filepath.Join(base, "shop")
	}

	// The worktree has containers of its own.
	opts.Folder = filepath.Join(base, "shop/trees/fix")
	engine.Set(containertest.Container{Name: "c1", Labels: containertest.Compose(opts.Folder, "api", 1)},
		containertest.Container{Name: "c2", Labels: mine})
	if s := List(t.Context(), opts); len(s.Containers) != 1 || s.Containers[0].Name != "c1" {
		t.Errorf("in the worktree: %s, %v", describe(s), s.Err)
	}

	// A folder without a repository of its own can have several.
	opts.Folder = filepath.Join(base, "shop")
	if err := os.RemoveAll(filepath.Join(opts.Folder, ".git")); err != nil {
		t.Fatal(err)
	}
	engine.Set(containertest.Container{Name: "c1", Labels: containertest.Compose(opts.Folder+"/vendor/clone", "db", 1)})
	if s := List(t.Context(), opts); len(s.Containers) != 1 {
		t.Errorf("a folder of repositories: %s, %v", describe(s), s.Err)
	}
}
