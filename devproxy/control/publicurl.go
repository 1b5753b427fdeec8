package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/localca"
)

// publicURLSuffix is that of the file with the public addresses of a folder.
const publicURLSuffix = ".public.env"

// PublicURLFile returns the file with the public addresses of the shared hosts, which
// services can read and watch. It has mode 0600, and is replaced as a whole.
func (in *Instance) PublicURLFile() string { return in.base + publicURLSuffix }

// WritePublicURLs writes the public addresses of a share to PublicURLFile, and the URLs of
// the project's callback host. Without either the file is empty.
func (in *Instance) WritePublicURLs(share Share, callbacks []string) error {
	var callback strings.Builder
	for _, v := range CallbackVariables(callbacks) {
		callback.WriteString(v.Name + "=" + v.Value + "\n")
	}
	if err := localca.WriteFile(in.PublicURLFile(), []byte(publicURLs(share)+callback.String()), 0o600); err != nil {
		return runtimedir.WriteError("write the public addresses", filepath.Dir(in.base), err)
	}
	return nil
}

// Variable is a variable of the environment.
type Variable struct{ Name, Value string }

// CallbackVariables returns the variables by which apps learn the URLs of the project's
// callback host; nil for none. DEVPROXY_CALLBACK_URL is the first URL, and
// DEVPROXY_CALLBACK_ORIGIN what all begin with.
func CallbackVariables(urls []string) []Variable {
	if len(urls) == 0 {
		return nil
	}
	rest := strings.TrimPrefix(urls[0], "https://")
	host, _, _ := strings.Cut(rest, "/")
	return []Variable{{"DEVPROXY_CALLBACK_URL", urls[0]}, {"DEVPROXY_CALLBACK_ORIGIN", "https://" + host}}
}

// removePublicURLs removes the file.
func (in *Instance) removePublicURLs() error {
	if err := os.Remove(in.PublicURLFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// publicURLs returns the lines of the file: NAME=VALUE, as in .env files. They contain
// no secret of the link.
func publicURLs(share Share) string {
	var lines strings.Builder
	if share.URL == "" || !isOpen(share.State) {
		return ""
	}
	for i, host := range share.Hosts {
		if strings.Contains(host.URL, "*") {
			continue
		}
		url, _, _ := strings.Cut(host.URL, "/?")
		if i == 0 {
			lines.WriteString("DEVPROXY_PUBLIC_URL=" + url + "\n")
		}
		lines.WriteString("DEVPROXY_PUBLIC_URL_" + variable(host.Name) + "=" + url + "\n")
	}
	return lines.String()
}

// isOpen reports whether a share in this state has visitors, now or soon again.
func isOpen(state string) bool {
	return state == ShareUp || state == ShareResuming || state == ShareWaiting
}

// variable returns the name of a host as a part of a variable's: "API_SHOP_LOCALHOST".
func variable(host string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z' || '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, strings.ToUpper(host))
}
