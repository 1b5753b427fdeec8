package share

import (
	"encoding/json"
	"net/http"
	"strings"
)

// locationFields are the response fields that are one URL, as net/http spells
// them. Those beyond HTTP's own (RFC 9110 sections 8.7 and 10.2.2, RFC 6454) are
// read by scripts: htmx, Inertia, Turbolinks, PJAX, and by developer tools.
var locationFields = []string{
	"Location", "Content-Location", "Access-Control-Allow-Origin",
	"Hx-Redirect", "Hx-Push-Url", "Hx-Replace-Url",
	"X-Inertia-Location", "Turbolinks-Location", "X-Pjax-Url",
	"Sourcemap", "X-Sourcemap",
}

// outwardLocations makes the URLs of locationFields and their like public.
func (s *Share) outwardLocations(h http.Header) {
	for _, name := range locationFields {
		replace(h[name], s.table.publicReference)
	}
	replace(h["Hx-Location"], s.outwardHXLocation)
	replace(h["Timing-Allow-Origin"], s.outwardOrigins)
}

// outwardHXLocation is a URL, or a JSON object that has one as its "path"
// (htmx, HX-Location).
func (s *Share) outwardHXLocation(value string) string {
	if !strings.HasPrefix(strings.TrimSpace(value), "{") {
		return s.table.publicReference(value)
	}
	var object map[string]json.RawMessage
	var path string
	if json.Unmarshal([]byte(value), &object) != nil || json.Unmarshal(object["path"], &path) != nil {
		return value
	}
	public := s.table.publicReference(path)
	if public == path {
		return value // byte for byte
	}
	text, err := json.Marshal(public)
	if err != nil {
		return value
	}
	object["path"] = text
	if text, err = json.Marshal(object); err != nil {
		return value
	}
	return string(text)
}

// outwardOrigins is a list of origins (Resource Timing, Timing-Allow-Origin).
func (s *Share) outwardOrigins(value string) string {
	items := strings.Split(value, ",")
	for i, item := range items {
		origin := strings.Trim(item, " \t")
		items[i] = strings.Replace(item, origin, s.table.publicReference(origin), 1)
	}
	return strings.Join(items, ",")
}
