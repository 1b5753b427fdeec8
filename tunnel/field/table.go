package field

import (
	"slices"
	"strings"
)

// table has the fields of each kind, folded. "name-*" is a prefix. A name that passes although
// a prefix covers it has the kind None.
var table = map[Kind]string{
	// Fields that describe or frame a message (RFC 9110, RFC 9112), and those that only a
	// browser sets: apps recognize their own pages by Sec-Fetch-Site (W3C Fetch Metadata).
	Message: `content-length content-type content-encoding content-range set-cookie max-forwards
		access-control-* sec-*`,

	Connection: `connection keep-alive proxy-connection proxy-authenticate proxy-authorization proxy-authentication-info
		te trailer transfer-encoding upgrade http2-settings`,

	// The fields that CDNs, load balancers and platforms document for the
	// client's address, and those that apps' libraries look for (the npm package
	// request-ip, Go's realip packages, Java's getRemoteAddr helpers).
	// Forwarded is RFC 7239. X-Forwarded-* are addresses, host, scheme and prefix; those
	// with a user or a client certificate have the kind Identity.
	Address: `forwarded x-forwarded* forwarded-for forwarded-for-ip forwarded-host forwarded-proto
		x-real-ip x-real-port x-client-ip x-client-port x-client-addr x-client-address x-cluster-client-ip true-client-ip client-ip client-address
		real-ip remote-addr remote-host remote-port x-remote-ip x-remote-addr x-remote-host x-remote-port x-originating-ip originating-ip
		x-source-ip source-ip x-user-ip x-proxyuser-ip x-proxy-user-ip x-host-ip x-custom-ip-authorization
		x-original-forwarded-for x-original-for x-original-remote-addr x-original-ip
		proxy-client-ip wl-proxy-client-ip http-client-ip
		cf-connecting-ip cf-connecting-ipv6 cf-pseudo-ipv4 fastly-client-ip fly-client-ip cloudfront-viewer-address
		x-azure-clientip x-azure-socketip x-appengine-user-ip x-appengine-remote-addr x-envoy-external-address
		x-vercel-forwarded-for x-vercel-proxied-for x-vercel-ip x-nf-client-connection-ip do-connecting-ip x-arr-clientip
		ali-cdn-real-ip cdn-src-ip x-cdn-src-ip cdn-real-ip incap-client-ip akamai-client-ip x-sucuri-clientip eo-client-ip eo-connecting-ip
		x-bluecoat-via z-forwarded-for x-forward-for remote-address`,

	// Symfony and Laravel, Zend and Laminas take the path from X-Original-URL and
	// X-Rewrite-URL (CVE-2018-14773), Azure's front end sends
	// X-WAWS-Unencoded-URL. gunicorn takes SCRIPT_NAME and PATH_INFO from fields
	// of these names when the peer is 127.0.0.1, which devproxy is (its setting
	// forwarder_headers). ASP.NET Core keeps what it replaced in X-Original-*.
	// Rack and Plack read X-Sendfile-Type and X-Accel-Mapping as a proxy's
	// settings (CVE-2025-61780, CVE-2026-7381).
	Target: `x-original-url x-original-uri x-original-path x-original-host x-original-method x-original-proto x-original-scheme x-original-prefix x-original-pathbase
		x-rewrite-url x-rewrite-uri x-rewritten-url x-override-url x-request-uri request-uri
		x-http-destinationurl x-http-path-translate x-path-info path-info x-script-name script-name
		x-host x-host-override x-http-host x-http-host-override
		x-waws-unencoded-url x-unencoded-url unencoded-url x-ms-original-url x-ingress-path
		x-envoy-original-path x-envoy-original-host x-envoy-decorator-operation
		x-scheme x-url-scheme front-end-https
		x-accel-* x-sendfile*`,

	Environment: `proxy`,

	Own: `devproxy-*`,

	// Proxies set Via and CDN-Loop (RFC 8586). The adapters of Express and
	// Fastify for AWS Lambda take the caller from X-Apigateway-Event. Apps run a
	// task because Google's or Amazon's queue field is there.
	Edge: `via cdn-loop cf-* cloudfront-* fastly-* fly-* x-azure-* x-appengine-* x-envoy-* x-vercel-* x-nf-* x-arr-* x-waws-*
		x-akamai-* akamai-* x-cdn-* ali-cdn-* incap-* x-sucuri-* eo-client-*
		x-apigateway-event x-apigateway-context x-cloudtasks-* x-cloudscheduler* x-aws-sqsd-* x-netlify-original-pathname`,

	// Next.js: INTERNAL_HEADERS of packages/next/src/server/lib/server-ipc and
	// x-middleware-subrequest (CVE-2025-29927), its proxies' next-resume, and the
	// keys of revalidation. Astro: the Vercel adapter's x-astro-*. React Router:
	// CVE-2025-43864 and CVE-2025-43865. Symfony: HttpKernel's X-Php-Ob-Level.
	// X-Rack-Mini-Profiler has the effect of ?pp=: it shows the environment and profiles.
	// They are dropped only for visitors: a middleware or res.revalidate() of Next may send
	// requests to its own origin, which is devproxy's.
	Internal: `x-middleware-* x-invoke-* x-matched-path x-now-route-matches next-resume x-next-resume-state-length
		x-prerender-revalidate x-prerender-revalidate-if-generated x-prerender-bypass-mode x-next-revalidated-tags x-next-revalidate-tag-token x-next-cache-tags x-next-cache-soft-tags
		x-opennext-* x-astro-path x-astro-locals x-astro-middleware-secret
		x-react-router-spa-mode x-react-router-prerender-data
		x-php-ob-level x-rack-mini-profiler`,

	// X-Forwarded-User and similar fields: oauth2-proxy, Traefik and Envoy.
	// Single sign-on in front of an app: Apache's and nginx's Remote-User,
	// Authelia's Remote-*, Kubernetes' X-Remote-*, oauth2-proxy's
	// X-Auth-Request-*, Teleport, Authentik, Pomerium, Vouch, Kong, mod_auth_openidc,
	// Shibboleth, SiteMinder, WebSEAL, Tailscale Serve, Google's IAP, Amazon's
	// ALB, Azure's EasyAuth, ngrok, Replit; client certificates (RFC 9440 and
	// those of nginx, HAProxy, IIS). Credentials that clients themselves send
	// (Authorization, X-Api-Key, X-Auth-Token, X-User-Id, X-Amz-*) are not here.
	Identity: `x-forwarded-user x-forwarded-username x-forwarded-preferred-username x-forwarded-email x-forwarded-group x-forwarded-groups x-forwarded-roles
		x-forwarded-access-token x-forwarded-id-token x-forwarded-client-cert x-forwarded-client-cert-chain x-forwarded-tls-client-cert x-forwarded-tls-client-cert-info
		remote-user remote-name remote-email remote-groups remote-ident auth-user auth-type logon-user x-remote-* x-auth-request-*
		x-auth-userid x-auth-username x-auth-roles x-auth-groups x-auth-subject
		teleport-jwt-assertion x-jwt-assertion
		x-webauth-* x-authenticated-* x-authentik-* x-pomerium-* x-vouch-* x-consumer-id x-consumer-username x-consumer-custom-id x-consumer-groups x-credential-identifier x-anonymous-consumer
		x-userinfo x-endpoint-api-userinfo x-apigateway-api-userinfo x-proxy-user x-proxy-remote-user x-iisnode-*
		oidc-* mellon-* shib-* eppn persistent-id sm-user sm-userdn sm-universalid sm-serversessionid smuser iv-user iv-user-l iv-groups iv-creds
		tailscale-* x-tailscale-* ngrok-auth-* x-replit-user-*
		x-goog-authenticated-user-* x-goog-iap-* x-amzn-oidc-* x-amzn-mtls-* x-ms-client-principal* x-ms-token-*
		client-cert client-cert-chain ssl-client-* x-ssl-* x-client-cert* x-client-dn x-client-verify x-client-subject x-client-issuer
		x-tls-client-* x-mtls-*`,

	// Next.js' pages router sends these from the browser.
	None: `x-middleware-prefetch x-middleware-preflight`,
}

// addressSuffixes end the names of further fields with the client's address: every CDN has
// its own.
var addressSuffixes = [...]string{
	"-client-ip", "-clientip", "-connecting-ip", "-real-ip", "-originating-ip", "-remote-ip",
	"-remote-addr", "-client-addr", "-forwarded-for",
}

// early are further fields that come too late in a trailer section: a browser that merged
// them into the header would act on them.
var early = set(`host authorization www-authenticate authentication-info cookie cookie2 set-cookie2
	cache-control pragma expires age date vary warning location content-location retry-after refresh
	range expect origin referer x-http-method-override x-http-method x-method-override
	alt-svc clear-site-data strict-transport-security content-security-policy content-security-policy-report-only
	service-worker-allowed status link referrer-policy permissions-policy feature-policy origin-agent-cluster
	sourcemap x-sourcemap nel report-to reporting-endpoints x-frame-options x-content-type-options x-robots-tag`)

// common are the fields that browsers send with nearly every request, in canonical form.
// They pass without a lookup in the other tables, to save time.
var common = set(`Accept Accept-Encoding Accept-Language Cache-Control Content-Length Content-Type Cookie Dnt
	If-Modified-Since If-None-Match Origin Pragma Priority Referer
	Sec-Ch-Ua Sec-Ch-Ua-Mobile Sec-Ch-Ua-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User
	Upgrade-Insecure-Requests User-Agent X-Requested-With`)

type prefix struct {
	text string
	kind Kind
}

// exact has the names of table, prefixes its "name-*" by their first letter.
var exact, prefixes = index(table)

func index(table map[Kind]string) (exact map[string]Kind, prefixes ['z' - 'a' + 1][]prefix) {
	exact = map[string]Kind{}
	for kind, names := range table {
		for name := range strings.FieldsSeq(names) {
			if text, ok := strings.CutSuffix(name, "*"); ok {
				prefixes[text[0]-'a'] = append(prefixes[text[0]-'a'], prefix{text, kind})
			} else {
				exact[name] = kind
			}
		}
	}
	return exact, prefixes
}

func set(names string) map[string]bool {
	s := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		s[name] = true
	}
	return s
}

// Names returns the names of kind k, sorted and folded. A prefix ends in "*".
func Names(k Kind) []string {
	return slices.Sorted(strings.FieldsSeq(table[k]))
}
