package hcl

import (
	"strings"
	"testing"
)

// checkWholeAround fails unless what is put around an answer can be done: a
// limit of nothing, or a range that is none, would open or close what it should
// not.
func checkWholeAround(t *testing.T, s *Settings) {
	t.Helper()
	for _, r := range []*Ranges{s.Allow, s.Deny} {
		if r == nil {
			continue
		}
		for _, prefix := range r.Prefixes {
			if !prefix.IsValid() || prefix.Masked() != prefix || prefix.Addr().Is4In6() {
				t.Errorf("range %q", prefix)
			}
		}
	}
	if l := s.RateLimit; l != nil && !l.Off && (l.Count < 1 || l.Burst < 1 || l.Per <= 0 || l.By == "") {
		t.Errorf("rate_limit %+v", l)
	}
	if c := s.CORS; c != nil && !c.Off && (c.Own && (c.Any || c.Origins != nil) || c.Any && c.Origins != nil || !c.Own && !c.Any && c.Origins == nil) {
		t.Errorf("cors %+v", c)
	}
	if a := s.BasicAuth; a != nil && a.Off == (len(a.Users) > 0) {
		t.Errorf("basic_auth %+v", a)
	} else if a != nil {
		for name, hash := range a.Users {
			if name == "" || strings.Contains(name, ":") || !bcryptHash.MatchString(hash) {
				t.Errorf("user %q with %q", name, hash)
			}
		}
	}
	if c := s.Cache; c != nil && !c.Off && (c.Size < minCacheSize || c.Size > maxCacheSize) {
		t.Errorf("cache %+v", c)
	}
	if s.MaxBody != nil && (*s.MaxBody < 0 || *s.MaxBody > maxSize) {
		t.Errorf("max_body %d", *s.MaxBody)
	}
	if m := s.Simulate; m != nil && (m.Delay < 0 || m.Delay > maxDelay || !(m.Errors >= 0 && m.Errors <= 1) || m.Bandwidth < 0) {
		t.Errorf("simulate %+v", m)
	}
}

// checkWholeService fails unless requests can be spread as s says.
func checkWholeService(t *testing.T, s *Service) {
	t.Helper()
	if s.Balance != BalanceRoundRobin && s.Balance != BalanceLeastConn && s.Balance != BalanceCookie {
		t.Errorf("balance %q", s.Balance)
	}
	if s.Fallback != nil && len(s.Fallback.Members) == 0 {
		t.Error("a fallback has no member")
	}
	h := s.Health
	if h == nil {
		return
	}
	if !strings.HasPrefix(h.Path, "/") || h.Interval < minInterval || h.Timeout <= 0 || h.Timeout > h.Interval || h.Rise < 1 || h.Fall < 1 {
		t.Errorf("health %+v", h)
	}
}
