package scaffold

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// composeNames are the files that compose reads by itself, then those that
// people add with -f while they develop; the later ones win.
var composeNames = [][]string{
	{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "podman-compose.yaml", "podman-compose.yml"},
	{"compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml", "docker-compose.override.yml"},
	{"compose.dev.yaml", "compose.dev.yml", "docker-compose.dev.yaml", "docker-compose.dev.yml", "docker-compose-dev.yml", "docker-compose-dev.yaml", "compose.development.yaml", "docker-compose.development.yml"},
	{"compose.local.yaml", "compose.local.yml", "docker-compose.local.yaml", "docker-compose.local.yml", "docker-compose-local.yml", "local.yml"},
}

// service is one of compose's.
type service struct {
	name     string
	folder   string // of its file
	file     string
	line     int
	image    string
	context  string // the folder it is built from, relative to the project; empty for none
	mounts   []string
	ports    []*yaml.Node
	profiles []string
	aliases  []string // other names in the network
	extends  [2]string
	hosts    []string // of Traefik's rules
}

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

var traefikRule = regexp.MustCompile(`Host\(([^)]*)\)`)

// traefikHosts are the host names in the labels that Traefik reads.
func traefikHosts(labels *yaml.Node, expand func(string) string) (hosts []string) {
	for _, node := range labels.Content {
		for _, m := range traefikRule.FindAllStringSubmatch(node.Value, maxIncludes) {
			for _, name := range strings.Split(m[1], ",") {
				name = strings.Trim(name, " `'\"")
				if name = expand(name); name != "" && plainHost.MatchString(name) && !slices.Contains(hosts, name) {
					hosts = append(hosts, name)
				}
			}
		}
	}
	return hosts
}

// readTraefik gives the services that only Traefik leads to a host each, which
// leads to Traefik under the name of its rule.
func (d *discovery) readTraefik(services []*service) {
	var proxy *candidate
	for _, c := range d.candidates {
		if c.role == container && imageName(c.image) == "traefik" && c.inside != 8080 && proxy == nil {
			proxy = c
		}
	}
	if proxy == nil {
		return
	}
	for _, s := range services {
		if len(s.ports) > 0 || imageName(s.image) == "traefik" {
			continue
		}
		for _, name := range s.hosts {
			h := &host{name: underLocalhost(name), file: s.file, line: s.line}
			h.upstream = proxy.upstream()
			if h.name != name {
				h.set("request_headers", "{ Host = "+quoted(name)+" }")
			}
			d.sites = append(d.sites, h)
			d.say(s.file, name+" through traefik on "+strconv.Itoa(proxy.port))
		}
	}
}

// composeFolder merges the compose files of a folder.
func (d *discovery) composeFolder(folder string) []*service {
	var services []*service
	for _, names := range composeNames {
		file := d.in(folder, names...)
		if file == "" || path.Base(file) == "local.yml" && !d.contains(file, "services:") {
			continue
		}
		services = mergeServices(services, d.composeFile(file, 0))
	}
	for _, s := range services {
		d.extend(services, s, 0)
	}
	return services
}

// maxIncludes is how deep includes and extends are followed.
const maxIncludes = 5

func (d *discovery) composeFile(file string, depth int) []*service {
	var doc yaml.Node
	text := d.text(d.deep(file))
	if len(text) == 0 {
		return nil
	}
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 {
		d.notes.add(Note{File: file, Text: "it is not YAML"})
		return nil
	}
	var services []*service
	if include := child(doc.Content[0], "include"); include != nil && depth < maxIncludes {
		for _, entry := range include.Content {
			names := []*yaml.Node{resolve(entry)}
			if at := child(entry, "path"); at != nil {
				names = []*yaml.Node{at}
				if at.Kind == yaml.SequenceNode {
					names = at.Content
				}
			}
			for _, name := range names {
				if local := path.Join(path.Dir(file), name.Value); name.Value != "" && !strings.HasPrefix(local, "..") {
					services = mergeServices(services, d.composeFile(local, depth+1))
				}
			}
		}
	}
	list := child(doc.Content[0], "services")
	if list == nil || list.Kind != yaml.MappingNode {
		return services
	}
	var own []*service
	for i := 0; i+1 < len(list.Content); i += 2 {
		if s := d.decodeService(file, list.Content[i], list.Content[i+1]); s != nil {
			own = append(own, s)
		}
	}
	return mergeServices(services, own)
}

func (d *discovery) decodeService(file string, name, node *yaml.Node) *service {
	var raw composeService
	_ = node.Decode(&raw) // what has another type than compose's is left out
	folder := path.Dir(file)
	expand := func(text string) string {
		return substitute(text, func(name string) (string, bool) { return d.variable(folder, name) })
	}
	s := &service{name: name.Value, folder: folder, file: file, line: name.Line, image: expand(raw.Image), profiles: raw.Profiles}
	s.hosts = traefikHosts(resolve(&raw.Labels), expand)
	for i := range raw.Ports {
		s.ports = append(s.ports, resolve(&raw.Ports[i]))
	}
	for _, alias := range []string{raw.ContainerName, raw.Hostname} {
		if alias != "" {
			s.aliases = append(s.aliases, expand(alias))
		}
	}
	build := resolve(&raw.Build)
	if build.Kind == yaml.ScalarNode && build.Value != "" {
		s.context = path.Join(folder, expand(build.Value))
	} else if at := child(build, "context"); at != nil {
		s.context = path.Join(folder, expand(at.Value))
	}
	for i := range raw.Volumes {
		volume := resolve(&raw.Volumes[i])
		source, _, _ := strings.Cut(volume.Value, ":")
		if at := child(volume, "source"); at != nil {
			source = at.Value
		}
		if source = expand(source); strings.HasPrefix(source, ".") {
			s.mounts = append(s.mounts, path.Join(folder, source))
		}
	}
	if extends := resolve(&raw.Extends); extends.Kind == yaml.ScalarNode {
		s.extends[0] = extends.Value
	} else if of := child(extends, "service"); of != nil {
		s.extends[0] = of.Value
		if in := child(extends, "file"); in != nil {
			s.extends[1] = path.Join(folder, in.Value)
		}
	}
	return s
}

// mergeServices lays over on top of under, as compose does with several files.
func mergeServices(under, over []*service) []*service {
	for _, s := range over {
		i := slices.IndexFunc(under, func(u *service) bool { return u.name == s.name })
		if i < 0 {
			under = append(under, s)
			continue
		}
		u := under[i]
		if s.image != "" {
			u.image = s.image
		}
		if s.context != "" {
			u.context = s.context
		}
		u.mounts = append(u.mounts, s.mounts...)
		u.aliases = append(u.aliases, s.aliases...)
		if len(s.ports) > 0 {
			u.ports, u.file = append(slices.Clone(s.ports), u.ports...), s.file
		}
		if len(s.profiles) > 0 {
			u.profiles = s.profiles
		}
	}
	return under
}

// extend adds what a service takes over from another.
func (d *discovery) extend(services []*service, s *service, depth int) {
	if s.extends[0] == "" || depth > maxIncludes {
		return
	}
	from := services
	if s.extends[1] != "" && !strings.HasPrefix(s.extends[1], "..") {
		from = d.composeFile(s.extends[1], maxIncludes)
	}
	name := s.extends[0]
	s.extends[0] = ""
	i := slices.IndexFunc(from, func(o *service) bool { return o.name == name })
	if i < 0 || from[i] == s {
		return
	}
	base := from[i]
	d.extend(from, base, depth+1)
	s.ports = append(s.ports, base.ports...)
	s.mounts = append(s.mounts, base.mounts...)
	if s.image == "" {
		s.image = base.image
	}
	if s.context == "" {
		s.context = base.context
	}
}

// resolve is the node that an alias means.
func resolve(n *yaml.Node) *yaml.Node {
	for range maxIncludes {
		if n == nil || n.Kind != yaml.AliasNode {
			break
		}
		n = n.Alias
	}
	return n
}

// child is the value of a key of a mapping, merge keys included; nil when there
// is none.
func child(n *yaml.Node, key string) *yaml.Node {
	return childAt(n, key, 0)
}

func childAt(n *yaml.Node, key string, depth int) *yaml.Node {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || depth > maxIncludes {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "<<" {
			continue
		}
		merged := resolve(n.Content[i+1])
		for _, one := range append([]*yaml.Node{merged}, merged.Content...) {
			if found := childAt(one, key, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
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

// imageName is the last word of an image: "bitnami/postgresql:16" is postgresql.
func imageName(image string) string {
	name := path.Base(image)
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return name
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

// nothingHTTP reports whether a port speaks another protocol whatever the image.
func nothingHTTP(port int) bool { return notHTTP(port, "") != "" }

// otherProtocols are ports of protocols that are not HTTP.
var otherProtocols = map[int]string{
	21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "dns", 88: "kerberos", 110: "pop3", 111: "rpc", 123: "ntp", 137: "smb", 139: "smb", 143: "imap", 161: "snmp", 389: "ldap", 445: "smb", 465: "smtp", 514: "syslog",
	554: "rtsp", 587: "smtp", 636: "ldap", 873: "rsync", 990: "ftp", 993: "imap", 995: "pop3", 1025: "smtp", 1080: "socks", 1100: "pop3", 1110: "pop3", 1143: "imap", 1194: "openvpn", 1433: "sql server", 1434: "sql server",
	1521: "oracle", 1883: "mqtt", 1935: "rtmp", 2049: "nfs", 2181: "zookeeper", 2222: "ssh", 2345: "debugger", 2379: "etcd", 2380: "etcd", 2500: "smtp", 2525: "smtp", 3025: "smtp", 3110: "pop3", 3143: "imap", 3268: "ldap", 3306: "mysql", 3307: "mysql",
	3389: "rdp", 3465: "smtp", 3993: "imap", 3995: "pop3", 4190: "sieve", 4222: "nats", 4317: "otlp", 4318: "otlp", 4369: "epmd", 5005: "debugger", 5044: "beats", 5432: "postgres", 5433: "postgres", 5434: "postgres", 5671: "amqp", 5672: "amqp", 5678: "debugger", 5858: "debugger", 5900: "vnc", 5901: "vnc",
	6222: "nats", 6379: "redis", 6380: "redis", 6381: "redis", 6432: "pgbouncer", 6543: "postgres", 6831: "jaeger", 6832: "jaeger", 7000: "cassandra", 7199: "jmx", 7687: "neo4j bolt", 7700: "", 8125: "statsd", 8883: "mqtt", 9003: "debugger", 9042: "cassandra", 9092: "kafka", 9093: "kafka", 9094: "kafka",
	9160: "cassandra", 9229: "debugger", 9230: "debugger", 9300: "elasticsearch", 9999: "", 10025: "smtp", 10143: "imap", 11211: "memcached", 11300: "beanstalk", 14250: "jaeger", 15432: "postgres", 19530: "milvus", 24224: "fluentd", 25565: "minecraft", 26257: "cockroach", 26379: "redis",
	27017: "mongodb", 27018: "mongodb", 27019: "mongodb", 28015: "rethinkdb", 29092: "kafka", 29093: "kafka", 33060: "mysql", 35729: "livereload", 50000: "", 54322: "postgres", 61613: "stomp", 61616: "openwire",
}

// databaseImage are images of which no port speaks HTTP.
var databaseImage = regexp.MustCompile(`^(postgres(ql)?|postgis|pgvector|timescaledb(-ha)?|timescale|pgbouncer|supavisor|mysql(-server)?|mariadb|percona(-server)?|mongo(db)?(-community-server)?|redis(-stack-server)?|valkey|keydb|dragonfly|memcached|cassandra|scylla|mssql-server|azure-sql-edge|server:20\d\d|oracle-(xe|free)|` +
	`firebird|zookeeper|cp-zookeeper|kafka|cp-kafka|cp-server|etcd|beanstalkd|openldap|openssh-server|sftp|vsftpd|ftp|bind9?|dnsmasq|coturn|mosquit+o|proxysql|edgedb|gel|tigerbeetle|yugabyte|tidb|cockroach-unsafe)$`)

// fastCGI is an image that speaks FastCGI on 9000.
var fastCGI = regexp.MustCompile(`(^|/)(php|wordpress|nextcloud|drupal)[^/]*:[^/]*fpm|php-?fpm`)

// notHTTP is what a container's port speaks when that is not HTTP; empty for all
// others.
func notHTTP(port int, image string) string {
	name := imageName(image)
	switch {
	case databaseImage.MatchString(name) || strings.Contains(image, "mssql/"):
		return name
	case fastCGI.MatchString(image) && port == 9000:
		return "fastcgi"
	case strings.Contains(name, "clickhouse") && port != 8123 && port != 8443:
		return "clickhouse"
	case strings.Contains(name, "elasticsearch") && port == 9300, strings.Contains(name, "typesense") && port == 8107:
		return name
	}
	return otherProtocols[port]
}
