package hcl

import (
	"maps"
	"slices"
)

// kind is what a body may hold.
type kind struct {
	// name is how sentences call it: `route "/api"`, "locals".
	name string
	// label says what stands behind the block's type: "name", "path", or
	// empty for nothing.
	label  string
	attrs  []string
	blocks []string
	// later are attributes that are described and not built, with what they
	// will do.
	later map[string]string
	// free bodies take any attribute.
	free bool
	// notBuilt is what the block will be; its body is not looked at.
	notBuilt string
}

// settings are the attributes that hosts and routes share.
func settings() []string {
	return []string{
		"upstream", "files", "spa", "redirect", "status", "respond", "request_headers", "response_headers",
		"timeout", "hold", "tls_skip_verify",
	}
}

func laterSettings() map[string]string {
	return map[string]string{
		"cors":       "it will answer preflights; one origin needs none",
		"basic_auth": "it will ask for a name and a password",
		"allow":      "it will name the addresses that may connect; only this machine can now",
		"deny":       "it will name addresses that may not connect; only this machine can now",
		"rate_limit": "it will answer 429 above a rate",
		"compress":   "it will compress answers",
		"cache":      "it will keep answers as RFC 9111 allows",
		"max_body":   "it will answer 413 above a size",
		"simulate":   "it will make a service slow or failing",
	}
}

func laterBalancing() map[string]string {
	return map[string]string{
		"health":   "it will ask upstreams whether they are well",
		"fallback": "it will answer when nothing else does",
	}
}

func laterSharing() map[string]string {
	return map[string]string{
		"rewrite_body": "absolute local URLs in pages stay as they are; those in headers are rewritten",
		"callback":     "it will keep one address for OAuth callbacks; a plain name does now",
		"sealed":       "it will keep the relay from reading what passes",
		"tcp":          "it will publish TCP services; hosts are published now",
		"udp":          "it will publish UDP services; hosts are published now",
	}
}

// kinds is the language, by the name of the block. The empty name is the top
// level of a file.
func kinds() map[string]kind {
	service := laterBalancing()
	maps.Copy(service, map[string]string{
		"command":    "devproxy will run it; start it yourself, and write its upstream",
		"dir":        "it goes with command",
		"env":        "it goes with command",
		"ready":      "it goes with command",
		"depends_on": "it goes with command",
		"restart":    "it goes with command",
	})
	return map[string]kind{
		"":        {name: "the Proxyfile", attrs: []string{"domain"}, blocks: []string{"host", "service", "locals", "listen", "tcp", "udp", "share"}},
		"locals":  {name: "locals", free: true},
		"listen":  {name: "listen", attrs: []string{"https", "http", "redirect"}},
		"host":    {label: "name", attrs: append(settings(), "aliases", "share"), later: laterSettings(), blocks: []string{"route"}},
		"route":   {label: "path", attrs: append(settings(), "exact", "match", "strip_prefix", "rewrite"), later: laterSettings()},
		"service": {label: "name", attrs: []string{"upstream", "balance", "tls_skip_verify", "hold", "timeout"}, later: service},
		"tcp":     {label: "name", notBuilt: "it will be a stable local port"},
		"udp":     {label: "name", notBuilt: "it will be a stable local port"},
		"share":   {name: "share", attrs: []string{"relay", "hosts", "name", "password", "paths", "public", "allow", "expires"}, later: laterSharing()},
	}
}

// words are all attributes that k knows, built or not.
func (k kind) words() []string {
	return slices.Concat(k.attrs, sortedKeys(k.later))
}

// isAttribute reports whether some block has an attribute of that name.
func isAttribute(name string) bool {
	for _, k := range kinds() {
		if slices.Contains(k.words(), name) {
			return true
		}
	}
	return false
}

// owners are the blocks that have the attribute.
func owners(language map[string]kind, attr string) []string {
	var found []string
	for _, block := range sortedKeys(language) {
		if k := language[block]; block != "" && slices.Contains(k.words(), attr) {
			found = append(found, block)
		}
	}
	return found
}

// otherWords is what other tools call a thing.
func otherWords() map[string]string {
	return map[string]string{
		"proxy_pass": "upstream", "reverse_proxy": "upstream", "proxy": "upstream", "backend": "upstream", "target": "upstream",
		"port": "upstream", "url": "upstream", "server": "host", "site": "host", "location": "route", "path": "route",
		"root": "files", "static": "files", "dir": "files", "file_server": "files", "server_name": "aliases", "alias": "aliases",
		"headers": "request_headers", "insecure": "tls_skip_verify", "variables": "locals", "variable": "locals", "local": "locals",
		"return": "respond", "response": "respond", "handle": "route", "upstreams": "upstream", "vhost": "host",
	}
}
