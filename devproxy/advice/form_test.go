package advice

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestFormRefusal(t *testing.T) {
	const own = "https://shop.localhost:8443"
	text := func(kind string) http.Header { return http.Header{"Content-Type": {kind}} }
	remix := http.Header{"X-Remix-Response": {"yes"}}
	for _, test := range []struct {
		name     string
		method   string
		origin   string
		navigate bool
		status   int
		header   http.Header
		body     string
		told     bool
	}{
		{"Astro", "POST", own, true, 403, nil, "Cross-site POST form submissions are forbidden", true},
		{"Astro, in JSON", "POST", own, false, 403, nil, `{"message":"Cross-site PUT form submissions are forbidden"}`, true},
		{"Qwik", "POST", own, true, 403, nil, `CSRF check failed. Cross-site POST form submissions are forbidden. The request origin "https://x"`, true},
		{"Django", "POST", own, true, 403, nil, "<p>Origin checking failed - https://shop.localhost:8443 does not match any trusted origins.</p>", true},
		{"Django REST framework", "DELETE", own, false, 403, nil, `{"detail":"CSRF Failed: Origin checking failed - https://x does not match any trusted origins."}`, true},
		{"Spring", "POST", own, false, 403, nil, "Invalid CORS request", true},
		{"React Router, built", "POST", own, false, 400, remix, `[{"_1":2},"error",["SanitizedError",3,4,-7],"Error","Unexpected Server Error"]`, true},
		{"React Router, in development", "POST", own, false, 400, remix, `[{"_1":2},"error",["SanitizedError",3,4,5],"Error","Bad Request","Error: Bad Request\n at"]`, true},
		{"React Router, without scripts", "POST", own, true, 400, text("text/plain;charset=UTF-8"), "Bad Request", true},

		{"another 403", "POST", own, true, 403, nil, "You are not allowed to do that.", false},
		{"Django without a token", "POST", own, true, 403, nil, "CSRF verification failed. Request aborted. CSRF token missing.", false},
		{"a policy", "POST", own, true, 403, nil, `{"error":"forbidden"}`, false},
		{"a validation", "POST", own, true, 400, nil, "Bad Request: name is missing", false},
		{"an action's own 400", "POST", own, false, 400, remix, `[{"_1":2},"data",{"_3":4},"error","name is missing"]`, false},
		{"an API", "POST", own, false, 400, text("text/plain;charset=UTF-8"), "Bad Request", false},
		{"Express", "POST", own, true, 400, text("text/plain; charset=utf-8"), "Bad Request", false},
		{"a bad request without a type", "POST", own, true, 400, nil, "Bad Request", false},
		{"another status", "POST", own, true, 422, nil, "Cross-site POST form submissions are forbidden", false},
		{"it is right", "POST", "https://evil.example", true, 403, nil, "Cross-site POST form submissions are forbidden", false},
		{"no origin", "POST", "", true, 403, nil, "Cross-site POST form submissions are forbidden", false},
		{"null", "POST", "null", true, 403, nil, "Cross-site POST form submissions are forbidden", false},
		{"a page about it", "GET", own, true, 403, nil, "Cross-site POST form submissions are forbidden", false},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		mode := "cors"
		if test.navigate {
			mode = "navigate"
		}
		r.Header.Set("Sec-Fetch-Mode", mode)
		told := ""
		if MayRefuseForm(r, own, test.status) {
			told = FormRefusal(r, test.status, test.header, []byte(test.body))
		}
		if (told != "") != test.told || test.told && !strings.Contains(told, `forwarded_proto = "http"`) {
			t.Errorf("%s: %q", test.name, told)
		}
	}
}
