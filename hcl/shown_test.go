package hcl

import (
	"fmt"
	"strings"
	"testing"
)

// TestShownChoices checks that the text of a value which variables choose has every value
// that can be chosen, however it is written.
func TestShownChoices(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`env("LETTER") == "b" ? "https://a.example" : "https://evil.example"`: `${env("LETTER") == "b" ? "https://a.example" : "https://evil.example"}`,
		`env("LETTER") == "b" ? local.good : local.evil`:                      `${env("LETTER") == "b" ? "https://a.example" : "https://evil.example"}`,
		`local.choice`: `${env("LETTER") == "b" ? "https://a.example" : "https://evil.example"}`,
		`"https://${env("LETTER") == "b" ? "a" : reverse(["liv", "evil"])[0]}.example"`:        `https://${env("LETTER") == "b" ? "a" : "evil"}.example`,
		`env("LETTER") == "b" ? "https://a.example" : "https://\u0065vil.example"`:             `${env("LETTER") == "b" ? "https://a.example" : "https://evil.example"}`,
		`env("LETTER") == "b" ? "https://a.example" : replace("https://good", "good", "evil")`: `${env("LETTER") == "b" ? "https://a.example" : "https://evil"}`,
		`local.all[env("LETTER")]`:                                                                        `${{"a":"https://a.example","b":"https://evil.example"}[env("LETTER")]}`,
		`["https://\u0065vil.example"][strlen(env("LETTER")) - 1]`:                                        `${["https://evil.example"][strlen(env("LETTER")) - 1]}`,
		`[for u in local.list : u if env("LETTER") == "b"][0]`:                                            `${[for u in local.list : u if env("LETTER") == "b"][0]} (local.evil = "https://evil.example", local.good = "https://a.example", local.list = [local.good, local.evil])`,
		"(env(\"LETTER\") == \"b\" # \"https://a.example\" is meant\n ? \"https://evil.example\" : \"\")": `${env("LETTER") == "b" ? "https://evil.example" : ""}`,
		`env("LETTER") == "" ? tonumber(env("LETTER")) : "https://evil.example"`:                          `${env("LETTER") == "" ? tonumber(env("LETTER")) : "https://evil.example"}`,
		`env("LETTER") == local.key ? "https://a.example" : "https://evil.example"`:                       `${env("LETTER") == local.key ? "https://a.example" : "https://evil.example"} (local.key = "b")`,
	} {
		file, diags := decodeSecret(t, `
locals {
  good   = "https://a.example"
  evil   = "https://\u0065vil.example" # a comment
  key    = "b"
  choice = env("LETTER") == "b" ? local.good : local.evil
  all    = { a = local.good, b = local.evil }
  list   = [local.good, local.evil]
}
host "a.localhost" {
  upstream         = 3000
  response_headers = { X-A = `+expr+` }
}
`)
		if diags.HasErrors() {
			t.Errorf("%s: %v", expr, summaries(diags))
			continue
		}
		if got := file.Hosts[0].ResponseFlows["X-A"].Full(); got != want {
			t.Errorf("%s\n got %s\nwant %s", expr, got, want)
		}
	}
}

// TestShownWhole checks that nothing is left out of the long form, and that a file which
// would need too much of it is refused.
func TestShownWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxShown)
	file, diags := decodeSecret(t, `host "a.localhost" { redirect = "/`+long+`evil`+long+`${env("SECRET")}" }`)
	flow := file.Hosts[0].Redirect.Flow
	if diags.HasErrors() || !strings.Contains(flow.Full(), "evil") || strings.Contains(flow.Shown, "evil") {
		t.Errorf("%v: %+v", summaries(diags), flow)
	}
	var deep strings.Builder
	deep.WriteString("locals {\nevil = \"evil\"\nl0 = env(\"SECRET\")\n")
	for i := range maxShownDepth + 2 {
		fmt.Fprintf(&deep, "l%d = \"${local.l%d}${local.evil}\"\n", i+1, i)
	}
	fmt.Fprintf(&deep, "}\nhost \"a.localhost\" { redirect = \"/${local.l%d}\" }", maxShownDepth+2)
	file, diags = decodeSecret(t, deep.String())
	if diags.HasErrors() {
		t.Fatal(summaries(diags))
	}
	if flow := file.Hosts[0].Redirect.Flow; !strings.Contains(flow.Locals, `local.evil = "evil"`) {
		t.Errorf("%+v", flow)
	}
	var many strings.Builder
	many.WriteString("locals { long = \"" + strings.Repeat("x", maxLocals/100) + "\" }\nhost \"a.localhost\" {\nupstream = 1\nresponse_headers = {\n")
	for i := range 110 {
		fmt.Fprintf(&many, "X-%d = [for x in [1] : env(\"LETTER\") if local.long != \"\"][0]\n", i)
	}
	if _, diags = decodeSecret(t, many.String()+"}\n}\n"); !strings.Contains(strings.Join(summaries(diags), "\n"), errWork.Error()) {
		t.Errorf("a file with too many texts: %v", summaries(diags))
	}
}
