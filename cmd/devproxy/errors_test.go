package main

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestPortArgument(t *testing.T) {
	for text, want := range map[string]uint16{
		"5173": 5173, ":5173": 5173, "localhost:5173": 5173, "LocalHost:5173": 5173, "127.0.0.1:5173": 5173,
		"127.0.1.1:5173": 5173, "[::1]:5173": 5173, "0.0.0.0:8000": 8000, "[::]:8000": 8000, "localhost.:80": 80,
		"http://localhost:5173": 5173, "http://localhost:5173/": 5173, "HTTP://127.0.0.1:3000/": 3000,
		"http://0.0.0.0:8000/": 8000, "http://[::]:8000/": 8000, "http://localhost/": 80,
	} {
		if port, meant, err := portArgument(text); port != want || !meant || err != nil {
			t.Errorf("%s: %d, %v, %v", text, port, meant, err)
		}
	}
	for text, meant := range map[string]bool{
		"0": true, "65536": true, "-1": false, "": false, ":": true, ":0": true, ":http": true, ":+80": true, "localhost": true,
		"localhost:": true, "localhost:x": true, "localhost:5173/app": true, "http://localhost:5173/app": true,
		"http://localhost:5173//": true, "https://localhost:5173": true, "http://localhost:5173?x": true,
		"shop.localhost": false, "shop.localhost:8443": false, "http://shop.localhost:8443/": false,
		"example.com:80": false, "http://user@localhost:80/": false, "192.168.0.1:80": false, "http://": false, "5173x": false,
	} {
		if port, was, err := portArgument(text); err == nil || was != meant {
			t.Errorf("%q: %d, meant %v, %v", text, port, was, err)
		}
	}
}

func TestShareArguments(t *testing.T) {
	for text, want := range map[string]string{
		"3000": "[3000] []", "localhost:3000": "[3000] []", "http://localhost:3000/": "[3000] []",
		"admin shop.localhost": "[] [admin shop.localhost]",
		"https://shop.localhost:8443/ http://admin.shop.localhost": "[] [shop.localhost admin.shop.localhost]",
	} {
		port, hosts, err := shareArguments(strings.Fields(text))
		if got := strings.Join([]string{"[" + strings.Join(port, " ") + "]", "[" + strings.Join(hosts, " ") + "]"}, " "); got != want || err != nil {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

// everyCommand calls f for each command a person can type.
func everyCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		everyCommand(sub, f)
	}
}

// TestEveryValueCompletes: each flag and each argument completes its values, or
// nothing, and files only where it takes files.
func TestEveryValueCompletes(t *testing.T) {
	root := newRootCmd(&streams{Out: io.Discard, Err: io.Discard})
	everyCommand(root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		values, listed := completions[path]
		takesFiles := listed && values == nil
		if (cmd.ValidArgsFunction == nil) != takesFiles {
			t.Errorf("%s: its arguments complete files: %v", path, !takesFiles)
		}
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			complete, registered := cmd.GetFlagCompletionFunc(flag.Name)
			values, listed := completions["--"+flag.Name]
			free := flag.Value.Type() == "bool" || flag.Name == "directory" || listed && values == nil
			if registered == free {
				t.Errorf("%s --%s has a completion: %v", path, flag.Name, registered)
			}
			if registered {
				if _, directive := complete(cmd, nil, ""); directive&cobra.ShellCompDirectiveNoFileComp == 0 {
					t.Errorf("%s --%s completes files", path, flag.Name)
				}
			}
			// A set of words in the help is a set of words to complete.
			for _, word := range strings.FieldsFunc(flag.Usage, func(r rune) bool { return strings.ContainsRune(" :,()", r) }) {
				if want, is := words[word]; is && registered {
					values, _ := complete(cmd, nil, "")
					for _, value := range want {
						if !slices.ContainsFunc(values, func(v string) bool { return v == value || strings.HasPrefix(v, value+"\t") }) {
							t.Errorf("%s --%s does not complete %s: %q", path, flag.Name, value, values)
						}
					}
				}
			}
		})
	})
}

// TestHelpSpeaksPlainly: no type of Go, in columns.
func TestHelpSpeaksPlainly(t *testing.T) {
	var out bytes.Buffer
	root := newRootCmd(&streams{Out: &out, Err: &out})
	everyCommand(root, func(cmd *cobra.Command) {
		out.Reset()
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		_, flags, _ := strings.Cut(out.String(), "\nFlags:\n")
		flags, _, _ = strings.Cut(flags, "\n\n")
		column := 0
		for line := range strings.Lines(flags) {
			for _, word := range []string{"[=true", " string", " int ", "Array"} {
				if strings.Contains(line, word) {
					t.Errorf("%s --help: %s", cmd.CommandPath(), line)
				}
			}
			text := regexp.MustCompile(`^ +\S.*?   +|^ +(-., )?--\S+( \S+)?   ?`).FindString(line)
			if column == 0 {
				column = len(text)
			}
			if len(text) != column {
				t.Errorf("%s --help: a text begins in column %d, not %d: %s", cmd.CommandPath(), len(text), column, line)
			}
		}
	})
}

// words are those that tell a flag's help lists its values.
var words = map[string][]string{
	"fish": {"sh", "fish", "powershell"}, "chromium": {"system", "chromium", "firefox", "java"}, "bbr": {"bbr", "system"},
}
