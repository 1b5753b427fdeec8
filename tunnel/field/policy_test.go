package field

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// kinds are all controlled kinds, and whether they are dropped for local
// clients too.
var kinds = map[Kind]bool{
	Connection: true, Address: true, Target: true, Environment: true, Own: true,
	Edge: false, Internal: false, Identity: false,
}

// KindOf returns the kind of a field, whose name may have any case and punctuation.
func KindOf(name string) Kind {
	folded, _ := fold(nil, name)
	return kindOf(folded)
}

func TestControlledFieldsByKind(t *testing.T) {
	for kind, names := range map[Kind]string{
		Connection: `Connection Keep-Alive Proxy-Connection Proxy-Authorization Te Trailer Transfer-Encoding Upgrade Http2-Settings`,
		Address: `Forwarded X-Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Server X-Forwarded-Prefix
			X-Forwarded-Anything X-Forwarded-Ssl X-Forwarded-Scheme Forwarded-For
			X-Real-Ip X-Client-Ip X-Cluster-Client-Ip True-Client-Ip Client-Ip CF-Connecting-IP CF-Connecting-IPv6 Fastly-Client-Ip Fly-Client-Ip
			X-Azure-ClientIP X-Azure-SocketIP X-AppEngine-User-IP X-Envoy-External-Address X-ProxyUser-Ip WL-Proxy-Client-IP Proxy-Client-IP
			X-Originating-IP X-Remote-IP X-Remote-Addr Remote-Addr Ali-Cdn-Real-Ip Incap-Client-IP X-Vercel-Forwarded-For
			X-NF-Client-Connection-Ip DO-Connecting-IP X-Original-Forwarded-For X-Original-For CloudFront-Viewer-Address X-Forward-For`,
		Target: `X-Original-URL X-Rewrite-URL X-Original-URI X-Original-Host X-Host X-HTTP-Host-Override X-Waws-Unencoded-URL
			X-Envoy-Original-Path X-Accel-Mapping X-Accel-Redirect X-Sendfile-Type X-Script-Name Script-Name Path-Info X-Scheme Front-End-Https X-MS-Original-Url X-Ingress-Path`,
		Environment: `Proxy`,
		Own:         `Devproxy-Hop Devproxy-Anything`,
		Edge: `Via Cdn-Loop CF-Ray CF-IPCountry CF-Visitor CF-Access-Authenticated-User-Email CF-Access-Jwt-Assertion Fastly-SSL X-Azure-FDID
			X-Envoy-Internal X-Vercel-Ip-Country X-Arr-Ssl X-Nf-Geo X-Akamai-Edgescape CloudFront-Viewer-Country
			X-New-Cdn-Client-Ip Acme-Connecting-Ip X-Acme-Real-Ip My-Forwarded-For X-Acme-Remote-Addr
			X-Apigateway-Event X-CloudTasks-QueueName X-CloudScheduler X-Aws-Sqsd-Taskname`,
		Internal: `X-Middleware-Subrequest X-Middleware-Subrequest-Id X-Middleware-Rewrite X-Middleware-Override-Headers X-Middleware-Next X-Middleware-Set-Cookie
			X-Invoke-Path X-Invoke-Query X-Invoke-Status X-Matched-Path X-Now-Route-Matches Next-Resume X-Next-Resume-State-Length
			X-Prerender-Revalidate X-Prerender-Revalidate-If-Generated X-React-Router-Spa-Mode X-Astro-Path X-Php-Ob-Level`,
		Identity: `X-Forwarded-User X-Forwarded-Username X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username X-Forwarded-Access-Token
			X-Forwarded-Client-Cert X-Forwarded-Client-Cert-Chain X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info Remote-User Remote-Groups X-Remote-User X-Remote-Group X-Remote-Extra-Scopes X-Auth-Request-User X-Auth-Request-Email X-WebAuth-User
			X-Authenticated-User X-Authenticated-Userid SSL-Client-Cert SSL-Client-Verify X-SSL-Client-Cert X-Client-Cert Client-Cert Client-Cert-Chain
			Tailscale-User-Login X-Goog-Authenticated-User-Email X-Goog-IAP-JWT-Assertion X-Amzn-Oidc-Identity X-Amzn-Oidc-Data
			X-MS-Client-Principal X-MS-Client-Principal-Name OIDC-Claim-Sub X-Authentik-Username X-Consumer-Username Shib-Session-Id Iv-User SM-User
			X-Auth-Username Teleport-Jwt-Assertion`,
	} {
		for name := range strings.FieldsSeq(names) {
			everyone := kinds[kind]
			for _, spelt := range []string{name, strings.ToLower(name), strings.ToUpper(name), http.CanonicalHeaderKey(name)} {
				if got := KindOf(spelt); got != kind {
					t.Errorf("%s is of kind %d, want %d", spelt, got, kind)
				}
				if Allowed(spelt, Visitor) || Allowed(spelt, Local) != !everyone {
					t.Errorf("%s: allowed for visitors %v, for local clients %v", spelt, Allowed(spelt, Visitor), Allowed(spelt, Local))
				}
				if Trailer(spelt) {
					t.Errorf("%s may be a trailer", spelt)
				}
			}
			for _, shadow := range shadows(name) {
				if Allowed(shadow, Visitor) || Allowed(shadow, Local) || Trailer(shadow) {
					t.Errorf("%s passes for %s", shadow, name)
				}
			}
		}
	}
}

// shadows are names that some servers read as name.
func shadows(name string) []string {
	if !strings.Contains(name, "-") {
		return nil
	}
	return []string{strings.ReplaceAll(name, "-", "_"), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "."), strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
		strings.ReplaceAll(name, "-", "~")}
}

func TestMessageFieldsPassInTheirOwnSpellingAlone(t *testing.T) {
	for name := range strings.FieldsSeq(`Content-Length Content-Type Content-Encoding Content-Range Max-Forwards
		Sec-Fetch-Site Sec-Ch-Ua Sec-Websocket-Key Access-Control-Request-Method`) {
		if !Allowed(name, Local) || !Allowed(name, Visitor) {
			t.Errorf("%s is dropped", name)
		}
		for _, shadow := range shadows(name) {
			if Allowed(shadow, Local) || Allowed(shadow, Visitor) {
				t.Errorf("%s passes for %s", shadow, name)
			}
		}
	}
}

// TestOrdinaryFieldsPass has what browsers, API clients and frameworks' own
// clients send, and names close to controlled ones.
func TestOrdinaryFieldsPass(t *testing.T) {
	for name := range strings.FieldsSeq(`Accept Accept-Encoding Accept-Language User-Agent Cookie Authorization Origin Referer Host Range If-Range If-None-Match
		Cache-Control Pragma Priority Dnt Expect From Date Link Prefer Depth Destination Upgrade-Insecure-Requests Save-Data Idempotency-Key Last-Event-Id
		X-Requested-With X-Csrf-Token X-Xsrf-Token X-Api-Key X-Auth-Token X-Auth-Key X-Auth-Email X-User-Id X-User X-Tenant-Id X-Request-Id X-Correlation-Id Traceparent Tracestate Baggage
		X-Http-Method-Override X-Http-Method X-Method-Override X-Amz-Date X-Amz-Target X-Amz-Content-Sha256 X-Amz-Security-Token X-Amzn-Trace-Id X-Ms-Date X-Ms-Version X-Goog-Api-Key
		Rsc Next-Router-State-Tree Next-Router-Prefetch Next-Router-Segment-Prefetch Next-Url Next-Action Next-Hmr-Refresh X-Nextjs-Data X-Nextjs-Request-Id X-Deployment-Id
		X-Middleware-Prefetch X-Middleware-Preflight Purpose X-Moz X-Inertia X-Inertia-Version X-Livewire X-Turbo-Request-Id Turbo-Frame Hx-Request Hx-Target X-Up-Version
		X-Sveltekit-Action X-Sveltekit-Invalidated X-Remix-Reload-Document X-Reload-Id X-Wp-Nonce Grpc-Timeout X-Grpc-Web X-User-Agent Ngrok-Skip-Browser-Warning Stripe-Signature
		X-Hub-Signature-256 X-Github-Event Svix-Id Webhook-Id Webhook-Signature Linear-Signature Tus-Resumable Upload-Offset X-Prerender X-Clientip-Note
		Forward X-Forward X-Forwarder Proxy-Id X-Proxy X-Realm X-Originals X-Original-Filename X-Hostname X-Rewrite X-Nowhere X-Now-Playing X-Matched X-Invoker
		Remote-Control Remoteuser Cfg Cf X-Azures Flying Devproxy X-Devproxy X-Devproxy-Hop Auth X-Ssl Sslclient X-Accelerate Via-Point X-Via Viable
		My-Ip Client-Id Clip X-Realip-Note Ip Or X My-Header X-My-Header Content-Disposition X-Content-Type Secure`) {
		for _, client := range []Client{Local, Visitor} {
			if !Allowed(name, client) {
				t.Errorf("%s is dropped for client %d: kind %d", name, client, KindOf(name))
			}
		}
	}
	for _, name := range []string{"my_header", "X_Api_Key", "x_requested_with", "api.version", "X_Csrf_Token", "_", "", "-", "1-Client", "~a", "User_Agent"} {
		if !Allowed(name, Local) || !Allowed(name, Visitor) {
			t.Errorf("%s is dropped: kind %d", name, KindOf(name))
		}
	}
}

func TestTrailer(t *testing.T) {
	for name := range strings.FieldsSeq(`Grpc-Status Grpc-Message Grpc-Status-Details-Bin X-Sum X-Checksum Etag Last-Modified Digest Content-Digest Repr-Digest Content-Md5 Proxy-Status Cross-Origin
		Server-Timing Trace-Proto-Bin X-Amz-Checksum-Crc32 X-Amz-Trailer-Signature X-Stream-Error My_meta Request-Id If Iffy Statuses Hostname`) {
		if !Trailer(name) {
			t.Errorf("%s is dropped", name)
		}
	}
	for name := range strings.FieldsSeq(`Content-Length Transfer-Encoding Host Trailer Content-Type Content-Encoding Content-Range Authorization Proxy-Authorization
		Www-Authenticate Cookie Set-Cookie Set_Cookie Cache-Control Expires Age Date Vary Location Retry-After Warning Range If-Match If-None-Match If_Match Expect
		Max-Forwards Te Origin Referer X-Http-Method-Override X-Forwarded-For X_Forwarded_For Forwarded Remote-User Access-Control-Allow-Origin Sec-Fetch-Site
		Clear-Site-Data Strict-Transport-Security Content-Security-Policy Alt-Svc Devproxy-Hop
		Content-Language Content_Disposition Cross-Origin-Opener-Policy Cross-Origin-Resource-Policy Proxy-Authentication-Info`) {
		if Trailer(name) {
			t.Errorf("%s passes", name)
		}
	}
}

// TestTrailers: the fields that may pass, as far as they have a value.
func TestTrailers(t *testing.T) {
	got := Trailers(http.Header{"X-Sum": {"1", "2"}, "X-Empty": {""}, "X-Announced": nil, "Set-Cookie": {"a=b"}, "Remote-User": {"me"}})
	if want := (http.Header{"X-Sum": {"1", "2"}, "X-Empty": {""}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTable holds what kindOf takes for granted.
func TestTable(t *testing.T) {
	seen := map[string]Kind{}
	type start struct {
		text string
		kind Kind
	}
	var starts []start
	for kind := range table {
		for _, name := range Names(kind) {
			text, isPrefix := strings.CutSuffix(name, "*")
			if folded, odd := fold(nil, text); string(folded) != text || odd || text == "" || text[0] < 'a' || text[0] > 'z' {
				t.Errorf("%q is not folded, or does not begin with a letter", name)
			}
			if len(text) >= maxName {
				t.Errorf("%q is longer than maxName", name)
			}
			if other, there := seen[name]; there {
				t.Errorf("%q is of kind %d and %d", name, other, kind)
			}
			seen[name] = kind
			if isPrefix {
				starts = append(starts, start{text, kind})
			}
		}
	}
	for _, a := range starts {
		for _, b := range starts {
			if a != b && strings.HasPrefix(a.text, b.text) && a.kind != b.kind {
				t.Errorf("the order of %s* and %s* matters", a.text, b.text)
			}
		}
	}
	for _, suffix := range addressSuffixes {
		if !strings.HasPrefix(suffix, "-") || !strings.HasSuffix(suffix, "p") && !strings.HasSuffix(suffix, "r") {
			t.Errorf("kindOf does not look for %q", suffix)
		}
	}
	for name := range early {
		if kindOf([]byte(name)) != None {
			t.Errorf("%q is controlled anyway", name)
		}
	}
}

// TestCommonFieldsAreOrdinary has the shortcut say what the tables say.
func TestCommonFieldsAreOrdinary(t *testing.T) {
	for name := range common {
		if kind := KindOf(name); kind != None && kind != Message || name != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is of kind %d", name, kind)
		}
	}
}

func TestFold(t *testing.T) {
	for name, want := range map[string]string{"AZaz09-": "azaz09-", "": ""} {
		if got, odd := fold(nil, name); string(got) != want || odd {
			t.Errorf("%q is folded to %q, odd %v", name, got, odd)
		}
	}
	for name, want := range map[string]string{"A_b": "a-b", "[`{@/:": "------", "x\xff": "x-", " ": "-"} {
		if got, odd := fold(nil, name); string(got) != want || !odd {
			t.Errorf("%q is folded to %q, odd %v", name, got, odd)
		}
	}
	if KindOf("-client-ip") != Edge || KindOf("client-ip-") != None {
		t.Error("a suffix is read differently at the edges")
	}
	if names := Names(Environment); !slices.Equal(names, []string{"proxy"}) || !slices.IsSorted(Names(Identity)) {
		t.Errorf("%q", names)
	}
}

func TestLongNames(t *testing.T) {
	long := strings.Repeat("a", maxName)
	for name, want := range map[string]bool{
		"X-Forwarded-" + long: false, "X_Forwarded_" + long: false, long + "-Client-Ip": false, long + "_client_ip": false,
		long: true, "X-" + long: true, "x_" + long: true, long + "-client-ipx": true,
	} {
		if got := Allowed(name, Visitor); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !Allowed(long+"-Client-Ip", Local) || Allowed(long+"_Client_Ip", Local) || Allowed("X-Forwarded-"+long, Local) {
		t.Error("a long name is read differently for local clients")
	}
}

func TestOrdinaryNamesCostNoAllocation(t *testing.T) {
	names := []string{"Accept-Encoding", "User-Agent", "Cookie", "X-Requested-With", "Sec-Fetch-Site", "my_header", "Ip"}
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			Allowed(name, Visitor)
			Trailer(name)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAllowed compares with an oracle that folds the plain way and walks all
// of the tables.
func FuzzAllowed(f *testing.F) {
	for _, name := range []string{"X-Forwarded-For", "x_forwarded_for", "Content.Length", "my_header", "Remote_User", "X-Middleware-Prefetch", "a-client-ip", "Sec~Fetch", "\xff-Real-Ip"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		var b strings.Builder
		odd := false
		for _, c := range []byte(strings.ToLower(asciiOnly(name))) {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", rune(c)) {
				c, odd = '-', true
			}
			b.WriteByte(c)
		}
		kind := slowKind(b.String())
		wantVisitor := kind == None || kind == Message && !odd
		wantLocal := wantVisitor || !odd && !kinds[kind]
		if Allowed(name, Visitor) != wantVisitor || Allowed(name, Local) != wantLocal {
			t.Errorf("%q: %v, %v; want %v, %v", name, Allowed(name, Visitor), Allowed(name, Local), wantVisitor, wantLocal)
		}
		if Trailer(name) && kind != None {
			t.Errorf("%q may be a trailer", name)
		}
	})
}

// asciiOnly keeps ToLower from reading UTF-8.
func asciiOnly(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 0x80 {
			b[i] = '?'
		}
	}
	return string(b)
}

func slowKind(folded string) Kind {
	for kind := range table {
		if slices.Contains(Names(kind), folded) {
			return kind
		}
	}
	for kind := range table {
		for _, name := range Names(kind) {
			if text, ok := strings.CutSuffix(name, "*"); ok && strings.HasPrefix(folded, text) {
				return kind
			}
		}
	}
	for _, suffix := range addressSuffixes {
		if strings.HasSuffix(folded, suffix) {
			return Edge
		}
	}
	return None
}

func BenchmarkAllowed(b *testing.B) {
	h := []string{"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Cookie", "Referer", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Upgrade-Insecure-Requests", "User-Agent", "X-Requested-With"}
	b.ReportAllocs()
	for b.Loop() {
		for _, name := range h {
			Allowed(name, Local)
		}
	}
}
