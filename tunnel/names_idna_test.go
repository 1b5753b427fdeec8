package tunnel

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

// parsers say which of the names on standard input they accept, as a JSON list of
// faults. Each reads a link's host as clients do.
var parsers = map[string][]string{
	"node": {"-e", `
const {domainToASCII} = require('url');
const faults = [];
for (const name of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
  let host;
  try { host = new URL('https://' + name + '/').hostname; } catch (e) { host = String(e); }
  if (host !== name) faults.push(name + ': URL: ' + host);
  if (domainToASCII(name) !== name) faults.push(name + ': domainToASCII: ' + domainToASCII(name));
}
console.log(JSON.stringify(faults));`},
	"python3": {"-c", `
import json, sys
from urllib.parse import urlsplit
try:
    import idna
except ImportError:
    idna = None
faults = []
for name in json.load(sys.stdin):
    if urlsplit("https://" + name + "/").hostname != name:
        faults.append(name + ": urlsplit")
    try:
        if name.encode("idna").decode() != name:
            faults.append(name + ": idna codec: another name")
        if idna and idna.encode(name, uts46=True, std3_rules=True).decode() != name:
            faults.append(name + ": idna package: another name")
    except UnicodeError as e:
        faults.append(name + ": " + str(e))
print(json.dumps(faults))`},
}

// publicSamples are public names of projects and hosts that are hard to spell.
func publicSamples(t *testing.T) []string {
	key := testKey('k')
	hosts := []string{
		"", "admin", "de", "a", "a.b", "xn--bcher-kva", "xn--bcher-kva.de", "de.xn--bcher-kva", "my_app", "3d", "1",
		strings.Repeat("a", 63), strings.Repeat("long.", 40) + "er", "*", "*.tenant", "*.de", "*.my_app",
	}
	var names []string
	for _, text := range []string{"shop", "de", "a", "Bücher", "xn--bcher-kva", "my_app", "ab-cd", "--", "a-very-long-name-of-a-folder"} {
		for _, claim := range []Claim{
			{Project: Label(text), Link: Link(key, 0)},
			{Project: Label(text), Link: Link(key, 1), SharedCookies: true},
			{Name: Label(text) + "-app"},
			{Name: "a"},
			{Name: "abc", SharedCookies: true},
		} {
			claim.Names = NewestNames
			for _, host := range hosts {
				if claim.SharedCookies && claim.Name != "" && (strings.Contains(host, "_") || len(host) > 100) {
					continue // these are the project's own names, as they are
				}
				claim.Hosts = []string{host}
				_, public, err := PublicNames(key.Public().(ed25519.PublicKey), "t.example.com", claim)
				if err != nil {
					t.Fatalf("%+v: %v", claim, err)
				}
				for _, label := range []string{"acme", "de", "xn--bcher-kva"} {
					if name := strings.Replace(public[0], "*", label, 1); !strings.Contains(public[0], "*") || len(name) <= len(public[0])+wildcardRoom {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names
}

// TestPublicNamesAreAccepted by the parsers that clients have for URLs and
// internationalized names (RFC 5891; UTS #46; WHATWG URL).
func TestPublicNamesAreAccepted(t *testing.T) {
	names := publicSamples(t)
	for _, name := range names {
		u, err := url.Parse("https://" + name + "/")
		if err != nil || u.Hostname() != name {
			t.Errorf("url.Parse of %s: %v, %v", name, u, err)
		}
		for what, profile := range map[string]*idna.Profile{"Lookup": idna.Lookup, "Registration": idna.Registration} {
			if got, err := profile.ToASCII(name); err != nil || got != name {
				t.Errorf("idna.%s of %s: %q, %v", what, name, got, err)
			}
		}
	}
	for command := range parsers {
		faults, _ := faultsBy(t, command, names)
		for _, fault := range faults {
			t.Errorf("%s: %s", command, fault)
		}
	}
}

// TestParsersRefuse holds the test above to its word: these are the names by
// NamesByZone that made links useless.
func TestParsersRefuse(t *testing.T) {
	const suffix = "--shop-1raxdbc1ag3chbxg.sp7tgtqx.t.example.com"
	if _, err := idna.Lookup.ToASCII("de" + suffix); err == nil {
		t.Error("idna.Lookup accepts it")
	}
	for command, name := range map[string]string{"node": "xn--bcher-kva" + suffix, "python3": strings.Repeat("a", 64) + ".t.example.com"} {
		if faults, ran := faultsBy(t, command, []string{name}); ran && len(faults) == 0 {
			t.Errorf("%s accepts %s", command, name)
		}
	}
}

// faultsBy returns the names that a program refuses; ran is false where it is not installed.
func faultsBy(t *testing.T, command string, names []string) (faults []string, ran bool) {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed: make deps", command)
		}
		t.Logf("%s is not installed: make deps", command)
		return nil, false
	}
	input, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), command, parsers[command]...)
	run.Stdin = bytes.NewReader(input)
	output, err := run.Output()
	if err == nil {
		err = json.Unmarshal(output, &faults)
	}
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return faults, true
}
