package provider

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestAnnounced(t *testing.T) {
	for line, want := range map[string]string{
		"HTTPS: https://flb.tuns.sh":                                                     "flb.tuns.sh",
		"  https://rnzdf-192-0-2-60.a.free.pinggy.link  ":                                "rnzdf-192-0-2-60.a.free.pinggy.link",
		"x.lhr.life tunneled with tls termination, https://x.lhr.life":                   "x.lhr.life",
		"x.lhr.life tunneled with TLS termination: https://x.lhr.life and more":          "x.lhr.life",
		"Forwarding HTTP traffic from https://gero.serveo.net":                           "gero.serveo.net",
		"your url is: https://x.example.com":                                             "x.example.com",
		"Tunnel URL: https://x.example.com/":                                             "x.example.com",
		`{"event":"tcpip-forward","authz_code":"OK","address":"x.lhr.life"}`:             "x.lhr.life",
		`{"type":"v1.tcpip_forward.register.accepted","data":"see\nhttps://x.lhr.life"}`: "x.lhr.life",
	} {
		if got := announced(line); got.link.name != want || got.refused != "" {
			t.Errorf("%q announces %+v, want %q", line, got, want)
		}
	}
	for _, line := range []string{
		"HTTP: http://flb.tuns.sh",
		"Documentation:  https://help.ubuntu.com",
		"See https://openssh.com/pq.html",
		"Upgrade to Pinggy Pro to get unrestricted tunnels. https://dashboard.pinggy.io",
		"To set up and manage custom domains go to https://admin.localhost.run/",
		"https://localhost.run/docs/",
		"https://x.example.com https://y.example.com",
		"https://x.example.com is the manual",
		"Service console can be accessed here: https://flb.tuns.sh/_sish/console?x-authorization=S",
		"HTTPS: https://user:password@flb.tuns.sh",
		"TCP: tuns.sh:10001",
		`{"event":"authn","message":"see https://admin.localhost.run"}`,
		`{"event":"tcpip-forward","authz_code":"OK","address":"localhost"}`,
		`{"event":"tcpip-forward","authz_code":"OK","address":"x.lhr.life/a"}`,
		`{"event":"tcpip-forward","authz_code":"OK","address":"x.lhr.life:0"}`,
		`{"type":"v1.notice","data":"https://admin.localhost.run"}`,
		`{"type":"v1.tcpip_forward.register.accepted","data":"see https://localhost.run/docs/"}`,
		`{not JSON: https://x.example.com`,
		"",
	} {
		if got := announced(line); got != (announcement{}) {
			t.Errorf("%q announces %+v", line, got)
		}
	}
}

// feedAll returns the first announcement of a text, cut into pieces of any
// size.
func feedAll(text string, cuts func() int) (first announcement, lines []string) {
	reader, session := new(textLines), new(sessionText)
	for rest := text; rest != ""; {
		n := min(max(cuts(), 1), len(rest))
		if session.take(n) {
			reader.feed([]byte(rest[:n]), func(line string) {
				lines = append(lines, line)
				if says := session.line(line); first == (announcement{}) {
					first = says
				}
			})
		}
		rest = rest[n:]
	}
	return first, lines
}

func whole() int { return 1 << 30 }

func TestTextLines(t *testing.T) {
	for text, want := range map[string][]string{
		"a\nb\r\nc\rd":                                {"a", "b", "c"},
		"\x1b[1;32mcolour\x1b[0m\n":                   {"colour"},
		"\x1b[38:2::1:2:3mcolour\x1b[m\n":             {"colour"},
		"one\x1b[5;3Htwo\x1b[Kthree\n":                {"one", "two", "three"},
		"\x1b]0;title\x07a\x1b]8;;https://x\x1b\\b\n": {"ab"},
		"\x1bP1$r\x1b\x1b\\a\n":                       {"a"},
		"\x1b(Ba\x1b=b\x1b#8c\n":                      {"abc"},
		"a\tb\x00\x07\x7fc\n":                         {"a bc"},
		"\x1b]0;never closed\na\n":                    {"a"},
		"\x1b[never closed\na\n":                      {"ever closed", "a"},
		strings.Repeat("x", maxLine) + "\n":           {strings.Repeat("x", maxLine)},
		strings.Repeat("x", maxLine+1) + "\nb\n":      {"b"},
		"█▀▀█\n":                                      {"█▀▀█"},
	} {
		var got []string
		new(textLines).feed([]byte(text), func(line string) { got = append(got, line) })
		if !slices.Equal(got, want) {
			t.Errorf("%.40q has the lines %.40q, want %.40q", text, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		" a\x1b[31mb\u202ec\u009bd\x00 ": "a?[31mb?c?d?",
		"ä€":                             "ä€",
		"\xff":                           "\uFFFD",
		strings.Repeat("ä", 200):         strings.Repeat("ä", maxQuoted) + "…",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is printed as %q, want %q", text, got, want)
		}
	}
}

var (
	oracleSGR  = regexp.MustCompile("\x1b\\[[0-9;:]*m")
	oracleName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// FuzzAnnounced holds what a text announces against an oracle: it is the same
// however the text arrives; it is in the text, except for colours and case; and it
// is a public name. Between lines of other kinds, the line of a service is found.
func FuzzAnnounced(f *testing.F) {
	for _, seed := range []string{
		"HTTPS: https://flb.tuns.sh\r\n", "\x1b[44mHTTPS\x1b[0m: https://flb.tuns.sh\r\n", "https://x.localhost\n", "https://1.2.3.4\n",
		"{\"event\":\"tcpip-forward\",\"authz_code\":\"OK\",\"address\":\"x.lhr.life\"}\n", "\x1b]0;https://a.example.com\x07\n", "https://a.exam", "https://a.example.com:99999\n",
		"{\"type\":\"v1.tcpip_forward.register.accepted\",\"data\":\"https://x.lhr.life\"}\n",
	} {
		f.Add(seed, uint64(1))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		first, lines := feedAll(text, whole)
		random := rand.New(rand.NewPCG(seed, 0))
		if len(text) <= maxText { // the bound is on pieces
			cut, cutLines := feedAll(text, func() int { return random.IntN(7) })
			// Text after an address is ignored.
			if cut != first || first == (announcement{}) && !slices.Equal(lines, cutLines) {
				t.Errorf("in pieces it announces %+v, as a whole %+v", cut, first)
			}
		}
		for _, line := range lines {
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("the line %q has control characters", line)
			}
		}
		if name := first.link.name; first.link != (link{}) {
			if !oracleName.MatchString(name) || len(name) > 253 || first.link.port == 0 {
				t.Errorf("it announces %+v", first.link)
			}
			for _, local := range localNames {
				if strings.HasSuffix("."+name, "."+local) {
					t.Errorf("it announces the local name %s", name)
				}
			}
			plain := strings.ToLower(oracleSGR.ReplaceAllString(text, ""))
			if !strings.Contains(plain, name) && !strings.Contains(text, `\`) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
				t.Errorf("it announces %s, which is not in it", name)
			}
		}
		if strings.ContainsFunc(first.refused, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("the reason %q has control characters", first.refused)
		}
		// Whatever comes before in whole lines, unless it announces something.
		if ended, _ := feedAll(text+"\n", whole); ended == (announcement{}) && len(text) < maxText/2 {
			after, _ := feedAll(text+"\nHTTPS: https://oracle.example.com\n", whole)
			if after.link.name != "oracle.example.com" {
				t.Errorf("after it a service announces %+v", after)
			}
		}
	})
}
