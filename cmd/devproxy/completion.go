package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
	"github.com/devproxy/devproxy/localca/trust"
)

// completer gives the values that an argument or a flag can have, each with a
// description after a tab or without one. typed is what is there already.
type completer func(s *completion, typed string) []string

// completion is what completers look at: the words before the one to complete.
type completion struct {
	cmd  *cobra.Command
	args []string
}

// The values of flags, by the flag's name: one name means one thing in every verb.
// A flag that is not here takes free text.
var flagValues = map[string]completer{
	"store":      storeValues,
	"shell":      fixed("sh\tbash, zsh and other POSIX shells", "fish", "powershell"),
	"congestion": fixed("bbr\twhere the system has it", "system\twhat the system uses for everything"),
	"for":        fixed("30m", "2h", "8h\tthe default", "24h"),
	"method":     fixed(http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions),
	"relay":      relayValues,
	"https":      fixed(":443", ":8443", ":0\ta free port"),
	"http":       fixed(":80", ":0\ta free port"),
}

// relayFlagValues are those of flags that mean something else in `devproxy relay`.
var relayFlagValues = map[string]completer{
	"http":   fixed(":80", "none\tno redirect"),
	"listen": fixed(":443", ":8443"),
	"admin":  fixed(":9090\ton loopback"),
	"domain": fixed(devDomain),
}

// fileNames are flags whose value is a file, and folderNames a folder: shells
// complete those by themselves.
var (
	fileNames   = []string{"file", "cert", "key", "authorized-keys", "state"}
	folderNames = []string{"directory"}
)

// arguments are the values of a verb's arguments. Those of fmt and check are
// files; a verb that is not here takes none.
var arguments = map[string]completer{
	"devproxy up":          portValues,
	"devproxy share":       shareValues,
	"devproxy explain":     urlValues,
	"devproxy relay login": relayValues,
	"devproxy completion":  fixed(shells...),
}

// fileArguments are the verbs whose arguments are files or programs.
var fileArguments = []string{"devproxy fmt", "devproxy check", "devproxy env"}

// completeValues has every flag and argument below root complete what it takes,
// and nothing else.
func completeValues(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		completeValues(cmd)
	}
	path := root.CommandPath()
	switch {
	case slices.Contains(fileArguments, path):
	case arguments[path] != nil:
		root.ValidArgsFunction = adapt(arguments[path])
	default:
		root.ValidArgsFunction = cobra.NoFileCompletions
	}
	root.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Value.Type() == "bool" || slices.Contains(fileNames, flag.Name) {
			return
		}
		if slices.Contains(folderNames, flag.Name) {
			_ = root.MarkFlagDirname(flag.Name) // it is there
			return
		}
		values := flagValues[flag.Name]
		if path == "devproxy relay" && relayFlagValues[flag.Name] != nil {
			values = relayFlagValues[flag.Name]
		}
		if values == nil {
			values = fixed()
		}
		_ = root.RegisterFlagCompletionFunc(flag.Name, adapt(values)) // it is there, and once
	})
}

// adapt is a completer as cobra calls it.
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

// storeValues complete the last name of a list.
func storeValues(_ *completion, typed string) []string {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	var values []string
	for _, store := range trust.Stores(trust.Here(), trust.Root{}) {
		if !slices.Contains(strings.Split(before, ","), store.Name()) {
			values = append(values, before+store.Name())
		}
	}
	return values
}

// relayValues are the relays that this user has named, those of the Proxyfile, and
// the providers.
func relayValues(c *completion, _ string) []string {
	if c.cmd.Name() == "login" && len(c.args) > 0 {
		return nil
	}
	var values []string
	add := func(relay, from string) {
		if relay = relayArgument(relay); relay != "" && !slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(v, relay+"\t") }) {
			values = append(values, relay+"\t"+from)
		}
	}
	if file := c.proxyfile(); file != nil && file.Share != nil {
		for _, relay := range file.Share.Relays {
			add(relay.Value, "the Proxyfile's")
		}
	}
	for name := range strings.SplitSeq(os.Getenv(relayVariable), ",") {
		add(name, "$"+relayVariable)
	}
	if home, err := localca.Home(os.Getenv); err == nil {
		remembered, _ := readRelays(home)
		for i, relay := range remembered {
			description := "a relay login"
			if i == 0 {
				description = "the last relay login"
			}
			add(relay.Relay, description)
		}
	}
	for _, name := range provider.Names() {
		add(name, "a provider")
	}
	if c.cmd.Name() != "login" {
		add(devWord, "this machine only, for a look")
	}
	return values
}

// portValues are the ports that the user's own processes listen on.
func portValues(c *completion, _ string) []string {
	if len(c.args) > 0 {
		return nil
	}
	var values []string
	for _, process := range listen.ListeningProcesses() {
		for _, port := range process.Ports {
			values = append(values, fmt.Sprintf("%d\t%s in %s", port, clean(process.Name), clean(devproxy.Home(process.Dir))))
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// shareValues are the hosts of the Proxyfile that were not named yet, or a port.
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

// urlValues are the addresses of the Proxyfile's hosts, with their routes.
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

// proxyfile is the Proxyfile that the words before name, as far as it can be
// understood; nil without one.
func (c *completion) proxyfile() *hcl.File {
	var flags fileFlags
	if flag := c.cmd.Flags().Lookup("file"); flag != nil {
		flags.File = flag.Value.String()
	}
	if flag := c.cmd.Flags().Lookup("directory"); flag != nil {
		flags.Dir = flag.Value.String()
	}
	path, workDir, err := flags.find()
	if err != nil {
		return nil
	}
	file, _, err := hcl.Load(path, hcl.Options{Getenv: os.Getenv, WorkDir: workDir})
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
	return append(script, bashWords...)
}

// bashWords are the words of the line as the shell reads them: bash's own are cut
// at "=" and ":" too.
const bashWords = `
# Without the bash-completion package: the words of the line, where readline has
# cut them at = and : as well.
__devproxy_words()
{
    local i word= line=${COMP_LINE}
    words=() cword=0
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        # A word that follows the one before without a space is part of it.
        if ((i > 0)) && [[ ${line} != [[:space:]]* && ${#words[@]} -gt 0 ]]; then
            words[${#words[@]}-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"${COMP_WORDS[i]}"}
        ((i == COMP_CWORD)) && cword=$((${#words[@]} - 1))
    done
    cur=${words[cword]}
    prev=
    ((cword > 0)) && prev=${words[cword - 1]}
    return 0
}

__devproxy_folders()
{
    if declare -F _filedir >/dev/null; then
        _filedir -d
        return
    fi
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -d -- "${cur}"))
}
`
