package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// relayUnit is the systemd unit of a relay. It has no user of its own to make: systemd
// invents one, and gives the state folder to it.
var relayUnit = template.Must(template.New("unit").Parse(`[Unit]
Description=devproxy relay for {{.Domain}}
Wants=network-online.target
After=network-online.target
# An authority that refuses must not be asked without end.
StartLimitIntervalSec=1h
StartLimitBurst=20

[Service]
# not Type=notify: the relay reports its new main process, but not that it is ready
Type=exec
NotifyAccess=main
# DEVPROXY_RELAY_TOKEN=..., readable by root only
EnvironmentFile=-/etc/devproxy/relay.env
Environment=DEVPROXY_HOME=/var/lib/devproxy
ExecStart={{.Command}}
ExecReload=/bin/kill -HUP $MAINPID
TimeoutStopSec=45
Restart=on-failure
RestartSec=1

DynamicUser=true
StateDirectory=devproxy
StateDirectoryMode=0700
UMask=0077
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
LimitNOFILE=65536
LockPersonality=true
MemoryDenyWriteExecute=true
NoNewPrivileges=true
PrivateDevices=true
PrivateTmp=true
ProtectClock=true
ProtectControlGroups=true
ProtectHome=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
`))

// unitText returns the unit that starts a program.
func (i *relayInit) unitText(program string) (string, error) {
	words := []string{unitWord(program), "relay"}
	for _, arg := range append(i.arguments(), "--admin", "9090") {
		words = append(words, unitWord(arg))
	}
	var text bytes.Buffer
	err := relayUnit.Execute(&text, map[string]string{"Domain": i.relay.domain, "Command": strings.Join(words, " ")})
	return text.String(), err
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@._:/=+,-]+$`)

// unitWord quotes a word of a command line for systemd.service(5).
func unitWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(word) + `"`
}

// installedProgram is where the unit expects the program when this one is in a folder
// that the unit can't see.
const installedProgram = "/usr/local/bin/devproxy"

// program returns the path of this program for the unit, and how to install it there if
// it is elsewhere.
func (i *relayInit) program() (path, install string, err error) {
	path, err = os.Executable()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", "", fmt.Errorf("cannot find this program: %w", err)
	}
	for _, hidden := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} { // ProtectHome, PrivateTmp
		if strings.HasPrefix(path, hidden) {
			return installedProgram, "sudo install " + path + " " + installedProgram, nil
		}
	}
	return path, "", nil
}

// writeUnit writes the unit, if the user agrees, and says what comes next.
func (i *relayInit) writeUnit(ctx context.Context) error {
	program, install, err := i.program()
	if err != nil {
		return err
	}
	text, err := i.unitText(program)
	if err != nil {
		return err
	}
	fmt.Fprintf(i.Out, "# %s\n%s", i.unit, text)
	before, err := os.ReadFile(i.unit)
	switch {
	case err == nil && string(before) == text:
		fmt.Fprintf(i.Err, "%s is the same already\n", i.unit)
	case err == nil:
		return failf("remove it first, or write another file: --unit FILE", "%s exists and is different", i.unit)
	case !errors.Is(err, fs.ErrNotExist):
		return failf("write another file: --unit FILE", "cannot read %s: %w", i.unit, err)
	case i.yes, canAsk(i.streams, false) && confirm(ctx, i.streams, "write it to "+i.unit+"? [y/N] "):
		if err := writeNew(i.unit, text); err != nil {
			return failf("run the same command with sudo, or save what it has printed", "cannot write the unit: %w", err)
		}
		fmt.Fprintf(i.Err, "wrote %s\n", i.unit)
	default:
		i.note("not written; save it as " + i.unit + ", or run the same command with --yes")
	}
	if install != "" {
		i.nextStep("put this program where the unit can run it", install)
	}
	i.nextStep("let users enrol with a token", `sudo install -d -m 700 /etc/devproxy && echo "DEVPROXY_RELAY_TOKEN=$(openssl rand -hex 16)" | sudo install -m 600 /dev/stdin /etc/devproxy/relay.env`)
	i.nextStep("start the relay", "sudo systemctl daemon-reload && sudo systemctl enable --now "+filepath.Base(i.unit))
	return nil
}

// writeNew writes a file that does not exist. It may run as root in another user's
// folder, so it does not follow a link.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// nextStep prints a command that the user runs.
func (i *relayInit) nextStep(text, command string) { fmt.Fprintf(i.Err, "%s:\n  %s\n", text, command) }

// printContainer prints the command that starts the relay in a container. Its ports are
// bound to addresses of this machine: 127.0.0.53 often has a resolver.
func (i *relayInit) printContainer() {
	command := []string{"docker run -d --name devproxy-relay --restart unless-stopped", "-p 443:443 -p 80:80"}
	for _, at := range i.relay.zone.dnsAt {
		command = append(command, fmt.Sprintf("-p %s:53/udp -p %s:53/tcp", at, at))
	}
	command = append(command, "-v relay:/data -e DEVPROXY_RELAY_TOKEN", "ghcr.io/devproxy/devproxy")
	args := i.containerArguments()
	for n := range args {
		if !plainWord.MatchString(args[n]) {
			args[n] = "'" + strings.ReplaceAll(args[n], "'", `'\''`) + "'"
		}
	}
	fmt.Fprintln(i.Out, strings.Join(command, " \\\n  ")+" "+strings.Join(args, " "))
	i.nextStep("first choose the token that users enrol with", "export DEVPROXY_RELAY_TOKEN=$(openssl rand -hex 16)")
}

// containerArguments returns the arguments of a relay in a container, which has an
// address of its own.
func (i *relayInit) containerArguments() []string {
	inside := *i
	inside.relay.zone.dns, inside.relay.zone.addresses = nil, nil
	for _, address := range i.plan.Addresses {
		inside.relay.zone.addresses = append(inside.relay.zone.addresses, address.String())
	}
	return inside.arguments()
}
