package javascript

import (
	"strings"
	"testing"
)

func environment(name string) (string, bool) {
	v, ok := map[string]string{"API_PORT": "4100", "VITE_PORT": "5200", "EMPTY": ""}[name]
	return v, ok
}

func TestEvaluate(t *testing.T) {
	for source, want := range map[string]string{
		`3000`:                                  "3000",
		`3_000`:                                 "3000",
		`'3000'`:                                "3000",
		`"a\"b"`:                                `a"b`,
		`parseInt(process.env.P || '3000')`:     "3000",
		`parseInt(process.env.P || '3000', 10)`: "3000",
		`Number(process.env.P ?? 3000)`:         "3000",
		`Number.parseInt(process.env["API_PORT"]!, 10)`:              "4100",
		`+process.env.API_PORT`:                                      "4100",
		`+(process.env.P || 81)`:                                     "81",
		`process.env.API_PORT ? Number(process.env.API_PORT) : 3000`: "4100",
		`process.env.P ? Number(process.env.P) : 3000`:               "3000",
		`process.env.NODE_ENV === 'production' ? 80 : 3000`:          "3000",
		`isProduction ? 80 : 3000`:                                   "3000",
		`!isDev ? 80 : 3000`:                                         "3000",
		`process.env.EMPTY || 3`:                                     "3",
		"`http://localhost:${process.env.API_PORT || 3000}/x`":       "http://localhost:4100/x",
		"`http://${host}:${port}`":                                   "http://localhost:8081",
		"`${unknown}`":                                               "?",
		"'http://localhost:' + port":                                 "http://localhost:8081",
		"base + 1":                                                   "8001",
		`(3000 as number)`:                                           "3000",
		`process.env.API_PORT as string`:                             "4100",
		`settings.api.port`:                                          "7000",
		`settings?.api?.["port"]`:                                    "7000",
		`env.VITE_PORT`:                                              "5200",
		`env.NONE || 1`:                                              "1",
		`PORT`:                                                       "4321",
		`VITE`:                                                       "5200",
		`later`:                                                      "12",
		`cycle`:                                                      "?",
		`Deno.env.get("P") ?? "8000"`:                                "8000",
		`env.int('P', 1337)`:                                         "1337",
		`unknown() || 3000`:                                          "3000",
		`unknown()`:                                                  "?",
		`a < b ? 1 : 2`:                                              "?",
		`x = 3`:                                                      "?",
		`process.env.API_PORT?.trim()`:                               "4100",
		`port.toString()`:                                            "8081",
		`mode === "development" ? 1 : 2`:                             "1",
		`process.env.CI && 1 || 2`:                                   "2",
	} {
		program := `
import { x } from 'y'
const host = 'localhost', unused = 3
const port: number = 8081
const base = 8000
const settings = { api: { port: 7000 } }
const env = loadEnv(mode, process.cwd(), '')
const { PORT = 4321, VITE_PORT: VITE } = process.env
const later = soon
const soon = 12
const cycle = cycle2, z = 1
const cycle2 = cycle
export default { value: ` + source + ` }`
		config, ok := Parse([]byte(program), environment).Exported()
		if !ok {
			t.Errorf("%s: no object", source)
			continue
		}
		v, _ := config.Field("value")
		got := v.Text
		if !v.Known() {
			got = "?"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

func TestExported(t *testing.T) {
	for _, source := range []string{
		`export default { server: { port: 5 } }`,
		`export default defineConfig({ server: { port: 5 } })`,
		`export default defineConfig<Config>({ server: { port: 5 } })`,
		`export default defineConfig(() => ({ server: { port: 5 } }))`,
		`export default defineConfig(async ({ command, mode }) => { const a = () => { return 1 }; return { server: { port: 5 } } })`,
		`export default defineConfig(({ mode }: ConfigEnv): UserConfig => { return { server: { port: 5 } } satisfies UserConfig })`,
		`export default function (env) { return { server: { port: 5 } } }`,
		`export default defineConfig(function ({ mode }) { return { server: { port: 5 } } })`,
		`const config: UserConfig = { server: { port: 5 } }; export default config`,
		`const config = { server: { port: 5 } }
		 module.exports = config`,
		`module.exports = { server: { port: 5 } }`,
		`module.exports = (env, argv) => ({ server: { port: 5 } })`,
		`exports.default = { server: { port: 5 } }`,
		`module.exports = merge(common, { server: { port: 5 } })`,
		`const common = { server: { host: true, port: 4 } }
		 module.exports = merge(common, { server: { port: 5 } })`,
		`export default mergeConfig(base, defineConfig({ server: { port: 5 } }))`,
		`export default withPlugins({ server: { port: 5 } }) as UserConfig`,
		`const server = { port: 5 }
		 export default { server }`,
		`const shared = { server: { port: 5 } }
		 export default { ...shared, ...unknown }`,
		`export default defineConfig(({ command }) => { if (command === 'serve') { return { server: { port: 5 } } } else { return {} } })`,
		`@decorated class A {}
		 export default { server: { port: 5 } }`,
		`export default { a: /[/'"]/, b: x / 2, server: { port: 5 } }`,
		`export default { a: p => p.replace(/^\/api/, ''), server: { port: 5 } }`,
		`export default { async a() { return {} }, b: async () => {}, server: { port: 5 } }`,
		`export default { a: cond ? [x] : [], b: y as unknown as string, server: { port: 5 }, }`,
		`module.exports = [{ server: { port: 5 } }]`,
		`export default (await load())({ server: { port: 5 } })`,
	} {
		config, ok := Parse([]byte(source), environment).Exported()
		if port, _ := config.Field("server", "port"); !ok || port.Port() != 5 {
			t.Errorf("port %d, want 5: %s", port.Port(), source)
		}
	}
}

func TestParseJSON(t *testing.T) {
	v, ok := ParseJSON([]byte("// a comment\n{ \"a\": { 'b': 3, /* c */ }, d: [1, 2,], }"))
	b, _ := v.Field("a", "b")
	d, _ := v.Field("d")
	if !ok || b.Port() != 3 || len(d.Items) != 2 || b.Line != 2 {
		t.Errorf("%+v", v)
	}
	if _, ok := ParseJSON([]byte("3")); ok {
		t.Error("a number is not a configuration")
	}
}

func TestCalls(t *testing.T) {
	p := Parse([]byte("const port = process.env.PORT || 3000\napp.listen(port, () => {})\nBun.serve({ port: 4 })"), nil)
	listen, serve := p.Calls("listen"), p.Calls("Bun.serve")
	if len(listen) != 1 || listen[0].Items[0].Port() != 3000 || !listen[0].Items[0].Fallback() {
		t.Errorf("%+v", listen)
	}
	if port, _ := serve[0].Items[0].Field("port"); port.Port() != 4 || serve[0].Line != 3 {
		t.Errorf("%+v", serve)
	}
}

// TestBounded evaluates texts that would take exponential time, nest deeper than
// a stack should, or have brackets that do not match.
func TestBounded(*testing.T) {
	var doubling strings.Builder
	for range 5000 {
		doubling.WriteString("const a = [b, b]; const b = [a, a]\n")
	}
	for _, source := range []string{
		doubling.String() + "export default { a }",
		"export default " + strings.Repeat("{a:", 100_000),
		"export default " + strings.Repeat("[", 100_000),
		"export default " + strings.Repeat("(", 100_000),
		"export default " + strings.Repeat("!", 100_000),
		"export default " + strings.Repeat("`${", 50_000),
		"export default " + strings.Repeat("a?", 50_000),
		strings.Repeat("@", 100_000),
		"export default [ ) ]",
		"export default [;]",
		"export default f(])",
		"app.listen(]",
	} {
		p := Parse([]byte(source), nil)
		p.Exported()
		p.Calls("listen")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("export default defineConfig(({ mode }) => ({ server: { port: +env.P || 3, proxy: { '/a': `x${b}` } } }))")
	f.Add("module.exports = { a: b ? c : d, ...e, [f]: g, h() {}, async *i() {} }")
	f.Fuzz(func(_ *testing.T, source string) {
		p := Parse([]byte(source), environment)
		p.Exported()
		p.Calls("listen")
		ParseJSON([]byte(source))
	})
}
