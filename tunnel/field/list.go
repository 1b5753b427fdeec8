package field

import (
	"iter"
	"strconv"
	"strings"
)

// Elements yields the elements of a list field (RFC 9110 section 5.6.1), without the blanks
// around them. It skips empty elements and does not interpret quotes: it is for lists of
// tokens.
func Elements(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for element := range strings.SplitSeq(line, ",") {
				if element = strings.TrimSpace(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// IsToken reports whether text is a token (RFC 9110 section 5.6.2).
func IsToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(c rune) bool {
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		return !alphanumeric && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// Accepts reports whether the lines of an Accept field (RFC 9110 section 12.5.1) name
// mediaType itself, with a weight above zero. A range such as "*/*" does not count.
func Accepts(lines []string, mediaType string) bool {
	for element := range Elements(lines) {
		named, parameters, _ := strings.Cut(element, ";")
		if strings.EqualFold(strings.TrimSpace(named), mediaType) && weight(parameters) > 0 {
			return true
		}
	}
	return false
}

// Quality is the weight of a coding in an Accept-Encoding field, 0 to 1 (RFC 9110 section
// 12.5.3). A coding that is not named is not acceptable, except for identity; without the
// field, only identity is.
func Quality(accept, token string) float64 {
	anything := 0.0
	if token == "identity" {
		// Acceptable, but never preferred to a coding that is named.
		anything = 0.001
	}
	for element := range strings.SplitSeq(accept, ",") {
		named, parameters, _ := strings.Cut(element, ";")
		named = strings.ToLower(strings.TrimSpace(named))
		switch {
		case named == token || token == "gzip" && named == "x-gzip":
			return weight(parameters)
		case named == "*":
			anything = weight(parameters)
		}
	}
	return anything
}

// weight is the q of an element's parameters: 1 without one, 0 if it is not a valid number.
func weight(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}

// Has reports whether a list field has the element token in any case, with or without
// parameters.
func Has(lines []string, token string) bool {
	for element := range Elements(lines) {
		name, _, _ := strings.Cut(element, ";")
		if strings.EqualFold(strings.TrimSpace(name), token) {
			return true
		}
	}
	return false
}
