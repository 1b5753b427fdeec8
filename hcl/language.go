package hcl

import (
	"cmp"
	"slices"
)

// kind lists the possible contents of a block.
type kind struct {
	// name is how diagnostics call it if it has no label: "locals".
	name string
	// label says which label follows the block's type: "name", "path", or empty
	// for none.
	label  string
	attrs  []string
	blocks []string
	// later are planned attributes that are not built, each with its future
	// effect.
	later map[string]string
	// free blocks take any attribute.
	free bool
}

// kinds returns the language, by block type. The empty type is the top level of a
// file. The tables of the decoders say which attributes there are.
func kinds() map[string]kind {
	return map[string]kind{
		"":        {name: "the Proxyfile", attrs: []string{"domain", "worktree", "discover"}, blocks: []string{"host", "service", "locals", "listen", "tcp", "udp", "share"}},
		"locals":  {name: "locals", free: true},
		"listen":  {name: "listen", attrs: entryNames(listenEntries())},
		"host":    {label: "name", attrs: slices.Concat(settings(), entryNames(hostEntries())), blocks: []string{"route"}},
		"route":   {label: "path", attrs: slices.Concat(settings(), entryNames(routeEntries()))},
		"service": {label: "name", attrs: slices.Concat(entryNames(serviceEntries()), entryNames(commandEntries()))},
		"tcp":     {label: "name", attrs: portAttributes()},
		"udp":     {label: "name", attrs: portAttributes()},
		"share": {name: "share", attrs: entryNames(shareEntries()), later: map[string]string{
			"sealed": "it will prevent the relay from reading the traffic",
		}},
	}
}

// settings returns the attributes that hosts and routes share.
func settings() []string { return entryNames(settingEntries()) }

// words returns all attributes that k has, built or not.
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

// owners returns the blocks that have the attribute.
func owners(language map[string]kind, attr string) []string {
	return slices.DeleteFunc(sortedKeys(language), func(block string) bool {
		return block == "" || !slices.Contains(language[block].words(), attr)
	})
}

// Attributes returns all attributes of the language, sorted: "domain" of the top
// level, "route.rewrite" of a block. Those of locals have any name and are left
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

// isShown reports attributes whose values are not hidden as a whole. Ports, times
// and sizes have the digits of other texts. The values of domain, hosts, name and
// relay are addresses that people open, and tcp and udp name blocks. Upstreams and health hide their parts.
func isShown(attribute string) bool {
	return slices.Contains([]string{
		"upstream", "fallback", "health",
		"https", "http", "timeout", "hold", "expires", "max_body", "max_concurrent", "rate_limit", "cache", "simulate", "balance",
		"domain", "hosts", "name", "relay", "tcp", "udp",
		"depends_on", "restart", "stop", "listen",
		"container", "discover",
	}, attribute)
}

// attributeExamples returns the attributes that take a plain value, each with one.
func attributeExamples() map[string]string {
	return map[string]string{
		"upstream": "upstream = 3000", "fallback": "fallback = 3000", "files": `files = "public"`, "redirect": `redirect = "/docs"`, "spa": "spa = true", "cors": "cors = true",
		"compress": "compress = true", "timeout": `timeout = "30s"`, "hold": `hold = "10s"`, "aliases": `aliases = ["shop.localhost"]`, "share": "share = false",
		"allow": `allow = ["10.0.0.0/8"]`, "deny": `deny = ["10.0.0.0/8"]`, "max_body": `max_body = "10MB"`, "max_concurrent": "max_concurrent = 2", "balance": `balance = "least_conn"`,
		"exact": "exact = true", "strip_prefix": "strip_prefix = true", "rewrite": `rewrite = "/v1{rest}"`, "status": "status = 301", "tls_skip_verify": "tls_skip_verify = true",
		"try_files": `try_files = "public"`, "forwarded_proto": `forwarded_proto = "http"`, "public_host": "public_host = true",
		"worktree": "worktree = false", "discover": `discover = "docker"`, "container": `container = "api"`,
	}
}

// exampleLabel returns a label for a block of that kind.
func exampleLabel(kind string) string {
	return cmp.Or(map[string]string{"host": "shop.localhost", "route": "/api", "tcp": "postgres", "udp": "dns"}[kind], "web")
}

// otherWords returns what blocks and attributes are called in other tools.
func otherWords() map[string]string {
	return map[string]string{
		"proxy_pass": "upstream", "reverse_proxy": "upstream", "proxy": "upstream", "backend": "upstream", "target": "upstream",
		"port": "upstream", "url": "upstream", "server": "host", "site": "host", "location": "route", "path": "route",
		"root": "files", "static": "files", "dir": "files", "file_server": "files", "server_name": "aliases", "alias": "aliases",
		"headers": "request_headers", "insecure": "tls_skip_verify", "variables": "locals", "variable": "locals", "local": "locals",
		"return": "respond", "response": "respond", "handle": "route", "upstreams": "upstream", "vhost": "host",
		"gzip": "compress", "encode": "compress", "compression": "compress", "auth": "basic_auth", "basicauth": "basic_auth",
		"limit_req": "rate_limit", "ratelimit": "rate_limit", "throttle": "rate_limit", "limit_conn": "max_concurrent", "inflightreq": "max_concurrent", "concurrency": "max_concurrent", "proxy_cache": "cache",
		"client_max_body_size": "max_body", "body_limit": "max_body", "allowed_origins": "cors", "delay": "simulate", "latency": "simulate",
		"lb_policy": "balance", "load_balancing": "balance", "healthcheck": "health", "health_check": "health", "backup": "fallback",
		"to": "upstream", "dest": "upstream", "destination": "upstream", "address": "upstream", "addr": "upstream", "ports": "upstream", "forward": "upstream",
		"prefix": "route", "hostname": "aliases", "names": "aliases",
	}
}

// isPortKey reports words of other tools whose value is where a server listens.
func isPortKey(key string) bool {
	return slices.Contains([]string{
		"port", "appport", "app_port", "dev_port", "vite_port", "upstream", "target", "url", "backend", "proxy", "proxy_pass", "reverse_proxy", "address",
		"addr", "to", "server", "origin", "forward", "destination",
	}, key)
}

// isLabelKey reports attributes that other tools have instead of a block's label.
func isLabelKey(name string) bool {
	return slices.Contains([]string{"name", "path", "hostname", "host", "prefix", "domain"}, name)
}

// includes returns the words that other tools include a file with.
func includes() []string {
	return []string{"include", "import", "include_dir", "source", "extends", "require"}
}

const (
	includeSummary = "a Proxyfile can't include another file"
	includeDetail  = "write everything in this file; a Proxyfile.local next to it is merged over it"
)

// builtIn is the advice for features that devproxy has without configuration.
const builtIn = "remove it: devproxy does this automatically"
