package plan

import "testing"

func TestTarget(t *testing.T) {
	tests := []struct {
		route, rewrite string
		strip          bool
		path, want     string
	}{
		{"/api", "", false, "/api/%7Ex//y%2f", "/api/%7Ex//y%2f"},
		{"/", "", false, "//evil.example/x", "//evil.example/x"},
		{"/api", "", true, "/api", "/"},
		{"/api", "", true, "/api/", "/"},
		{"/api", "", true, "/api/x%2Fy%20z", "/x%2Fy%20z"},
		{"/api", "", true, "/%61pi/x", "/x"},
		{"/api", "", true, "/api//evil.example/x", "/evil.example/x"},
		{"/", "", true, "/x", "/x"},
		{"/api", "/v1{rest}", false, "/api/x%2fy", "/v1/x%2fy"},
		{"/api", "/v1{rest}", false, "/api", "/v1"},
		{"/api", "/v1/{rest}", false, "/api/x", "/v1/x"},
		{"/api", "{rest}", false, "/api", "/"},
		{"/api", "{rest}", false, "/api//evil.example", "/evil.example"},
		{"/api", "/{rest}", false, "/api//evil.example", "/evil.example"},
		{"/api", "/a b/é?#%41%{rest}", false, "/api/x", "/a%20b/%C3%A9%3F%23%41%25/x"},
		{"/api", "/fixed", false, "/api/x", "/fixed"},
	}
	for _, tt := range tests {
		written := routeOf(tt.route, 1)
		written.StripPrefix, written.Rewrite = tt.strip, tt.rewrite
		p := build(t, hostOf("a.localhost", nil, written))
		m, err := p.Match(Request{Method: "GET", Host: "a.localhost", Path: tt.path})
		if err != nil {
			t.Errorf("Match(%q): %v", tt.path, err)
			continue
		}
		if got := m.Target(tt.path); got != tt.want {
			t.Errorf("route %q strip %t rewrite %q: Target(%q) = %q; want %q",
				tt.route, tt.strip, tt.rewrite, tt.path, got, tt.want)
		}
	}
}

func TestLocation(t *testing.T) {
	tests := []struct{ target, rest, query, want string }{
		{"/docs{rest}", "/a%20b", "", "/docs/a%20b"},
		{"/docs{rest}", "", "x=1", "/docs?x=1"},
		{"/docs{rest}#top", "/a", "x=1", "/docs/a?x=1#top"},
		{"/docs?from=old", "/a", "x=1", "/docs?from=old&x=1"},
		{"https://example.com{rest}", "/a", "", "https://example.com/a"},
		{"https://example.com{rest}", "", "", "https://example.com"},
		{"{rest}", "//evil.example", "", "/evil.example"},
		{"/{rest}", "//evil.example", "", "/evil.example"},
		{"https://{rest}", "/evil.example", "", "https:///evil.example"},
		{"/new", "/x\r\nSet-Cookie: a=b", "", "/new"},
		{"/new{rest}", "/x\r\ny é", "", "/new/x%0D%0Ay%20%C3%A9"},
		{"/{rest}", "/\\evil.example", "", "/%5Cevil.example"},
		{"/new", "", "a=\r\nb", "/new?a=%0D%0Ab"},
	}
	for _, tt := range tests {
		m := Match{Route: &Route{Answer: &Redirect{Target: tt.target}}, Rest: tt.rest}
		if got := m.Location(tt.query); got != tt.want {
			t.Errorf("redirect %q, rest %q, query %q: Location = %q; want %q", tt.target, tt.rest, tt.query, got, tt.want)
		}
	}
	if got := (Match{Route: &Route{Answer: &Respond{}}}).Location(""); got != "" {
		t.Errorf("Location of a fixed answer = %q; want none", got)
	}
}
