package answer

import (
	"net/http"
	"strconv"
	"strings"
)

// coding is a content coding that a file may lie precompressed in.
type coding struct {
	token  string // as Accept-Encoding has it
	suffix string // of the sibling's name
}

// codings are in the order of preference, smallest result first.
func codings() [2]coding {
	return [...]coding{{"br", ".br"}, {"gzip", ".gz"}}
}

// encoded opens the sibling of plain that the visitor takes most gladly, or
// returns plain itself. A sibling older than the file is left over from an
// earlier build and is not served. vary is true when another visitor could get
// another of them.
func (d *folder) encoded(plain *file, r *http.Request) (chosen *file, token string, vary bool) {
	accept := strings.Join(r.Header.Values("Accept-Encoding"), ",")
	chosen, best := plain, quality(accept, "identity")
	for _, c := range codings() {
		sibling, err := d.open(plain.name + c.suffix)
		if err != nil || sibling == nil {
			continue // a sibling that cannot be read is no reason to fail
		}
		if sibling.info.ModTime().Before(plain.info.ModTime()) {
			sibling.Close()
			continue
		}
		vary = true
		q := quality(accept, c.token)
		if q == 0 || q < best || q == best && token != "" {
			sibling.Close()
			continue
		}
		if chosen != plain {
			chosen.Close()
		}
		chosen, token, best = sibling, c.token, q
	}
	return chosen, token, vary
}

// quality is how gladly a visitor takes a coding, 0 to 1 (RFC 9110 section
// 12.5.3). What is not named is not taken, but for identity; without the field
// that is all.
func quality(accept, token string) float64 {
	anything := 0.0
	if token == "identity" {
		// Acceptable, but never before a coding that is asked for.
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

// weight is the q of an element's parameters, 1 when there is none and 0 when
// it is no number.
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
