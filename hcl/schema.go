package hcl

import "slices"

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
		"upstream", "try_files", "files", "spa", "redirect", "status", "respond", "request_headers", "response_headers",
		"timeout", "hold", "tls_skip_verify", "forwarded_proto",
		"cors", "basic_auth", "allow", "deny", "rate_limit", "max_body", "compress", "cache", "simulate",
	}
}

func laterRunning() map[string]string {
	return map[string]string{
		"command":    "devproxy will run it; start it yourself, and write its upstream",
		"dir":        "it goes with command",
		"env":        "it goes with command",
		"ready":      "it goes with command",
		"depends_on": "it goes with command",
		"restart":    "it goes with command",
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
	return map[string]kind{
		"":        {name: "the Proxyfile", attrs: []string{"domain"}, blocks: []string{"host", "service", "locals", "listen", "tcp", "udp", "share"}},
		"locals":  {name: "locals", free: true},
		"listen":  {name: "listen", attrs: []string{"https", "http", "redirect"}},
		"host":    {label: "name", attrs: append(settings(), "aliases", "share"), blocks: []string{"route"}},
		"route":   {label: "path", attrs: append(settings(), "exact", "match", "strip_prefix", "rewrite")},
		"service": {label: "name", attrs: []string{"upstream", "balance", "health", "fallback", "tls_skip_verify", "forwarded_proto", "hold", "timeout"}, later: laterRunning()},
		"tcp":     {label: "name", notBuilt: "it will be a stable local port"},
		"udp":     {label: "name", notBuilt: "it will be a stable local port"},
		"share":   {name: "share", attrs: []string{"relay", "hosts", "name", "password", "paths", "public", "show", "allow", "cookies", "expires"}, later: laterSharing()},
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
		"gzip": "compress", "encode": "compress", "compression": "compress", "auth": "basic_auth", "basicauth": "basic_auth",
		"limit_req": "rate_limit", "ratelimit": "rate_limit", "throttle": "rate_limit", "proxy_cache": "cache",
		"client_max_body_size": "max_body", "body_limit": "max_body", "allowed_origins": "cors", "delay": "simulate", "latency": "simulate",
		"lb_policy": "balance", "load_balancing": "balance", "healthcheck": "health", "health_check": "health", "backup": "fallback",
		"to": "upstream", "dest": "upstream", "destination": "upstream", "address": "upstream", "addr": "upstream", "ports": "upstream", "forward": "upstream",
		"prefix": "route", "hostname": "aliases", "names": "aliases",
	}
}

// Attributes returns all attributes of the language, sorted: "domain" of the file
// itself, "route.rewrite" of a block. Those of locals have any name and are left
// out.
func Attributes() []string {
	var all []string
	for block, k := range kinds() {
		for _, attr := range k.attrs {
			if block != "" {
				attr = block + "." + attr
			}
			all = append(all, attr)
		}
	}
	slices.Sort(all)
	return all
}
