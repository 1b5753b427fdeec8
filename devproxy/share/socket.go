package share

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/websocket"
)

// socketRule is a WebSocket of a developer tool. A page sends what hot replacement needs
// on it; an attacker would send calls: read this file, save that one, run this test.
// Messages that are not listed do not pass.
type socketRule struct {
	// tool is its name: "Vite".
	tool string
	// show is the text that opens the rule in `share { show = […] }`.
	show string
	// subprotocols are those with which a client opens the socket.
	subprotocols []string
	// path are segments, at any depth. Only the beginning of the last one is compared,
	// as in Next and others.
	path []string
	// passes reports whether a message may pass.
	passes func(jsontext.Value) bool
	// calls reports whether a message that does not pass ends the socket, because
	// no page sends it on its own. Others are dropped, since the page that sent
	// them would connect again and reload, forever.
	calls func(jsontext.Value) bool
}

// viteEvents are the custom events that the clients of Vite and UnoCSS send.
var viteEvents = []string{
	"vite:invalidate", "vite:client-connected", "vite:module-loaded",
	"vite:bundled-dev:payload-delivered", "vite:bundled-dev:reload-needed", "unocss:hmr",
}

// socketRules are the known sockets. Their messages, and the servers' reactions
// to them, come from the sources of these tools.
var socketRules = []socketRule{
	{
		// Vite (client.mjs, node/server/ws.ts): pings, and custom events to
		// listeners of any plugin. "vite:invoke" calls fetchModule, which reads any
		// file in Vite 6.0 to 6.4.1, 7.0 to 7.3.1 and 8.0.0 to 8.0.4
		// (CVE-2026-39363, GHSA-p9ff-h696-f583). "nuxt:devtools:rpc" and
		// vite-dev-rpc are RPC too. "vite:forward-console" writes to the terminal,
		// which agents read. "unocss:hmr" requests a style again.
		tool: "Vite", show: "vite-hmr", subprotocols: []string{"vite-hmr", "vite-ping"},
		passes: func(message jsontext.Value) bool {
			m := object(message)
			return only(m, "type", "ping") || text(m["type"]) == "custom" && slices.Contains(viteEvents, text(m["event"]))
		},
		calls: func(message jsontext.Value) bool { return text(object(message)["event"]) == "vite:invoke" },
	},
	// Vitest (packages/vitest/src/api/setup.ts, packages/browser): birpc with flatted,
	// which saves and runs files (CVE-2025-24964, GHSA-9crc-q9x8-hgqq).
	{tool: "Vitest", show: "__vitest_api__", path: []string{"__vitest_api__"}, calls: always},
	{tool: "Vitest", show: "__vitest_browser_api__", path: []string{"__vitest_browser_api__"}, calls: always},
	{
		// Storybook (core-server/utils/get-server-channel.ts): the page sends all of
		// its events here too; "saveStoryRequest" and
		// "createNewStoryfileRequest" write source files (CVE-2026-27148,
		// GHSA-mjf5-7g4m-gx5w).
		tool: "Storybook", show: "storybook-server-channel", path: []string{"storybook-server-channel"},
		passes: func(message jsontext.Value) bool { return only(object(message), "type", "pong") },
	},
	{
		// Next (server/dev/hot-reloader-*.ts): "browser-logs", "client-full-reload"
		// and others write to the terminal, "mcp-error-state-response" answers in
		// place of the page. The event and the type are read separately.
		tool: "Next", show: "next-hmr", path: []string{"_next", ""},
		passes: func(message jsontext.Value) bool {
			m := object(message)
			event, kind := m["event"], m["type"]
			return (event != nil || kind != nil) &&
				(event == nil || text(event) == "ping") &&
				(kind == nil || slices.Contains([]string{"turbopack-subscribe", "turbopack-unsubscribe"}, text(kind)))
		},
	},
	{
		// Rsbuild (server/socketServer.ts): "client-error" reads files through
		// source maps and writes their text to the terminal.
		tool: "Rsbuild", show: "rsbuild-hmr", path: []string{"rsbuild-hmr"},
		passes: func(message jsontext.Value) bool { return only(object(message), "type", "ping") },
	},
	{
		// Phoenix (phoenix_live_reload, channel.ex): "full_path" returns the place of
		// a file on the disk. A message is [join_ref, ref, topic, event, payload].
		tool: "Phoenix LiveReload", show: "phoenix-live-reload", path: []string{"phoenix", "live_reload", "socket"},
		passes: func(message jsontext.Value) bool {
			event := text(object(message)["event"])
			if m := decode[[]jsontext.Value](message); len(m) == 5 {
				event = text(m[3])
			}
			return slices.Contains([]string{"phx_join", "phx_leave", "heartbeat"}, event)
		},
	},
}

// SocketRules returns the rules for a visitor's messages on the WebSocket that
// r opens, or nil if the socket does not belong to a developer tool. target is
// the path that the upstream gets, accepted the subprotocol that it has
// accepted, empty before it has. tell is called for the first message that does
// not pass. With rules, the handshake must not agree on an extension:
// compressed messages end the socket.
func (s *Share) SocketRules(r *http.Request, target, accepted string, tell func(Hit)) *websocket.Rules {
	rule := s.socketOf(r, target, accepted)
	if rule == nil || s.guard.shown.texts[rule.show] {
		return nil
	}
	told := false
	return &websocket.Rules{TooLong: websocket.Drop, Judge: func(m websocket.Message) websocket.Verdict {
		verdict := rule.judge(m.Data)
		if verdict != websocket.Pass && !told {
			told = true
			tell(Hit{Kind: Tools, What: "messages to the server on the socket of " + rule.tool, Show: rule.show})
		}
		return verdict
	}}
}

// judge decides about one message. What parsers could read in different ways is not JSON
// here: a duplicate member, a text that is not UTF-8, anything after the value.
func (rule *socketRule) judge(data []byte) websocket.Verdict {
	message := jsontext.Value(data)
	switch {
	case !message.IsValid():
		return websocket.Drop
	case rule.passes != nil && rule.passes(message):
		return websocket.Pass
	case rule.calls != nil && rule.calls(message):
		return websocket.Refuse
	}
	return websocket.Drop
}

func (s *Share) socketOf(r *http.Request, target, accepted string) *socketRule {
	paths := [][]string{foldedSegments(rawPath(r)), foldedSegments(target)}
	offered := append(slices.Collect(field.Elements(r.Header["Sec-Websocket-Protocol"])), accepted)
	for i := range socketRules {
		rule := &socketRules[i]
		if rule.offeredIn(offered) || rule.under(paths[0]) || rule.under(paths[1]) {
			return rule
		}
	}
	return nil
}

func (rule *socketRule) offeredIn(protocols []string) bool {
	return slices.ContainsFunc(protocols, func(protocol string) bool {
		return slices.Contains(rule.subprotocols, lower(protocol))
	})
}

// under reports whether segments contain those of the rule, in sequence.
func (rule *socketRule) under(segments []string) bool {
	last := len(rule.path) - 1
	isSame := func(segment, want string) bool { return visible(segment) == want }
	for i := 0; last >= 0 && i+last < len(segments); i++ {
		if begin(segments[i:], rule.path[:last], isSame) && strings.HasPrefix(visible(segments[i+last]), rule.path[last]) {
			return true
		}
	}
	return false
}

// foldedSegments returns the segments of a path as the most lenient program reads them.
// A path that cannot be read has none: Admit has refused it.
func foldedSegments(path string) []string {
	path, _, _ = strings.Cut(path, "?")
	folded, _ := foldPath(path)
	return split(folded)
}

// object returns the members of a JSON object.
func object(value jsontext.Value) map[string]jsontext.Value {
	return decode[map[string]jsontext.Value](value)
}

// text returns a JSON string.
func text(value jsontext.Value) string { return decode[string](value) }

// decode returns a JSON value as a T; the zero T for any other value.
func decode[T any](value jsontext.Value) (result T) {
	if json.Unmarshal(value, &result) != nil {
		return *new(T)
	}
	return result
}

// only reports whether an object is {name: value}.
func only(members map[string]jsontext.Value, name, value string) bool {
	return len(members) == 1 && text(members[name]) == value
}

func always(jsontext.Value) bool { return true }
