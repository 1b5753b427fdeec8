package share

import (
	"net/http"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/tunnel/websocket"
)

func TestSocketsOfTools(t *testing.T) {
	s := mustNew(t, oneHost())
	for _, test := range []struct {
		path, target, offered, accepted string
		want                            string // the rule's show; empty for none
	}{
		{path: "/?token=x", offered: "vite-hmr", want: "vite-hmr"},
		{path: "/base/", offered: "vite-ping", want: "vite-hmr"},
		{path: "/", offered: "VITE-HMR", want: "vite-hmr"},
		{path: "/", offered: "graphql-ws, vite-hmr", want: "vite-hmr"},
		{path: "/", accepted: "vite-hmr", want: "vite-hmr"},
		{path: "/", offered: "graphql-ws", accepted: "graphql-ws"},
		{path: "/", offered: "not-vite-hmr"},
		{path: "/"},
		{path: "/__vitest_api__?token=x", want: "__vitest_api__"},
		{path: "/base/__vitest_api__", want: "__vitest_api__"},
		{path: "/__%76itest_api__", want: "__vitest_api__"},
		{path: "/x/..%2f__VITEST_api__", want: "__vitest_api__"},
		{path: "/__vitest_api", want: ""},
		{path: "/app", target: "/__vitest_api__", want: "__vitest_api__"},
		{path: "/__vitest_api__", target: "/app", want: "__vitest_api__"},
		{path: "/app", target: "/app?x=/__vitest_api__"},
		{path: "/?x=/__vitest_api__"},
		{path: "/__vitest_browser_api__?type=tester", want: "__vitest_browser_api__"},
		{path: "/storybook-server-channel?token=x&page=manager", want: "storybook-server-channel"},
		{path: "//x/storybook-server-channel", want: "storybook-server-channel"},
		{path: "/_next/webpack-hmr?page=/", want: "next-hmr"},
		{path: "/docs/_next/hmr", want: "next-hmr"},
		{path: "/_next/hmrx", want: "next-hmr"},
		{path: "/_next"},
		{path: "/next/webpack-hmr"},
		{path: "/rsbuild-hmr?token=x", want: "rsbuild-hmr"},
		{path: "/phoenix/live_reload/socket/websocket?vsn=2.0.0", want: "phoenix-live-reload"},
		{path: "/phoenix/live_view/socket"},
		{path: "/live/websocket"},
		{path: "/ws"},
		{path: "/cable"},
	} {
		r := &http.Request{RequestURI: test.path, Header: http.Header{}}
		if test.offered != "" {
			r.Header.Set("Sec-WebSocket-Protocol", test.offered)
		}
		target, _, _ := strings.Cut(test.path, "?")
		if test.target != "" {
			target = test.target
		}
		got := ""
		if rule := s.socketOf(r, target, test.accepted); rule != nil {
			got = rule.show
		}
		if got != test.want {
			t.Errorf("%s (%s, offers %q, accepted %q): %q, want %q", test.path, test.target, test.offered, test.accepted, got, test.want)
		}
		if rules := s.SocketRules(r, target, test.accepted, nil); (rules != nil) != (test.want != "") {
			t.Errorf("%s: rules are %v", test.path, rules)
		}
	}
}

func TestWhatPassesOnSockets(t *testing.T) {
	const pass, drop, refuse = websocket.Pass, websocket.Drop, websocket.Refuse
	for _, test := range []struct {
		show, message string
		want          websocket.Verdict
	}{
		{"vite-hmr", `{"type":"ping"}`, pass},
		{"vite-hmr", ` {"type" : "ping"} `, pass},
		{"vite-hmr", `{"type":"ping","event":"vite:invoke"}`, refuse},
		{"vite-hmr", `{"type":"custom","event":"vite:invalidate","data":{"path":"/main.js"}}`, pass},
		{"vite-hmr", `{"type":"custom","event":"vite:client-connected","data":{"clientId":"x"}}`, pass},
		{"vite-hmr", `{"type":"custom","event":"vite:module-loaded","data":{"modules":["/main.js"]}}`, pass},
		{"vite-hmr", `{"type":"custom","event":"vite:bundled-dev:payload-delivered","data":{}}`, pass},
		{"vite-hmr", `{"type":"pong"}`, drop},
		{"vite-hmr", `{"type":"ping","data":1}`, drop},
		{"vite-hmr", `{"type":"custom","event":"vite:bundled-dev:reload-needed","data":{"reason":"x"}}`, pass},
		{"vite-hmr", `{"type":"custom","event":"unocss:hmr","data":["__ALL__"]}`, pass},
		{"vite-hmr", `{"type":"custom","event":"vite:invoke","data":{"id":"1","name":"fetchModule","data":["file:///etc/passwd?raw"]}}`, refuse},
		{"vite-hmr", `{"type":"custom","\u0065vent":"vite:inv\u006fke","data":{}}`, refuse},
		{"vite-hmr", `{"type":"custom","event":"vite:invalidate","event":"vite:invoke","data":{}}`, drop},
		{"vite-hmr", `{"type":"custom","event":"vite:invalidate","\u0065vent":"vite:invoke","data":{}}`, drop},
		{"vite-hmr", `{"type":"custom","Event":"vite:invalidate","event":"vite:invoke","data":{}}`, refuse},
		{"vite-hmr", `{"type":"custom","Event":"vite:invalidate"}`, drop},
		{"vite-hmr", `{"type":"custom","event":["vite:invalidate"]}`, drop},
		{"vite-hmr", `{"type":"custom","event":"VITE:INVALIDATE"}`, drop},
		{"vite-hmr", `{"type":"other","event":"vite:invalidate"}`, drop},
		{"vite-hmr", `{"event":"vite:invalidate"}`, drop},
		{"vite-hmr", `{"type":"custom","event":"vite:forward-console","data":{}}`, drop},
		{"vite-hmr", `{"type":"custom","event":"nuxt:devtools:rpc","data":"[]"}`, drop},
		{"vite-hmr", `{"type":"custom","event":"my:event","data":1}`, drop},
		{"vite-hmr", `[{"type":"ping"}]`, drop},
		{"vite-hmr", `"ping"`, drop},
		{"vite-hmr", `{"type":"ping"} {"type":"custom","event":"vite:invoke"}`, drop},
		{"vite-hmr", "{\"type\":\"custom\",\"event\":\"vite:invalidate\",\"data\":\"\xff\"}", drop},
		{"vite-hmr", "\ufeff{\"type\":\"ping\"}", drop},
		{"vite-hmr", ``, drop},
		{"__vitest_api__", `{"type":"ping"}`, refuse},
		{"__vitest_api__", `[{"m":"1","a":"2"},"saveTestFile",[]]`, refuse},
		{"__vitest_browser_api__", `[{"m":"1"},"readFile"]`, refuse},
		{"storybook-server-channel", `{"type":"pong"}`, pass},
		{"storybook-server-channel", `{"type":"pong","args":["_function_x|() => 1"]}`, drop},
		{"storybook-server-channel", `{"type":"saveStoryRequest","args":[{"id":"1","payload":{}}]}`, drop},
		{"storybook-server-channel", `{"type":"createNewStoryfileRequest","args":[{}]}`, drop},
		{"storybook-server-channel", `{"type":"storyRendered","args":["x"]}`, drop},
		{"next-hmr", `{"event":"ping","tree":[],"appDirRoute":true}`, pass},
		{"next-hmr", `{"event":"ping","page":"/"}`, pass},
		{"next-hmr", `{"type":"turbopack-subscribe","path":"[project]/x.js"}`, pass},
		{"next-hmr", `{"type":"turbopack-unsubscribe","path":"[project]/x.js"}`, pass},
		{"next-hmr", `{"type":"turbopack-subscribe","event":"browser-logs","path":"x"}`, drop},
		{"next-hmr", `{"type":"other","event":"ping"}`, drop},
		{"next-hmr", `{"event":"browser-logs","entries":[]}`, drop},
		{"next-hmr", `{"event":"mcp-error-state-response","requestId":"1"}`, drop},
		{"next-hmr", `{"type":"other"}`, drop},
		{"next-hmr", `{"event":null,"type":"turbopack-subscribe"}`, drop},
		{"next-hmr", `{"event":"ping","type":null}`, drop},
		{"next-hmr", `{"event":"ping","type":"turbopack-subscribe"}`, pass},
		{"next-hmr", `{}`, drop},
		{"next-hmr", `[]`, drop},
		{"rsbuild-hmr", `{"type":"ping"}`, pass},
		{"rsbuild-hmr", `{"type":"ping","stack":"x"}`, drop},
		{"rsbuild-hmr", `{"type":"client-error","stack":"at x (file:///etc/passwd)"}`, drop},
		{"phoenix-live-reload", `["1","1","phoenix:live_reload","phx_join",{}]`, pass},
		{"phoenix-live-reload", `["1","4","phoenix:live_reload","phx_leave",{}]`, pass},
		{"phoenix-live-reload", `[null,"2","phoenix","heartbeat",{}]`, pass},
		{"phoenix-live-reload", `["1","1","phoenix:live_reload","phx_join"]`, drop},
		{"phoenix-live-reload", `["1","1","phoenix:live_reload","phx_join",{},{}]`, drop},
		{"phoenix-live-reload", `["1","phx_join","phx_join","full_path","phx_join"]`, drop},
		{"phoenix-live-reload", `"phx_join"`, drop},
		{"phoenix-live-reload", `{"topic":"phoenix:live_reload","event":"phx_join","payload":{},"ref":"1"}`, pass},
		{"phoenix-live-reload", `["1","3","phoenix:live_reload","full_path",{"rel_path":"lib/x.ex"}]`, drop},
		{"phoenix-live-reload", `{"topic":"phoenix:live_reload","event":"full_path","payload":{},"ref":"1"}`, drop},
		{"phoenix-live-reload", `["1","1","phoenix:live_reload","full_path","phx_join",{}]`, drop},
	} {
		if got := ruleOf(t, test.show).judge([]byte(test.message)); got != test.want {
			t.Errorf("%s: %s: verdict %d, want %d", test.show, test.message, got, test.want)
		}
	}
}

func ruleOf(t *testing.T, show string) *socketRule {
	t.Helper()
	for i := range socketRules {
		if socketRules[i].show == show {
			return &socketRules[i]
		}
	}
	t.Fatalf("no rule %q", show)
	return nil
}

// The developer gets one line for each socket, whatever the visitor sends.
func TestTheFirstHeldMessageIsTold(t *testing.T) {
	var told []Hit
	r := &http.Request{RequestURI: "/", Header: http.Header{"Sec-Websocket-Protocol": {"vite-hmr"}}}
	rules := mustNew(t, oneHost()).SocketRules(r, "/", "", func(hit Hit) { told = append(told, hit) })
	rules.Judge(websocket.Message{Data: []byte(`{"type":"ping"}`)})
	if len(told) != 0 {
		t.Errorf("a ping is reported: %v", told)
	}
	for _, message := range []string{`{"type":"custom","event":"my:event"}`, `{"type":"custom","event":"vite:invoke"}`, `x`} {
		rules.Judge(websocket.Message{Data: []byte(message)})
	}
	if len(told) != 1 || told[0] != (Hit{Kind: Tools, What: "messages to the server on the socket of Vite", Show: "vite-hmr"}) {
		t.Errorf("got %v", told)
	}
	if rules.TooLong != websocket.Drop {
		t.Error("a long message ends the socket")
	}
}

func TestShowOpensSockets(t *testing.T) {
	opts := oneHost()
	opts.Show = []string{"vite-hmr"}
	s := mustNew(t, opts)
	r := &http.Request{RequestURI: "/", Header: http.Header{"Sec-Websocket-Protocol": {"vite-hmr"}}}
	if s.SocketRules(r, "/", "", nil) != nil {
		t.Error("the socket of Vite is not open")
	}
	r = &http.Request{RequestURI: "/_next/hmr", Header: http.Header{}}
	if s.SocketRules(r, "/_next/hmr", "", nil) == nil {
		t.Error("the socket of Next is open")
	}
}
