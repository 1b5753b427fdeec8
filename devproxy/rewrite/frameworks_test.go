package rewrite

import (
	"strings"
	"testing"
)

// TestFrameworks: local URLs in the spellings of what frameworks write into their pages.
// The pieces are written after their output, and shortened.
func TestFrameworks(t *testing.T) {
	const local, public = "https://shop.localhost:8443", "https://shop-k3.t.example.com"
	for name, page := range map[string]string{
		"Vite":       `<script type="module">import { injectIntoGlobalHook } from "/@react-refresh"; const env = {"VITE_API": "{URL}/api"};</script><script type="module" src="/src/main.tsx?t=1"></script>`,
		"Next":       `<link rel="canonical" href="{URL}/"/><script>self.__next_f.push([1,"5:[\"$\",\"a\",null,{\"href\":\"{URL}/cart\"}]\n"])</script>`,
		"Nuxt":       `<script type="application/json" data-nuxt-data="nuxt-app" id="__NUXT_DATA__">[["ShallowReactive",1],{"api":2},"{URL}"]</script><script>window.__NUXT__={};window.__NUXT__.config={public:{api:"{URL}"},app:{baseURL:"/"}}</script>`,
		"Astro":      `<astro-island props="{&quot;api&quot;:[0,&quot;{URL}/v1&quot;]}" ssr client="load"></astro-island>`,
		"SvelteKit":  `<script>{__sveltekit_1 = {base: "", env: {"PUBLIC_API":"{URL}"}};const data = [{type:"data",data:{next:"{URL}/b"},uses:{}}];</script>`,
		"Rails":      `<meta name="csrf-param" content="authenticity_token" /><script type="importmap" data-turbo-track="reload">{"imports": {"application": "{URL}/assets/application.js"}}</script><meta property="og:url" content="{URL}/"><a data-turbo-method="delete" href="{URL}/out">x</a>`,
		"Django":     `<form action="{URL}/admin/login/?next=/admin/" method="post"><input type="hidden" name="csrfmiddlewaretoken" value="x"></form><script id="data" type="application/json">{"u": "{URL}/"}</script>`,
		"Laravel":    `<div id="app" data-page="{&quot;url&quot;:&quot;{JSON}\/a&quot;}"></div><script>const Ziggy={"url":"{JSON}","port":8443};</script>`,
		"WordPress":  `<script>var wp = {"ajax_url":"{JSON}\/wp-admin\/admin-ajax.php"};</script><img srcset="{URL}/a.png 1x, {URL}/b.png 2x" style="background:url('{URL}/c.png')">`,
		"a login":    `<a href="https://accounts.example.com/o/oauth2/auth?client_id=1&amp;redirect_uri={QUERY}%2Fcb&amp;state=x">Sign in</a>`,
		"a feed":     `<?xml version="1.0"?><rss><channel><link>{URL}/</link><atom:link href="{URL}/feed.xml" rel="self"/></channel></rss>`,
		"Handlebars": `<a href="{HTML}&#x2F;a">a</a>`,
	} {
		spelled := func(url string) string {
			return strings.NewReplacer(
				"{URL}", url, "{JSON}", strings.ReplaceAll(url, "/", `\/`), "{HTML}", strings.ReplaceAll(url, "/", "&#x2F;"),
				"{QUERY}", strings.NewReplacer("/", "%2F", ":", "%3A").Replace(url),
			).Replace(page)
		}
		for _, cut := range []func(int) int{whole, func(int) int { return 1 }, func(int) int { return 7 }} {
			if got, _, _ := pageThrough(t, spelled(local), nil, cut); got != spelled(public) {
				t.Errorf("%s: becomes\n%s\nwant\n%s", name, got, spelled(public))
			}
		}
	}
}
