package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestShareChange(t *testing.T) {
	now := atNoon(t)
	none := control.Share{State: control.ShareNone}
	connecting := control.Share{State: control.ShareConnecting, Link: 1, Relay: "t.example.com", Expires: now}
	up := sampleShare(now)
	with := func(sh control.Share, change func(*control.Share)) control.Share {
		change(&sh)
		return sh
	}
	state := func(name string) control.Share { return with(up, func(sh *control.Share) { sh.State = name }) }
	failing := with(state(control.ShareWaiting), func(sh *control.Share) { sh.Error = "refused" })
	for name, test := range map[string]struct {
		before, now control.Share
		want        shareEventKind // 0: nothing to tell
	}{
		"begun":                   {none, connecting, shareBegun},
		"still connecting":        {connecting, connecting, 0},
		"the first grant":         {connecting, up, shareShown},
		"granted before it is up": {with(up, func(sh *control.Share) { sh.State = control.ShareConnecting }), up, shareShown},
		"nothing":                 {up, up, 0},
		"later":                   {up, with(up, func(sh *control.Share) { sh.Expires = now.Add(9 * time.Hour) }), shareLater},
		"other hosts":             {up, with(up, func(sh *control.Share) { sh.Hosts = sh.Hosts[:1] }), shareShown},
		"another link":            {up, with(up, func(sh *control.Share) { sh.Link = 2 }), shareShown},
		"away":                    {up, state(control.ShareResuming), shareLost},
		"still away":              {state(control.ShareResuming), state(control.ShareResuming), 0},
		"away for longer":         {state(control.ShareResuming), failing, shareLost},
		"the same reason":         {failing, failing, 0},
		"another reason":          {failing, with(failing, func(sh *control.Share) { sh.Error = "no such host" }), shareLost},
		"never reached":           {connecting, with(failing, func(sh *control.Share) { sh.Hosts = nil }), shareLost},
		"back":                    {state(control.ShareResuming), up, shareBack},
		"back with another end":   {state(control.ShareWaiting), with(up, func(sh *control.Share) { sh.Expires = now }), shareBack},
		"asleep":                  {up, state(control.ShareAsleep), shareOver},
		"expired":                 {up, state(control.ShareExpired), shareOver},
		"still over":              {state(control.ShareEnded), state(control.ShareEnded), 0},
		"over between two looks":  {none, state(control.ShareFailed), shareOver},
		"again after it was over": {state(control.ShareEnded), with(connecting, func(sh *control.Share) { sh.Link = 2 }), shareBegun},
	} {
		got, told := shareChange(test.before, test.now)
		if !told {
			got.kind = 0
		}
		if got.kind != test.want {
			t.Errorf("%s: got %d, want %d", name, got.kind, test.want)
		}
	}
}

// TestMovedNamesTheHost of a link whose names are by tunnel.NamesByZone.
func TestMovedNamesTheHost(t *testing.T) {
	several := sampleShare(atNoon(t))
	one := several
	one.URL, one.Hosts = "https://shop-k3v9x2m7qpr4t8wz.t.example.com", several.Hosts[:1]
	if got := (shareEvent{before: one, share: several}).moved(); got != "shop.localhost" {
		t.Errorf("a second host: got %q", got)
	}
	for name, e := range map[string]shareEvent{
		"back to one":  {before: several, share: one},
		"another link": {before: one, share: func() control.Share { sh := several; sh.Link = 2; return sh }()},
		"first":        {share: several},
	} {
		if got := e.moved(); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// TestHostsAddedLaterAreNotShared until somebody asks for them or the file
// names them.
func TestHostsAddedLaterAreNotShared(t *testing.T) {
	kept := []plan.NotShared{{Name: "mail.localhost", Reason: "share = false"}}
	for name, test := range map[string]struct {
		hosts, agreed []string
		listed        bool
		want, added   []string
	}{
		"the same":        {[]string{"a", "b"}, []string{"a", "b"}, false, []string{"a", "b"}, nil},
		"one more":        {[]string{"new", "a", "b"}, []string{"a", "b"}, false, []string{"a", "b"}, []string{"new"}},
		"two more":        {[]string{"new", "a", "newer"}, []string{"a", "b"}, false, []string{"a"}, []string{"new", "newer"}},
		"fewer":           {[]string{"b"}, []string{"a", "b"}, false, []string{"b"}, nil},
		"renamed":         {[]string{"new"}, []string{"a"}, false, nil, []string{"new"}},
		"named":           {[]string{"a", "new"}, []string{"a"}, true, []string{"a", "new"}, nil},
		"nothing is left": {nil, []string{"a"}, false, nil, nil},
	} {
		p := &plan.Share{Hosts: test.hosts, NotShared: kept, Listed: test.listed, Name: "kept"}
		got, added := withoutAdded(p, test.agreed)
		if !slices.Equal(got.Hosts, test.want) || !slices.Equal(added, test.added) || got.Name != "kept" {
			t.Errorf("%s: %v, added %v", name, got.Hosts, added)
		}
		if want := len(kept) + len(test.added); len(got.NotShared) != want || want > 1 && got.NotShared[1] != (plan.NotShared{Name: test.added[0], Reason: reasonAdded}) {
			t.Errorf("%s: not shared: %v", name, got.NotShared)
		}
		if !slices.Equal(p.Hosts, test.hosts) || len(p.NotShared) != 1 {
			t.Errorf("%s: the plan was changed: %+v", name, p)
		}
	}
}

// TestAddedHostsAreTold in the terminal and as JSON, once each.
func TestAddedHostsAreTold(t *testing.T) {
	var told []shareEvent
	s := &sharing{shareEnv: shareEnv{tell: func(e shareEvent) { told = append(told, e) }}}
	s.view.Store(&control.Share{State: control.ShareUp})
	s.added = []string{"a", "b"}
	s.tellAdded([]string{"a"})
	s.tellAdded([]string{"b", "a"})
	if len(told) != 1 || told[0].kind != shareAdded || !slices.Equal(told[0].added, []string{"b"}) {
		t.Fatalf("%+v", told)
	}
	for keys, want := range map[bool]string{true: "To share it: press s\n", false: "To share it: devproxy share\n"} {
		var out, err bytes.Buffer
		(&shareText{streams: &streams{Out: &out, Err: &err}, keys: keys}).tell(told[0])
		if text := err.String(); !strings.Contains(text, "b is not shared: it was added after the share started. ") || !strings.HasSuffix(text, want) || out.Len() > 0 {
			t.Errorf("keys %v: %q %q", keys, text, out.String())
		}
	}
	var out bytes.Buffer
	shareJSON{&streams{Out: &out}}.tell(told[0])
	if want := `{"event":"not_shared","hosts":["b"],"reason":"added after the share started","fix":"devproxy share"}` + "\n"; out.String() != want {
		t.Errorf("%s", out.String())
	}
}
