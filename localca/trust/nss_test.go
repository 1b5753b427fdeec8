package trust

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/localca"
)

// certutil runs the real one.
func certutil(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), needTool(t, "certutil"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("certutil %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(output)
}

// database makes an NSS database with no password.
func (f *fixture) database(dir string) string {
	f.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.t.Fatal(err)
	}
	certutil(f.t, "-N", "-d", "sql:"+dir, "--empty-password")
	return dir
}

// holding are those of the folders whose database trusts the root, as certutil
// itself lists it.
func (f *fixture) holding(dirs ...string) []string {
	f.t.Helper()
	var holding []string
	for _, dir := range dirs {
		if !exists(filepath.Join(dir, "cert9.db")) {
			continue
		}
		for line := range strings.Lines(certutil(f.t, "-L", "-d", "sql:"+dir)) {
			if strings.HasPrefix(line, rootOf(f.ca).nick()) && strings.HasSuffix(strings.TrimSpace(line), " C,,") {
				holding = append(holding, dir)
			}
		}
	}
	return holding
}

func TestChromiumPlaces(t *testing.T) {
	needTool(t, "certutil")
	const legacy, modern = ".pki/nssdb", ".local/share/pki/nssdb"
	const snapLegacy, snapModern = "snap/chromium/current/.pki/nssdb", "snap/chromium/current/.local/share/pki/nssdb"
	const flatpak = ".var/app/com.google.Chrome/data/pki/nssdb"
	all := []string{legacy, modern, "xdg/pki/nssdb", snapLegacy, snapModern, flatpak}
	tests := map[string]struct {
		there []string // databases
		empty string   // a folder without one
		xdg   string   // $XDG_DATA_HOME below the home, or a relative path
		want  []string
	}{
		"neither: only the second is made":          {want: []string{modern}},
		"the first exists":                          {there: []string{legacy}, want: []string{legacy}},
		"the second exists":                         {there: []string{modern}, want: []string{modern}},
		"both exist":                                {there: []string{legacy, modern}, want: []string{legacy, modern}},
		"the first is an empty folder":              {empty: legacy, want: []string{legacy}},
		"the first is empty, the second exists":     {empty: legacy, there: []string{modern}, want: []string{legacy, modern}},
		"XDG_DATA_HOME":                             {xdg: "~/xdg", want: []string{"xdg/pki/nssdb"}},
		"XDG_DATA_HOME that is relative is ignored": {xdg: "xdg", want: []string{modern}},
		"XDG_DATA_HOME and the first":               {xdg: "~/xdg", there: []string{legacy}, want: []string{legacy}},
		"snap, and one to make":                     {there: []string{snapLegacy}, want: []string{modern, snapLegacy}},
		"snap's second, flatpak and the first":      {there: []string{legacy, snapModern, flatpak}, want: []string{legacy, snapModern, flatpak}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.env["XDG_DATA_HOME"] = strings.Replace(test.xdg, "~", f.machine.Home, 1)
			for _, dir := range test.there {
				f.database(f.home(dir))
			}
			if test.empty != "" {
				if err := os.MkdirAll(f.home(test.empty), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			store := f.store("chromium")
			want(t, store.Check(t.Context()), Untrusted)
			want(t, store.Install(t.Context()), Trusted)
			var places []string
			for _, dir := range all {
				places = append(places, f.home(dir))
			}
			var wanted []string
			for _, dir := range test.want {
				wanted = append(wanted, f.home(dir))
			}
			if diff := cmp.Diff(wanted, f.holding(places...)); diff != "" {
				t.Errorf("databases with the root (-want +got):\n%s", diff)
			}
			if test.want[0] != legacy && exists(f.home(".pki")) {
				t.Error("~/.pki was made: it hides the other database from Chromium")
			}
			want(t, store.Check(t.Context()), Trusted)
			want(t, store.Uninstall(t.Context()), Untrusted)
			if left := f.holding(places...); left != nil {
				t.Errorf("still there after untrust: %v", left)
			}
		})
	}
}

// TestNSSLeavesOthersAlone installs twice, replaces the CA, and untrusts: every
// root of devproxy's is gone, and nothing else.
func TestNSSLeavesOthersAlone(t *testing.T) {
	f := newFixture(t)
	db := f.database(f.home(".pki", "nssdb"))
	foreign := newCA(t)
	certutil(t, "-A", "-d", "sql:"+db, "-t", "C,,", "-n", "corporate devproxy local CA root", "-i", foreign.RootFile())
	before := certutil(t, "-L", "-d", "sql:"+db)

	want(t, f.store("chromium").Install(t.Context()), Trusted)
	once := certutil(t, "-L", "-d", "sql:"+db)
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	if diff := cmp.Diff(once, certutil(t, "-L", "-d", "sql:"+db)); diff != "" {
		t.Errorf("a second install changed the database:\n%s", diff)
	}

	f.ca = newCA(t) // the root was made again; the old one is still in the store
	want(t, f.store("chromium").Check(t.Context()), Untrusted)
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	if got := strings.Count(certutil(t, "-L", "-d", "sql:"+db), "\n"+Root{}.nickPrefix()); got != 2 {
		t.Fatalf("%d roots of devproxy's, want the old and the new one", got)
	}
	want(t, f.store("chromium").Uninstall(t.Context()), Untrusted)
	if diff := cmp.Diff(before, certutil(t, "-L", "-d", "sql:"+db)); diff != "" {
		t.Errorf("untrust left the database changed:\n%s", diff)
	}
	want(t, f.store("chromium").Uninstall(t.Context()), Untrusted) // again: nothing to do
}

func makeFolder(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestNSSRemovesWhatItMade: untrust leaves no database that trust has made, unless
// somebody has put something into it, and none that was there.
func TestNSSRemovesWhatItMade(t *testing.T) {
	needTool(t, "certutil")
	for name, test := range map[string]struct {
		before func(f *fixture, legacy, modern string)
		during func(f *fixture, legacy, modern string)
		left   []string // below the home
	}{
		"made": {},
		"made in a folder that was there": {
			before: func(f *fixture, legacy, _ string) { makeFolder(f.t, legacy) },
			left:   []string{".pki/nssdb"},
		},
		"it was there": {
			before: func(f *fixture, _, modern string) { f.database(modern) },
			left:   []string{".local/share/pki/nssdb", ".local/share/pki/nssdb/cert9.db"},
		},
		"somebody's root is in it": {
			during: func(f *fixture, _, modern string) {
				certutil(f.t, "-A", "-d", "sql:"+modern, "-n", "mine", "-t", "C,,", "-i", newCA(f.t).RootFile())
			},
			left: []string{".local/share/pki/nssdb", ".local/share/pki/nssdb/cert9.db"},
		},
		"something else is in the folder": {
			during: func(f *fixture, _, modern string) { makeFolder(f.t, filepath.Join(modern, "note")) },
			left:   []string{".local/share/pki/nssdb", ".local/share/pki/nssdb/note"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			legacy, modern := filepath.Join(f.machine.Home, ".pki/nssdb"), filepath.Join(f.machine.Home, ".local/share/pki/nssdb")
			if test.before != nil {
				test.before(f, legacy, modern)
			}
			want(t, f.store("chromium").Install(t.Context()), Trusted)
			if test.during != nil {
				test.during(f, legacy, modern)
			}
			want(t, f.store("chromium").Uninstall(t.Context()), Untrusted)
			for _, path := range []string{".pki/nssdb", ".pki/nssdb/cert9.db", ".local/share/pki", ".local/share/pki/nssdb", ".local/share/pki/nssdb/cert9.db", ".local/share/pki/nssdb/note"} {
				kept := slices.ContainsFunc(test.left, func(left string) bool { return left == path || strings.HasPrefix(left, path+"/") })
				if there := exists(filepath.Join(f.machine.Home, path)); there != kept {
					t.Errorf("%s is there: %v, want %v", path, there, kept)
				}
			}
		})
	}
}

// TestNSSWithoutCA has lost its CA: untrust finds what devproxy put there.
func TestNSSWithoutCA(t *testing.T) {
	f := newFixture(t)
	db := f.database(f.home(".pki", "nssdb"))
	colleague := newCA(t)
	certutil(t, "-A", "-d", "sql:"+db, "-t", "C,,", "-n", byHand(colleague), "-i", colleague.RootFile())
	before := certutil(t, "-L", "-d", "sql:"+db)
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	f.ca = nil
	want(t, f.store("chromium").Uninstall(t.Context()), Untrusted)
	if diff := cmp.Diff(before, certutil(t, "-L", "-d", "sql:"+db)); diff != "" {
		t.Errorf("untrust took out more or less than the root:\n%s", diff)
	}
}

// TestElsewhere has browsers that read the system's store: even with a certutil
// on PATH, which is another program on Windows, nothing is made for them.
func TestElsewhere(t *testing.T) {
	for _, at := range []struct{ os, store string }{{"darwin", "chromium"}, {"windows", "chromium"}, {"windows", "firefox"}} {
		f := newFixture(t)
		f.machine.OS = at.os
		f.machine.Run = func(_ context.Context, argv ...string) ([]byte, error) {
			t.Errorf("%s on %s: %v was run", at.store, at.os, argv)
			return nil, nil
		}
		store := f.store(at.store)
		for _, got := range []Result{store.Check(t.Context()), store.Install(t.Context()), store.Uninstall(t.Context())} {
			if want(t, got, Skipped); got.Detail != readsSystem {
				t.Errorf("detail %q", got.Detail)
			}
		}
	}
}

// TestNSSDistrusted is a root that somebody has put there without trust:
// presence alone is not enough, and trust fixes it.
func TestNSSDistrusted(t *testing.T) {
	f := newFixture(t)
	db := f.database(f.home(".pki", "nssdb"))
	certutil(t, "-A", "-d", "sql:"+db, "-t", ",,", "-n", rootOf(f.ca).nick(), "-i", f.ca.RootFile())
	got := want(t, f.store("chromium").Check(t.Context()), Untrusted)
	if !strings.Contains(got.Detail, "there but not trusted") || got.Fix != "devproxy trust --store chromium" || got.Changed {
		t.Errorf("%+v", got)
	}
	if got := want(t, f.store("chromium").Install(t.Context()), Trusted); got.Fix != "" || !got.Changed {
		t.Errorf("%+v", got)
	}
	if got := want(t, f.store("chromium").Check(t.Context()), Trusted); got.Changed {
		t.Errorf("a check has changed something: %+v", got)
	}
}

// TestNSSNotHere: without a database, untrust makes none and runs nothing.
func TestNSSNotHere(t *testing.T) {
	f := newFixture(t)
	f.machine.Run = func(_ context.Context, argv ...string) ([]byte, error) {
		t.Errorf("%v was run", argv)
		return nil, nil
	}
	for name, detail := range map[string]string{"chromium": "no chromium database here", "firefox": "no firefox profile here"} {
		if got := want(t, f.store(name).Uninstall(t.Context()), Skipped); got.Detail != detail {
			t.Errorf("%s: %q", name, got.Detail)
		}
	}
}

func TestNSSWithoutCertutil(t *testing.T) {
	for _, name := range []string{"chromium", "firefox"} {
		f := newFixture(t)
		f.write(f.home(".mozilla/firefox/profiles.ini"), "[Profile0]\nPath=a\n")
		f.write(f.home(".mozilla/firefox/a/cert9.db"), "")
		f.machine.Find = func(program string) (string, error) { return "", exec.ErrNotFound }
		for _, got := range []Result{f.store(name).Check(t.Context()), f.store(name).Install(t.Context())} {
			want(t, got, Skipped)
			if !strings.Contains(got.Fix, "libnss3-tools") {
				t.Errorf("fix %q does not say what to install", got.Fix)
			}
		}
	}
}

// byHand is the nickname that a browser gives the root when a person imports
// the file: it is made of the certificate's names.
func byHand(ca *localca.CA) string {
	name := ca.Root().Subject
	return name.CommonName + " - " + name.Organization[0]
}

// TestNSSImportedByHand is a root that a person has put there with the browser's
// own dialogue, as the advice for a database with a password says.
func TestNSSImportedByHand(t *testing.T) {
	f := newFixture(t)
	db := f.database(f.home(".pki", "nssdb"))
	colleague := newCA(t)
	f.write(f.home("colleague.pem"), string(colleague.RootPEM()))
	certutil(t, "-A", "-d", "sql:"+db, "-t", "C,,", "-n", byHand(colleague)+" #2", "-i", f.home("colleague.pem"))
	before := certutil(t, "-L", "-d", "sql:"+db)
	want(t, f.store("chromium").Check(t.Context()), Untrusted)

	certutil(t, "-A", "-d", "sql:"+db, "-t", ",,", "-n", byHand(f.ca), "-i", f.ca.RootFile())
	got := want(t, f.store("chromium").Check(t.Context()), Untrusted)
	if !strings.Contains(got.Detail, "there but not trusted") {
		t.Errorf("detail %q", got.Detail)
	}
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	want(t, f.store("chromium").Check(t.Context()), Trusted)
	want(t, f.store("chromium").Uninstall(t.Context()), Untrusted)
	if diff := cmp.Diff(before, certutil(t, "-L", "-d", "sql:"+db)); diff != "" {
		t.Errorf("untrust took out more or less than the root:\n%s", diff)
	}
}

// TestNSSRootWrittenAnew has two certificates of one key in a database, which
// NSS files under one subject.
func TestNSSRootWrittenAnew(t *testing.T) {
	f := newFixture(t)
	db := f.database(f.home(".pki", "nssdb"))
	before := certutil(t, "-L", "-d", "sql:"+db)
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	old := f.ca
	if err := os.Remove(old.RootFile()); err != nil {
		t.Fatal(err)
	}
	anew, err := localca.Open(filepath.Dir(old.RootFile()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(anew.Root().RawSubject, old.Root().RawSubject) || bytes.Equal(anew.Root().Raw, old.Root().Raw) {
		t.Fatal("it is the same certificate or has another subject: the test proves nothing")
	}
	f.ca = anew
	want(t, f.store("chromium").Check(t.Context()), Untrusted)
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	want(t, f.store("chromium").Check(t.Context()), Trusted)
	want(t, f.store("chromium").Uninstall(t.Context()), Untrusted)
	if diff := cmp.Diff(before, certutil(t, "-L", "-d", "sql:"+db)); diff != "" {
		t.Errorf("untrust left the database changed:\n%s", diff)
	}
}

// TestNSSHandshake makes NSS's own client the judge: it accepts our leaf, and a
// leaf of another CA it refuses, whatever certutil says of the root.
func TestNSSHandshake(t *testing.T) {
	needTool(t, "tstclnt")
	f := newFixture(t)
	f.withHandshake()
	want(t, f.store("chromium").Install(t.Context()), Trusted)
	other := newCA(t)
	f.machine.Handshake = func(context.Context) (string, func(), error) {
		addr, stop := listenWith(t, other)
		return addr, stop, nil
	}
	got := want(t, f.store("chromium").Check(t.Context()), Untrusted)
	if !strings.Contains(got.Detail, "NSS refuses a connection: SEC_ERROR_UNKNOWN_ISSUER") {
		t.Errorf("detail %q", got.Detail)
	}
}

func TestNickOf(t *testing.T) {
	tests := map[string]string{
		"devproxy local CA 0123456789ab                               C,,  \n":                 "devproxy local CA 0123456789ab",
		"devproxy local CA for amy@a-machine-with-a-long-name.example.com - devproxy CT,C,c\n": "devproxy local CA for amy@a-machine-with-a-long-name.example.com - devproxy",
		"devproxy local CA                                            C,,  \n":                 "",
		" devproxy local CA 0123456789ab                              C,,  \n":                 "",
		"corporate devproxy local CA 0123456789ab                     C,,  \n":                 "",
		"devproxy local CA":               "",
		"devproxy local CA ":              "",
		"devproxy local CA without flags": "",
		"":                                "",
	}
	for line, want := range tests {
		got, ok := (&nss{}).nickOf(line)
		if got != want || ok != (want != "") {
			t.Errorf("nickOf(%q) = %q, %v, want %q", line, got, ok, want)
		}
	}
}

func TestGiven(t *testing.T) {
	for nick, want := range map[string]bool{
		rootOf(newCA(t)).nick():                           true,
		Root{}.nickPrefix() + "0123456789ab":              true,
		Root{}.nickPrefix() + "0123456789":                false,
		Root{}.nickPrefix() + "for amy@host - devproxy":   false,
		Root{}.nickPrefix() + "0123456789ab - devproxy":   false,
		"corporate " + Root{}.nickPrefix() + "0123456789": false,
	} {
		if got := (&nss{}).given(nick); got != want {
			t.Errorf("given(%q) = %v", nick, got)
		}
	}
}

// TestNSSFailures: what is done, and told, when certutil does not do what it is asked
// to: nothing is left half done, and only what has changed is told as changed.
func TestNSSFailures(t *testing.T) {
	f := newFixture(t)
	db := f.home("db")
	f.write(filepath.Join(db, "cert9.db"), "")
	failed := errors.New("exit status 255")
	type answer struct {
		output string
		err    error
	}
	const bad = "certutil: it is broken\nand more"
	nick, der := rootOf(f.ca).nick(), string(f.ca.Root().Raw)
	listed := answer{"Nickname   Trust\n\n" + nick + "   C,,\n", nil}
	for name, c := range map[string]struct {
		do      string
		create  bool                // no database yet
		answers map[string][]answer // by certutil's action, in turn; the last one stays
		tls     answer              // of NSS's own client
		ran     string              // the actions, without -r
		state   State
		changed bool
		detail  string
	}{
		"install, and it is there":         {"install", false, map[string][]answer{"-L": {listed}}, answer{}, "-L -L -V", Trusted, false, ""},
		"install":                          {"install", false, map[string][]answer{"-L": {{}, {}, listed}}, answer{}, "-L -L -A -L -L -V", Trusted, true, ""},
		"install, and it is not trusted":   {"install", false, map[string][]answer{"-L": {{}, {}, listed}, "-V": {{bad, failed}}}, answer{}, "-L -L -A -L -L -V", Failed, true, "there but not trusted: certutil: it is broken"},
		"install, and listing fails":       {"install", false, map[string][]answer{"-L": {{bad, failed}}}, answer{}, "-L -L", Failed, false, "certutil: it is broken"},
		"install, and adding fails":        {"install", false, map[string][]answer{"-L": {{}}, "-A": {{bad, failed}}}, answer{}, "-L -L -A -D", Failed, false, "certutil: it is broken"},
		"fix, and adding fails":            {"install", false, map[string][]answer{"-L": {listed}, "-V": {{bad, failed}}, "-A": {{bad, failed}}}, answer{}, "-L -L -V -L -L -A", Failed, false, "certutil: it is broken"},
		"install, and the program is gone": {"install", false, map[string][]answer{"-L": {{}}, "-A": {{"", failed}}}, answer{}, "-L -L -A", Failed, false, "exit status 255"},
		"make one, and that fails":         {"install", true, map[string][]answer{"-N": {{bad, failed}}}, answer{}, "-N", Failed, false, "can't make the database: certutil: it is broken"},
		"check one that is not there":      {"check", true, nil, answer{}, "", Untrusted, false, "no database yet"},
		"check, and it is there":           {"check", false, map[string][]answer{"-L": {listed}}, answer{}, "-L -L -V", Trusted, false, ""},
		"check, and it is not there":       {"check", false, map[string][]answer{"-L": {{}}}, answer{}, "-L", Untrusted, false, "the root is not there"},
		"check, and NSS refuses it":        {"check", false, map[string][]answer{"-L": {listed}}, answer{"authentication of server cert failed: no\nmore", failed}, "-L -L -V", Untrusted, false, "NSS refuses a connection: no"},
		"check, and NSS only says so":      {"check", false, map[string][]answer{"-L": {listed}}, answer{"authentication of server cert failed: no", nil}, "-L -L -V", Trusted, false, ""},
		"check, and NSS fails otherwise":   {"check", false, map[string][]answer{"-L": {listed}}, answer{"unknown option", failed}, "-L -L -V", Trusted, false, ""},
		"remove":                           {"remove", false, map[string][]answer{"-L": {listed}}, answer{}, "-L -D", Untrusted, true, ""},
		"remove, and that fails":           {"remove", false, map[string][]answer{"-L": {listed}, "-D": {{bad, failed}}}, answer{}, "-L -D", Failed, false, "certutil: it is broken"},
		"remove, and listing fails":        {"remove", false, map[string][]answer{"-L": {{bad, failed}}}, answer{}, "-L", Failed, false, "certutil: it is broken"},
		"remove where there is none":       {"remove", true, nil, answer{}, "", Skipped, false, "no chromium database here"},
		"remove what is not there":         {"remove", false, map[string][]answer{"-L": {{}}}, answer{}, "-L", Untrusted, false, ""},
	} {
		var ran []string
		m := f.machine
		m.Find = func(program string) (string, error) { return program, nil }
		m.Handshake = func(context.Context) (string, func(), error) { return "127.0.0.1:443", func() {}, nil }
		m.Run = func(_ context.Context, argv ...string) ([]byte, error) {
			if argv[0] == "tstclnt" {
				return []byte(c.tls.output), c.tls.err
			}
			action := argv[1]
			ran = append(ran, action)
			if slices.Contains(argv, "-r") {
				return []byte(der), nil
			}
			all := c.answers[action]
			if len(all) == 0 {
				return nil, nil
			}
			if len(all) > 1 {
				c.answers[action] = all[1:]
			}
			if all[0].output == "" && all[0].err != nil {
				return nil, all[0].err
			}
			return []byte(all[0].output), all[0].err
		}
		s := &nss{machine: m, root: rootOf(f.ca), name: "chromium", find: func(Machine) databases {
			if c.create {
				return databases{create: f.home("made", name)}
			}
			return databases{existing: []string{db}}
		}}
		add := func(ctx context.Context) Result { return *s.add(ctx) }
		do := map[string]func(context.Context) Result{"install": add, "check": s.check, "remove": s.remove}[c.do]
		got := do(t.Context())
		if got.State != c.state || got.Changed != c.changed || !strings.Contains(got.Detail, c.detail) || strings.Contains(got.Detail, "and more") {
			t.Errorf("%s: %+v", name, got)
		}
		if strings.Join(ran, " ") != c.ran {
			t.Errorf("%s: ran %q, want %q", name, ran, c.ran)
		}
	}
}
