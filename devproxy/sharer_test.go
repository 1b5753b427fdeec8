package devproxy

import (
	"slices"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
)

func sharedShop(now time.Time) control.Share {
	return control.Share{
		State: control.ShareUp, Link: 1, Relay: "t.example.com", Expires: now.Add(8 * time.Hour),
		URL: "https://shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com",
		Hosts: []control.SharedHost{
			{Name: "shop.localhost", URL: "https://shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com"},
			{Name: "admin.shop.localhost", URL: "https://admin--shop-k3v9x2m7qpr4t8wz.k7f3w2qd.t.example.com"},
		},
		NotShared: []control.NotShared{{Name: "mail.shop.localhost", Reason: "share = false"}},
	}
}

func TestCompareShare(t *testing.T) {
	now := time.Date(2026, 11, 22, 15, 4, 0, 0, time.Local)
	none := control.Share{State: control.ShareNone}
	connecting := control.Share{State: control.ShareConnecting, Link: 1, Relay: "t.example.com", Expires: now}
	up := sharedShop(now)
	with := func(sh control.Share, change func(*control.Share)) control.Share {
		change(&sh)
		return sh
	}
	state := func(name string) control.Share { return with(up, func(sh *control.Share) { sh.State = name }) }
	failing := with(state(control.ShareWaiting), func(sh *control.Share) { sh.Error = "refused" })
	for name, test := range map[string]struct {
		before, now control.Share
		want        ShareEventKind // 0: nothing to tell
	}{
		"begun":                   {none, connecting, ShareBegun},
		"still connecting":        {connecting, connecting, 0},
		"the first grant":         {connecting, up, ShareShown},
		"granted before it is up": {with(up, func(sh *control.Share) { sh.State = control.ShareConnecting }), up, ShareShown},
		"nothing":                 {up, up, 0},
		"later":                   {up, with(up, func(sh *control.Share) { sh.Expires = now.Add(9 * time.Hour) }), ShareExtended},
		"other hosts":             {up, with(up, func(sh *control.Share) { sh.Hosts = sh.Hosts[:1] }), ShareShown},
		"another link":            {up, with(up, func(sh *control.Share) { sh.Link = 2 }), ShareShown},
		"no record of the domain": {up, with(up, func(sh *control.Share) { sh.Domain = &control.Domain{State: control.DomainUnproven} }), ShareDomain},
		"away":                    {up, state(control.ShareResuming), ShareLost},
		"still away":              {state(control.ShareResuming), state(control.ShareResuming), 0},
		"away for longer":         {state(control.ShareResuming), failing, ShareLost},
		"the same reason":         {failing, failing, 0},
		"another reason":          {failing, with(failing, func(sh *control.Share) { sh.Error = "no such host" }), ShareLost},
		"never reached":           {connecting, with(failing, func(sh *control.Share) { sh.Hosts = nil }), ShareLost},
		"back":                    {state(control.ShareResuming), up, ShareBack},
		"back with another end":   {state(control.ShareWaiting), with(up, func(sh *control.Share) { sh.Expires = now }), ShareBack},
		"asleep":                  {up, state(control.ShareAsleep), ShareOver},
		"expired":                 {up, state(control.ShareExpired), ShareOver},
		"still over":              {state(control.ShareEnded), state(control.ShareEnded), 0},
		"over between two looks":  {none, state(control.ShareFailed), ShareOver},
		"again after it was over": {state(control.ShareEnded), with(connecting, func(sh *control.Share) { sh.Link = 2 }), ShareBegun},
	} {
		got, told := CompareShare(test.before, test.now)
		if !told {
			got.Kind = 0
		}
		if got.Kind != test.want {
			t.Errorf("%s: got %d, want %d", name, got.Kind, test.want)
		}
	}
}

// TestMovedNamesTheHost of a link whose names are by tunnel.NamesByZone.
func TestMovedNamesTheHost(t *testing.T) {
	several := sharedShop(time.Now())
	one := several
	one.URL, one.Hosts = "https://shop-k3v9x2m7qpr4t8wz.t.example.com", several.Hosts[:1]
	if got := (ShareEvent{Before: one, Share: several}).MovedHost(); got != "shop.localhost" {
		t.Errorf("a second host: got %q", got)
	}
	for name, e := range map[string]ShareEvent{
		"back to one":  {Before: several, Share: one},
		"another link": {Before: one, Share: func() control.Share { sh := several; sh.Link = 2; return sh }()},
		"first":        {Share: several},
	} {
		if got := e.MovedHost(); got != "" {
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
		if want := len(kept) + len(test.added); len(got.NotShared) != want || want > 1 && got.NotShared[1] != (plan.NotShared{Name: test.added[0], Reason: ReasonAdded}) {
			t.Errorf("%s: not shared: %v", name, got.NotShared)
		}
		if !slices.Equal(p.Hosts, test.hosts) || len(p.NotShared) != 1 {
			t.Errorf("%s: the plan was changed: %+v", name, p)
		}
	}
}

// TestAddedHostsAreTold once each.
func TestAddedHostsAreTold(t *testing.T) {
	var told []ShareEvent
	s := &Sharer{SharerOptions: SharerOptions{Notify: func(e ShareEvent) { told = append(told, e) }}}
	s.view.Store(&control.Share{State: control.ShareUp})
	s.added = []string{"a", "b"}
	s.notifyAdded([]string{"a"})
	s.notifyAdded([]string{"b", "a"})
	if len(told) != 1 || told[0].Kind != ShareAdded || !slices.Equal(told[0].Added, []string{"b"}) {
		t.Fatalf("%+v", told)
	}
}

func TestClaimedHosts(t *testing.T) {
	for host, want := range map[string]string{
		"shop.localhost": "", "admin.shop.localhost": "admin", "*.tenant.shop.localhost": "*.tenant",
		"other.localhost": "other.localhost", "myshop.localhost": "myshop.localhost",
	} {
		if got := beforeDomain(host, "shop.localhost"); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
