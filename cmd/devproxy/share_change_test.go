package main

import (
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
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
