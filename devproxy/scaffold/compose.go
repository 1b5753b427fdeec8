package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// composeService is the YAML of a service, with aliases and merge keys resolved.
type composeService struct {
	Image         string      `yaml:"image"`
	Build         yaml.Node   `yaml:"build"`
	Ports         []yaml.Node `yaml:"ports"`
	Volumes       []yaml.Node `yaml:"volumes"`
	Profiles      []string    `yaml:"profiles"`
	ContainerName string      `yaml:"container_name"`
	Hostname      string      `yaml:"hostname"`
	Extends       yaml.Node   `yaml:"extends"`
	Labels        yaml.Node   `yaml:"labels"`
}

// readCompose takes the ports that compose files publish.
func (d *discovery) readCompose() {
	d.containers = map[string][]mapping{}
	var all []string
	for _, names := range composeNames {
		all = append(all, names...)
	}
	for _, folder := range d.folders(all...) {
		if base := path.Base(folder); strings.Contains(base, "prod") || base == "deploy" || base == "ci" {
			continue
		}
		services := d.composeFolder(folder)
		for _, s := range services {
			d.composeService(s)
		}
		d.services = append(d.services, services...)
		d.readTraefik(services)
	}
}

// composeService adds a candidate for each HTTP port that a service publishes.
func (d *discovery) composeService(s *service) {
	if slices.ContainsFunc(s.profiles, func(p string) bool {
		return strings.HasPrefix(p, "prod") || strings.HasPrefix(p, "test") || p == "ci" || p == "e2e" || p == "disabled" || p == "debug"
	}) {
		return
	}
	if slices.Contains([]string{"playwright", "cypress", "e2e", "test", "tests", "test-runner"}, s.name) {
		return
	}
	var open []mapping
	for _, node := range s.ports {
		p, why := d.published(s.folder, node)
		if why == udp && slices.ContainsFunc(s.ports, func(o *yaml.Node) bool { _, why := d.published(s.folder, o); return why == "" }) {
			continue
		}
		if why != "" {
			d.notes.group(why, s.name)
			continue
		}
		for _, name := range append([]string{s.name}, s.aliases...) {
			d.containers[name] = append(d.containers[name], p)
		}
		protocol := notHTTP(p.inside, s.image)
		if protocol == "" {
			protocol = notHTTP(p.outside, s.image)
		}
		switch {
		case protocol != "":
			d.notes.group("not HTTP", fmt.Sprintf("%s %d (%s)", printable(s.name), p.outside, protocol))
		case !slices.ContainsFunc(open, func(o mapping) bool { return o.outside == p.outside }):
			open = append(open, p)
		}
	}
	open = slices.DeleteFunc(open, func(p mapping) bool { return p.encrypted() && slices.ContainsFunc(open, mapping.plain) })
	if len(open) > 1 { // the assets of an app next to it
		open = slices.DeleteFunc(open, func(p mapping) bool { return slices.Contains([]int{5173, 3035, 3036, 24678}, p.inside) && p != open[0] })
	}
	for i, p := range open {
		c := &candidate{folder: s.folder, role: container, label: composeLabel(s.name, s.image), port: p.outside, evidence: stated, file: s.file, line: p.line,
			https: p.encrypted(), inside: p.inside, context: s.context, image: s.image, fronts: fronts(s)}
		for _, m := range s.mounts { // folders of source, not files of configuration
			if d.isFolder(m) {
				c.mounts = append(c.mounts, m)
			}
		}
		if i > 0 {
			c.label = label(c.label + "-" + strconv.Itoa(p.outside))
			c.fronts = -1
		}
		d.add(c)
	}
}

// composeLabel is a service's name; mail catchers are where people look for
// mail.
func composeLabel(service, image string) string {
	for _, name := range []string{service, imageName(image)} {
		if slices.Contains(mailCatchers, strings.ToLower(name)) {
			return "mail"
		}
	}
	return label(service)
}

var mailCatchers = []string{"mailpit", "mailhog", "maildev", "mailcatcher", "inbucket", "smtp4dev", "mail", "mailserver", "greenmail", "fakesmtp"}

// proxies and pages are the words of services that browsers talk to, and hidden
// of those that they do not talk to first.
var (
	proxyWords  = []string{"proxy", "nginx", "traefik", "caddy", "haproxy", "envoy", "gateway", "ingress", "router", "apache", "httpd", "webserver", "kong"}
	pageWords   = []string{"web", "frontend", "front", "app", "client", "ui", "www", "site", "webapp", "website", "test", "wordpress", "ghost", "drupal", "nextcloud", "php", "portal", "server"}
	hiddenWords = []string{"mail", "smtp", "db", "database", "ssh", "debug", "debugger", "adminer", "phpmyadmin", "pgadmin", "pgadmin4", "admin", "pma", "grafana", "prometheus", "jaeger", "zipkin", "loki", "tempo", "otel", "alertmanager",
		"minio", "localstack", "s3", "elasticsearch", "opensearch", "kibana", "rabbitmq", "commander", "express", "insight", "redisinsight", "keycloak", "vault", "consul", "portainer", "dozzle", "selenium", "chrome", "browserless", "storybook", "docs", "swagger",
		"meilisearch", "typesense", "solr", "qdrant", "weaviate", "chroma", "temporal", "flower", "celery", "worker", "studio", "mongo", "redis", "postgres", "mysql", "mariadb", "kafka", "search", "cache", "queue", "metrics", "monitoring", "imgproxy", "gotenberg", "dynamodb", "azurite", "hasura", "stripe", "soketi", "reverb"}
)

// fronts is how likely a service is what a browser should talk to.
func fronts(s *service) int {
	image := imageName(s.image)
	if slices.Contains(mailCatchers, s.name) || slices.Contains(mailCatchers, image) || slices.Contains(hiddenWords, image) {
		return -1
	}
	rank := 0
	for _, word := range strings.FieldsFunc(strings.ToLower(s.name), func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		switch {
		case slices.Contains(hiddenWords, word):
			return -1
		case slices.Contains(proxyWords, word):
			rank = 2
		case slices.Contains(pageWords, word):
			rank = max(rank, 1)
		}
	}
	if slices.Contains(proxyWords, image) {
		rank = 2
	}
	if len(s.profiles) > 0 && rank > 0 {
		rank--
	}
	return rank
}

const udp = "udp, not HTTP"

// mapping is a published port: outside on the host, inside in the container.
type mapping struct{ outside, inside, line int }

func (m mapping) encrypted() bool { return m.inside == 443 || m.inside == 8443 || m.inside == 9443 }
func (m mapping) plain() bool     { return !m.encrypted() }

// published reads the short and the long syntax of compose; why says what a
// Proxyfile cannot do with it.
func (d *discovery) published(folder string, node *yaml.Node) (m mapping, why string) {
	expand := func(text string) string {
		return substitute(text, func(name string) (string, bool) { return d.variable(folder, name) })
	}
	outside, inside, protocol := "", "", ""
	variable := strings.Contains(node.Value, "$")
	if node.Kind == yaml.MappingNode {
		field := func(key string) string {
			if n := child(node, key); n != nil {
				variable = variable || strings.Contains(n.Value, "$")
				return expand(n.Value)
			}
			return ""
		}
		outside, inside, protocol = field("published"), field("target"), field("protocol")
	} else {
		text, after, _ := strings.Cut(expand(node.Value), "/")
		protocol = after
		if i := strings.LastIndexByte(text, ':'); i >= 0 {
			outside, inside = text[:i], text[i+1:]
			outside = outside[strings.LastIndexByte(outside, ':')+1:]
		} else {
			inside = text
		}
	}
	if low, high, several := strings.Cut(outside, "-"); several && low == high {
		outside = low
	}
	m = mapping{portOf(outside), portOf(inside), node.Line}
	switch {
	case protocol == "udp":
		return m, udp
	case outside == "" && variable:
		return m, "the port is a variable that no environment file sets"
	case outside == "":
		return m, "no host port is named, so compose picks a new one each time"
	case strings.Contains(outside, "-"):
		return m, "a range of ports is published; name the one that is meant"
	case m.outside == 0 || m.inside == 0:
		return m, "not a port"
	}
	return m, ""
}
