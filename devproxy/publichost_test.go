package devproxy

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/share"
)

// webhooks is an app that verifies the signatures of webhooks as their senders document
// it, and says what it saw.
type webhooks struct{ key string }

func (a webhooks) mac(make func() hash.Hash, text string) []byte {
	mac := hmac.New(make, []byte(a.key))
	_, _ = io.WriteString(mac, text) // a hash takes all
	return mac.Sum(nil)
}

// stripe signs the time and the body (docs.stripe.com/webhooks/signature).
func (a webhooks) stripe(at, body string) string {
	return "t=" + at + ",v1=" + hex.EncodeToString(a.mac(sha256.New, at+"."+body))
}

// github signs the body (docs.github.com, "Validating webhook deliveries").
func (a webhooks) github(body string) string {
	return "sha256=" + hex.EncodeToString(a.mac(sha256.New, body))
}

// slack signs a version, the time and the body (api.slack.com, "Verifying requests").
func (a webhooks) slack(at, body string) string {
	return "v0=" + hex.EncodeToString(a.mac(sha256.New, "v0:"+at+":"+body))
}

// twilio signs the public URL with its query, and the form's fields in order of their
// names (twilio.com/docs/usage/security).
func (a webhooks) twilio(address string, form url.Values) string {
	text := address
	for _, name := range slices.Sorted(maps.Keys(form)) {
		text += name + form.Get(name)
	}
	return base64.StdEncoding.EncodeToString(a.mac(sha1.New, text))
}

func (a webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	text, want, got := string(body), "", ""
	switch {
	case r.Header.Get("Stripe-Signature") != "":
		got = r.Header.Get("Stripe-Signature")
		at, _, _ := strings.Cut(strings.TrimPrefix(got, "t="), ",")
		want = a.stripe(at, text)
	case r.Header.Get("X-Hub-Signature-256") != "":
		got, want = r.Header.Get("X-Hub-Signature-256"), a.github(text)
	case r.Header.Get("X-Slack-Signature") != "":
		got, want = r.Header.Get("X-Slack-Signature"), a.slack(r.Header.Get("X-Slack-Request-Timestamp"), text)
	case r.Header.Get("X-Twilio-Signature") != "":
		form, _ := url.ParseQuery(text)
		// As frameworks make the URL of a request.
		got, want = r.Header.Get("X-Twilio-Signature"), a.twilio(r.Header.Get("X-Forwarded-Proto")+"://"+r.Host+r.RequestURI, form)
	}
	if got == "" || !hmac.Equal([]byte(got), []byte(want)) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// TestSignaturesOfWebhooks verify on a share: bodies arrive byte for byte, also where they
// name public URLs, and with public_host the URL is the one that the sender signed.
func TestSignaturesOfWebhooks(t *testing.T) {
	app := httptest.NewServer(webhooks{"the secret"})
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf(`host "shop.localhost" {
  upstream = %q
  route "/voice" { public_host = true }
}
`, app.URL), nil)
	sender := webhooks{"the secret"}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	const event = `{ "id":"evt_1",  "url":"https://` + publicName + `/orders/1?a=b",` + "\n" + ` "local": "https:\/\/shop.localhost\/x", "ö":1}`
	form := url.Values{"CallSid": {"CA1"}, "From": {"+15551234"}, "StatusCallback": {"https://" + publicName + "/status"}}
	const query = "?next=https%3A%2F%2F" + publicName + "%2Fdone&a=1"
	const formType = "application/x-www-form-urlencoded"
	voice := "https://" + publicName + "/voice" + query

	for name, test := range map[string]struct {
		path, kind, body string
		fields           []string
		want             int
	}{
		"Stripe":                     {"/stripe", "application/json; charset=utf-8", event, []string{"Stripe-Signature", sender.stripe(at, event)}, http.StatusNoContent},
		"Stripe, to public_host":     {"/voice", "application/json", event, []string{"Stripe-Signature", sender.stripe(at, event)}, http.StatusNoContent},
		"Stripe, forged":             {"/stripe", "application/json", event + " ", []string{"Stripe-Signature", sender.stripe(at, event)}, http.StatusUnauthorized},
		"GitHub":                     {"/github", "application/json", event, []string{"X-Hub-Signature-256", sender.github(event)}, http.StatusNoContent},
		"GitHub, a form":             {"/github", formType, "payload=" + url.QueryEscape(event), []string{"X-Hub-Signature-256", sender.github("payload=" + url.QueryEscape(event))}, http.StatusNoContent},
		"Slack":                      {"/slack", formType, form.Encode(), []string{"X-Slack-Request-Timestamp", at, "X-Slack-Signature", sender.slack(at, form.Encode())}, http.StatusNoContent},
		"Twilio":                     {"/voice" + query, formType, form.Encode(), []string{"X-Twilio-Signature", sender.twilio(voice, form)}, http.StatusNoContent},
		"Twilio, forged":             {"/voice" + query + "2", formType, form.Encode(), []string{"X-Twilio-Signature", sender.twilio(voice, form)}, http.StatusUnauthorized},
		"Twilio, where it is local":  {"/else" + query, formType, form.Encode(), []string{"X-Twilio-Signature", sender.twilio("https://"+publicName+"/else"+query, form)}, http.StatusUnauthorized},
		"Twilio, of the local names": {"/voice" + query, formType, form.Encode(), []string{"X-Twilio-Signature", sender.twilio("https://shop.localhost/voice"+query, form)}, http.StatusUnauthorized},
	} {
		if got := s.postAs(test.path, test.body, append(test.fields, "Content-Type", test.kind)...); got.status != test.want {
			t.Errorf("%s: %d, want %d", name, got.status, test.want)
		}
	}
}

// postAs is a visitor's POST.
func (s *shareSite) postAs(path, body string, fields ...string) reply {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+publicName+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := s.visitors().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

// TestPublicHost: with it, every field about the visitor's names is public, for visitors
// only, and the link's secret stays unknown to the app.
func TestPublicHost(t *testing.T) {
	names := []string{"X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "Forwarded", "Origin", "Referer"}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Host, r.RequestURI)
		for _, name := range names {
			fmt.Fprintln(w, name, r.Header.Get(name))
		}
	}))
	t.Cleanup(app.Close)
	const secret = "0123456789abcdef"
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  public_host = true\n  route \"/local\" { public_host = false }\n}\n", app.URL), func(o *share.Options) {
		o.Named, o.Secret = true, []byte(secret)
	})
	visitor := []string{"Authorization", "Bearer " + secret, "Origin", "https://" + publicName, "Referer", "https://" + publicName + "/?devproxy=" + secret + "&a=1"}
	got := s.visit("/x?u=https://"+publicName+"/y", visitor...).body
	for _, want := range []string{
		publicName + " /x?u=https://" + publicName + "/y\n",
		"X-Forwarded-Host " + publicName + "\n", "X-Forwarded-Port 443\n", "X-Forwarded-Proto https\n",
		"host=" + publicName + ";proto=https\n", "Origin https://" + publicName + "\n", "Referer https://" + publicName + "/?a=1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, secret) || strings.Contains(got, "shop.localhost") {
		t.Errorf("the app sees the secret or a local name:\n%s", got)
	}
	if got := s.visit("/local", visitor...).body; strings.Contains(got, publicName) {
		t.Errorf("a route that undoes it:\n%s", got)
	}
	if got := s.get(s.url("/x")).body; !strings.HasPrefix(got, "shop.localhost:") {
		t.Errorf("locally:\n%s", got)
	}
	// An origin elsewhere stays as it is.
	if got := s.visit("/x", "Authorization", "Bearer "+secret, "Origin", "https://elsewhere.example").body; !strings.Contains(got, "Origin https://elsewhere.example\n") {
		t.Errorf("another origin:\n%s", got)
	}
}

// TestPublicHostAndTheCache: one visitor's public names are not another's.
func TestPublicHostAndTheCache(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintln(w, r.Host)
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  cache = true\n  public_host = true\n}\n", app.URL), nil)
	if got := s.visit("/").body; got != publicName+"\n" {
		t.Fatalf("got %q", got)
	}
	const other = publicName + ":8443"
	s.visits(share.Visitor{Addr: visitorAddr(), Scheme: "https", Host: other})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := get(ctx, s.visitors(), "http://"+other+"/"); err != nil || got.body != other+"\n" {
		t.Errorf("another public name gets %q, %v", got.body, err)
	}
}
