//go:build e2e && unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestE2EShareCallbackLibraries: Passport and Auth.js, configured as tunnel/README.md says,
// sign in through the callback host, in a share and on this machine.
func TestE2EShareCallbackLibraries(t *testing.T) {
	relay := startDevRelay(t)
	accounts := startProvider(t)
	r := &recipe{name: "oauth", port: "APP_PORT"}
	dir := r.install(t, "oauth", []string{"express@4.22.3", "express-session@1.19.0", "passport@0.7.0", "passport-oauth2@1.8.0", "@auth/express@0.12.3"})

	// The first share makes the callback host known. An app that runs already is started
	// again then.
	folder := projectDir(t, "host \"shop.localhost\" { respond = 204 }\nshare { callback = [\"/auth/callback\", \"/api/auth/callback/test\"] }\n")
	project := relay.share(t, folder, nil)
	origin := relay.variable(t, "DEVPROXY_CALLBACK_ORIGIN")
	accounts.registered = []string{relay.variable(t, "DEVPROXY_CALLBACK_URL"), origin + "/api/auth/callback/test"}
	r.start = fmt.Sprintf("PORT=APP_PORT PROVIDER=%s DEVPROXY_CALLBACK_URL=%s AUTH_REDIRECT_PROXY_URL=%s/api/auth exec node app.mjs", accounts.URL, accounts.registered[0], origin)
	project.save("Proxyfile", "host \"shop.localhost\" { upstream = "+r.run(t, dir, "/")+" }\nshare { callback = [\"/auth/callback\", \"/api/auth/callback/test\"] }\n")
	project.awaitPast("applied")

	get := func(client *http.Client, address string) (at, body string) {
		t.Helper()
		res, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.Request.URL.String(), string(text)
	}
	for where, base := range map[string]string{"in a share": project.base(), "here": fmt.Sprintf("https://shop.localhost:%d", project.addr.Port())} {
		if at, body := get(relay.browser(t, project), base+"/login"); at != base+"/" || !strings.Contains(body, "<p id=user>ann") {
			t.Errorf("Passport %s ends at %s: %s", where, at, body)
		}

		client := relay.browser(t, project)
		var csrf struct{ CsrfToken string }
		if _, body := get(client, base+"/api/auth/csrf"); json.Unmarshal([]byte(body), &csrf) != nil {
			t.Fatalf("Auth.js %s: %s", where, body)
		}
		form := url.Values{"csrfToken": {csrf.CsrfToken}, "callbackUrl": {base + "/"}}
		login, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/auth/signin/test", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-Auth-Return-Redirect": "1", "Origin": base, "Sec-Fetch-Site": "same-origin"} {
			login.Header.Set(name, value)
		}
		res, err := client.Do(login)
		if err != nil {
			t.Fatal(err)
		}
		var to struct{ URL string }
		err = json.NewDecoder(res.Body).Decode(&to)
		res.Body.Close()
		if err != nil || to.URL == "" {
			t.Fatalf("Auth.js %s: %s, %v", where, res.Status, err)
		}
		if at, _ := get(client, to.URL); at != base+"/" {
			t.Errorf("Auth.js %s ends at %s", where, at)
		}
		if _, body := get(client, base+"/api/auth/session"); !strings.Contains(body, `"name":"ann"`) {
			t.Errorf("Auth.js %s: %s", where, body)
		}
	}
	accounts.mu.Lock()
	defer accounts.mu.Unlock()
	if len(accounts.refused) > 0 {
		t.Errorf("the provider refused %q", accounts.refused)
	}
}
