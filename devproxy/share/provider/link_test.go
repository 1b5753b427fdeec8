package provider

import (
	"strings"
	"testing"
)

func TestParseLink(t *testing.T) {
	for text, want := range map[string]link{
		"https://a.example.com":                           {"a.example.com", 443},
		"https://a.example.com/":                          {"a.example.com", 443},
		"HTTPS://a.example.com":                           {"a.example.com", 443},
		"https://A.Example.COM":                           {"a.example.com", 443},
		"https://a.example.com:8443":                      {"a.example.com", 8443},
		"https://a.example.com:443/":                      {"a.example.com", 443},
		"https://xn--bcher-kva.example":                   {"xn--bcher-kva.example", 443},
		"https://1a.2.example":                            {"1a.2.example", 443},
		"https://a--b.example.com":                        {"a--b.example.com", 443},
		"https://localhost.example.com":                   {"localhost.example.com", 443},
		"https://mylocalhost.example":                     {"mylocalhost.example", 443},
		"https://" + long(253):                            {long(253), 443},
		"https://" + strings.Repeat("a", 63) + ".example": {strings.Repeat("a", 63) + ".example", 443},
	} {
		if got, err := parseLink(text); got != want || err != nil {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "https://", "http://a.example.com", "//a.example.com", "a.example.com",
		"https://a", "https://localhost", "https://x.localhost", "https://x.LOCALHOST", "https://x.local", "https://x.internal", "https://x.home.arpa", "https://x.onion", "https://x.invalid",
		"https://127.0.0.1", "https://1.2.3.4:443", "https://[::1]", "https://[2001:db8::1]:443", "https://0x7f.1", "https://a.1", "https://2130706433",
		"https://a.example.com.", "https://.example.com", "https://a..example.com", "https://-a.example.com", "https://a-.example.com", "https://a_b.example.com",
		"https://a.example.com/x", "https://a.example.com//", "https://a.example.com?x", "https://a.example.com#x", "https://u@a.example.com", "https://u:p@a.example.com",
		"https://a.example.com:", "https://a.example.com:0", "https://a.example.com:65536", "https://a.example.com:+1", "https://a.example.com:1:2", "https://a.example.com: 1",
		"https://a b.example.com", "https://a.example.com\x1b[31m", "https://ä.example.com", "https://a.example.com\n", "https://%61.example.com", "https://a。example.com", "https://Kelvin.example.com",
		"https://*.example.com", "https://" + long(254), "https://" + strings.Repeat("a", 64) + ".example",
	} {
		if got, err := parseLink(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

// long is a host name of n bytes.
func long(n int) string {
	name := strings.Repeat("a.", n/2+1)[:n]
	if strings.HasSuffix(name, ".") {
		name = "a" + name[:n-1]
	}
	return name
}

func TestLinkString(t *testing.T) {
	if got := (link{"a.example.com", 443}).String(); got != "https://a.example.com" {
		t.Error(got)
	}
	if got := (link{"a.example.com", 8443}).String(); got != "https://a.example.com:8443" {
		t.Error(got)
	}
}
