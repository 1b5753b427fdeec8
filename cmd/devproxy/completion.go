package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/hcl"
)

// completer returns the values that an argument or a flag can have, each with a
// description after a tab, or without one. typed is the text so far.
type completer func(s *completion, typed string) []string

// completion has the words before the one to complete.
type completion struct {
	cmd  *cobra.Command
	args []string
}

// completions are the values of arguments, by verb, and of flags. A flag's name means
// the same in every verb but those that are listed with it. Where the values are nil,
// shells complete file names. An argument that is missing takes nothing, and a flag
// free text.
var completions = map[string]completer{
	"devproxy up":          portValues,
	"devproxy share":       shareValues,
	"devproxy explain":     urlValues,
	"devproxy relay login": relayValues,
	"devproxy logs":        serviceValues,
	"devproxy restart":     serviceValues,
	"devproxy completion":  fixed(shells...),
	"devproxy fmt":         nil,
	"devproxy check":       nil,
	"devproxy env":         nil, // a program

	"--store":           storeValues,
	"--shell":           fixed("sh\tbash, zsh and other POSIX shells", "fish", "powershell"),
	"--lines":           fixed("20", "100", "-1\tall"),
	"--congestion":      fixed("bbr\tif the system has it", "system\tas the system does for everything"),
	"--for":             fixed("30m", "2h", "8h\tthe default", "24h"),
	"--method":          fixed(http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions),
	"--relay":           relayValues,
	"--https":           fixed(":443", ":8443", ":0\ta free port"),
	"--http":            fixed(":80", ":0\ta free port"),
	"--file":            nil,
	"--hosts":           nil,
	"--cert":            nil,
	"--key":             nil,
	"--authorized-keys": nil,
	"--state":           nil,

	"devproxy relay --http":   fixed(":80", "none\tno redirect"),
	"devproxy relay --listen": fixed(":443", ":8443"),
	"devproxy relay --admin":  fixed(":9090\ton loopback"),
	"devproxy relay --domain": fixed(devDomain),
	"--unit":                  nil,
}

// completeValues makes every flag and argument below root complete its values, and
// nothing else.
func completeValues(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		completeValues(cmd)
	}
	path := root.CommandPath()
	if values, listed := completions[path]; !listed {
		root.ValidArgsFunction = cobra.NoFileCompletions
	} else if values != nil {
		root.ValidArgsFunction = adapt(values)
	}
	root.Flags().VisitAll(func(flag *pflag.Flag) {
		values, listed := completions[path+" --"+flag.Name]
		if !listed {
			values, listed = completions["--"+flag.Name]
		}
		switch {
		case flag.Value.Type() == "bool", listed && values == nil:
		case flag.Name == "directory":
			_ = root.MarkFlagDirname(flag.Name) // the flag exists
		case !listed:
			_ = root.RegisterFlagCompletionFunc(flag.Name, adapt(fixed()))
		default:
			_ = root.RegisterFlagCompletionFunc(flag.Name, adapt(values))
		}
	})
}

// adapt turns a completer into cobra's function.
func adapt(values completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var kept []cobra.Completion
		for _, value := range values(&completion{cmd, args}, typed) {
			if strings.HasPrefix(value, typed) {
				kept = append(kept, value)
			}
		}
		return kept, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func fixed(values ...string) completer {
	return func(*completion, string) []string { return values }
}

// storeValues completes the last name of a list.
func storeValues(_ *completion, typed string) []string {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	var values []string
	for _, name := range storeNames() {
		if !slices.Contains(strings.Split(before, ","), name) {
			values = append(values, before+name)
		}
	}
	return values
}

// serviceValues completes the services with a command.
func serviceValues(c *completion, _ string) []string {
	file := c.proxyfile()
	if file == nil || len(c.args) > 0 {
		return nil
	}
	var values []string
	for _, service := range file.Services {
		if service.Command != nil {
			values = append(values, service.Name)
		}
	}
	return values
}

// relayValues completes the relays of the Proxyfile and of this user, and the
// providers.
func relayValues(c *completion, _ string) []string {
	if c.cmd.Name() == "login" && len(c.args) > 0 {
		return nil
	}
	var values []string
	add := func(relay, from string) {
		if relay = credentials.RelayName(relay); relay != "" && !slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, relay+"\t") }) {
			values = append(values, relay+"\t"+from)
		}
	}
	if file := c.proxyfile(); file != nil && file.Share != nil {
		for _, relay := range file.Share.Relays {
			add(relay.Value, "the Proxyfile's")
		}
	}
	for name := range strings.SplitSeq(os.Getenv(credentials.RelayVariable), ",") {
		add(name, "$"+credentials.RelayVariable)
	}
	if store, err := openStore(); err == nil {
		logins, _ := store.Logins()
		description := "the last relay login"
		for _, login := range logins {
			add(login.Relay, description)
			description = "a relay login"
		}
	}
	for _, name := range provider.Names() {
		add(name, "a provider")
	}
	if c.cmd.Name() != "login" {
		add(devWord, "on this machine only, to try it")
	}
	return values
}

// portValues completes the ports that the user's processes listen on.
func portValues(c *completion, _ string) []string {
	if len(c.args) > 0 {
		return nil
	}
	var values []string
	for _, process := range listen.ListeningProcesses() {
		for _, port := range process.Ports {
			values = append(values, fmt.Sprintf("%d\t%s in %s", port, printable(process.Name), printable(devproxy.Home(process.Dir))))
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// shareValues completes the hosts of the Proxyfile that are not given yet, or a port.
func shareValues(c *completion, typed string) []string {
	if isDigits(typed) {
		return portValues(c, typed)
	}
	var values []string
	if file := c.proxyfile(); file != nil {
		for _, host := range file.Hosts {
			if !slices.Contains(c.args, host.Name.Value) {
				values = append(values, host.Name.Value)
			}
		}
	}
	if len(values)+len(c.args) == 0 {
		return portValues(c, typed)
	}
	return values
}

// urlValues completes the URLs of the Proxyfile's hosts and routes.
func urlValues(c *completion, _ string) []string {
	file := c.proxyfile()
	if file == nil || len(c.args) > 0 {
		return nil
	}
	var values []string
	for _, host := range file.Hosts {
		if strings.HasPrefix(host.Name.Value, "*") {
			continue
		}
		values = append(values, "https://"+host.Name.Value+"/")
		for _, route := range host.Routes {
			values = append(values, "https://"+host.Name.Value+route.Path)
		}
	}
	return values
}

func verbValues(c *completion, _ string) []string {
	var values []string
	for _, cmd := range c.cmd.Root().Commands() {
		if len(c.args) == 0 && cmd.IsAvailableCommand() {
			values = append(values, cmd.Name()+"\t"+cmd.Short)
		}
	}
	return values
}

// proxyfile returns the Proxyfile of the words before, as far as it can be decoded; nil
// if there is none.
func (c *completion) proxyfile() *hcl.File {
	var flags fileFlags // empty where a verb has none
	flags.File, _ = c.cmd.Flags().GetString("file")
	flags.Dir, _ = c.cmd.Flags().GetString("directory")
	path, workDir, err := flags.find()
	if err != nil {
		return nil
	}
	file, _, err := loadPath(path, workDir, 0, newServicePorts(filepath.Dir(path), false))
	if err != nil {
		return nil
	}
	return file
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletionCmd(s *streams) *cobra.Command {
	var plain bool
	cmd := &cobra.Command{
		Use:   "completion SHELL",
		Short: "print the completions of a shell",
		Long:  "Prints the completions of bash, zsh, fish or PowerShell. Load them when the shell starts.",
		Example: `  source <(devproxy completion bash)                         # in ~/.bashrc
  source <(devproxy completion zsh)                          # in ~/.zshrc, after compinit
  devproxy completion fish | source                          # in ~/.config/fish/config.fish
  devproxy completion powershell | Out-String | Invoke-Expression   # in $PROFILE`,
		Args: atMostOneArg("shell", "devproxy completion bash"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return printCompletion(s, cmd.Root(), args[0], !plain)
		},
	}
	cmd.Flags().BoolVar(&plain, "no-descriptions", false, "complete without descriptions")
	return cmd
}

func printCompletion(s *streams, root *cobra.Command, shell string, described bool) error {
	switch shell {
	case "bash":
		var script bytes.Buffer
		if err := root.GenBashCompletionV2(&script, described); err != nil {
			return err
		}
		_, err := s.Out.Write(withoutPackage(script.Bytes()))
		return err
	case "zsh":
		if described {
			return root.GenZshCompletion(s.Out)
		}
		return root.GenZshCompletionNoDesc(s.Out)
	case "fish":
		return root.GenFishCompletion(s.Out, described)
	case "powershell":
		if described {
			return root.GenPowerShellCompletionWithDesc(s.Out)
		}
		return root.GenPowerShellCompletion(s.Out)
	}
	return usagef("devproxy completion "+strings.Join(shells, "|"), "unknown shell %q", shell)
}

// withoutPackage makes cobra's script for bash work without the bash-completion
// package, whose functions it calls.
func withoutPackage(script []byte) []byte {
	script = bytes.Replace(script, []byte("    _get_comp_words_by_ref \"$@\" cur prev words cword\n"), []byte("    __devproxy_words\n"), 1)
	script = bytes.ReplaceAll(script, []byte("_filedir -d"), []byte("__devproxy_folders"))
	return append(script, "\n"+bashWords...)
}

// bashWords splits the line into the words that the shell reads. bash itself splits
// at "=" and ":" too.
//
//go:embed completion.bash
var bashWords string
