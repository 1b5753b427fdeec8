package hcl

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// blankInvisible names the characters outside of strings and comments that nobody
// sees, and that are not the space, and puts spaces in their places. They come with
// text that is copied from web pages and documents. In a name they stay where it has
// other characters than those of ASCII: some scripts need them.
func blankInvisible(t *text, tokens hclsyntax.Tokens) Diagnostics {
	var diags Diagnostics
	var blanks [][2]int
	for _, token := range tokens {
		if token.Type != hclsyntax.TokenInvalid && (token.Type != hclsyntax.TokenIdent || !isDisguised(token.Bytes)) {
			continue
		}
		for i := 0; i < len(token.Bytes) && len(diags) < maxReported; {
			c, size := utf8.DecodeRune(token.Bytes[i:])
			if name, advice := invisible(c); name != "" {
				start := token.Range.Start.Byte + i
				diags = append(diags, t.errorAt(start, start+size, fmt.Sprintf("an invisible character is here: U+%04X, %s", c, name), advice))
				blanks = append(blanks, [2]int{start, start + size})
			}
			i += size
		}
	}
	if blanks != nil {
		t.replace(func(text []byte) {
			for _, at := range blanks {
				copy(text[at[0]:at[1]], "    ")
			}
		})
	}
	return diags
}

// isDisguised reports whether a name is of ASCII but for characters that nobody sees.
func isDisguised(name []byte) bool {
	return !bytes.ContainsFunc(name, func(c rune) bool {
		hidden, _ := invisible(c)
		return c >= utf8.RuneSelf && hidden == ""
	})
}

// invisible is what a character that nobody sees is called, and what to do about it;
// empty for any other.
func invisible(c rune) (name, advice string) {
	switch {
	case c < utf8.RuneSelf || c == utf8.RuneError:
		return "", ""
	case c == '\u00A0':
		return "a no-break space", "write a space"
	case unicode.Is(unicode.Zs, c):
		return "a space of another width", "write a space"
	case c == '\u2028' || c == '\u2029':
		return "a line separator", "remove it, and begin a line"
	case c == '\u200B':
		return "a space without width", "remove it"
	case c == '\uFEFF':
		return "a byte order mark", "remove it"
	case c == '\u00AD':
		return "a soft hyphen", "remove it"
	case unicode.Is(unicode.Bidi_Control, c):
		return "which changes the direction of text", "remove it"
	// Cf has the rest that has no width; fillers and selectors are letters and marks.
	case unicode.Is(unicode.Cf, c), unicode.Is(unicode.Variation_Selector, c), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c):
		return "which has no width", "remove it"
	}
	return "", ""
}
