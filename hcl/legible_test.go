package hcl

import "testing"

// TestLegible checks that text of a stranger cannot look like another text.
func TestLegible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"pnpm dev --port {port}": "pnpm dev --port {port}",
		"/home/jürgen/プロジェクト/проект/naïve/हिन्दी": "/home/jürgen/プロジェクト/проект/naïve/हिन्दी",
		"u\u0308ber":                          "u\u0308ber", // as macOS writes names of files
		"a\nb\tc\x1b[2Jd\x7f":                 `a\x0ab\x09c\x1b[2Jd\x7f`,
		"a\u202eb\u2066c\u200bd\u00ade\ufeff": `a\u{202e}b\u{2066}c\u{200b}d\u{ad}e\u{feff}`,
		"a\u2028b\u00a0c\u3000d":              `a\u{2028}b\u{a0}c\u{3000}d`,
		"rm אבג 123":                          `rm \u{5d0}\u{5d1}\u{5d2} 123`,
		"مرحبا":                               `\u{645}\u{631}\u{62d}\u{628}\u{627}`,
		"сurl https://exаmple.com":            `\u{441}url https://ex\u{430}mple.com`,
		"ａｂ／．，﹨":                              `\u{ff41}\u{ff42}\u{ff0f}\u{ff0e}\u{ff0c}\u{fe68}`,
		"a∕b⁄c․d‚e":                           `a\u{2215}b\u{2044}c\u{2024}d\u{201a}e`,
		"𝐜𝐮𝐫𝐥 ℂ ⓐ":                            `\u{1d41c}\u{1d42e}\u{1d42b}\u{1d425} \u{2102} \u{24d0}`,
		"a\u3164b\u115fc\ufe0fd":              `a\u{3164}b\u{115f}c\u{fe0f}d`,
		"-\u0338 =\u20dd":                     `-\u{338} =\u{20dd}`,
		"a\u0301\u0301\u0301\u0301\u0301":     "a\u0301\u0301\u0301\u0301" + `\u{301}`,
		"bad\xff\xfe":                         `bad\xff\xfe`,
		"\ue000":                              `\u{e000}`,
		"\U000e0041":                          `\u{e0041}`,
		"":                                    "",
	} {
		if got := Legible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
