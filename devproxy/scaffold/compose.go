package scaffold

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// composeReader reads the services of compose files, and the ports that they
// publish.
type composeReader struct{ *discovery }

// mapping is a published port: outside on this machine, inside in the container.
type mapping struct{ outside, inside, line int }

func (m mapping) encrypted() bool { return m.inside == 443 || m.inside == 8443 || m.inside == 9443 }
func (m mapping) plain() bool     { return !m.encrypted() }

// read adds the ports that compose files publish.
func (r composeReader) read() {
	r.published = map[string][]mapping{}
	for _, folder := range r.folders(slices.Concat(composeNames...)...) {
		if base := path.Base(folder); strings.Contains(base, "prod") || base == "deploy" || base == "ci" {
			continue
		}
		services := r.folder(folder)
		for _, s := range services {
			r.addPorts(s)
		}
		r.addTraefikHosts(services)
	}
}

var (
	// otherServices and otherProfiles do not run in development.
	otherServices = regexp.MustCompile(`^(playwright|cypress|e2e|tests?|test-runner)$`)
	otherProfiles = regexp.MustCompile(`^(prod.*|test.*|ci|e2e|disabled|debug)$`)
)

// addPorts adds a candidate for each HTTP port that a service publishes.
func (r composeReader) addPorts(s *service) {
	if otherServices.MatchString(s.name) || slices.ContainsFunc(s.profiles, otherProfiles.MatchString) {
		return
	}
	open := r.open(s)
	open = slices.DeleteFunc(open, func(p mapping) bool { return p.encrypted() && slices.ContainsFunc(open, mapping.plain) })
	// An app publishes the port of its assets too.
	open = slices.DeleteFunc(open, func(p mapping) bool { return slices.Contains([]int{5173, 3035, 3036, 24678}, p.inside) && p != open[0] })
	for i, p := range open {
		c := &candidate{
			folder: s.folder, role: container, label: composeLabel(s.name, s.image), port: p.outside, evidence: stated, file: s.file, line: p.line,
			https: p.encrypted(), inside: p.inside, context: s.context, image: s.image, fronts: s.fronts(),
			// Folders of source, not files of configuration.
			mounts: slices.DeleteFunc(slices.Clone(s.mounts), func(m string) bool { return !r.isFolder(m) }),
		}
		if i > 0 {
			c.label, c.fronts = label(c.label+"-"+strconv.Itoa(p.outside)), -1
		}
		r.add(c)
	}
}

// open returns the published ports of a service that speak HTTP.
func (r composeReader) open(s *service) []mapping {
	var open []mapping
	for _, port := range s.ports {
		p, why := r.mapping(s.folder, port)
		if why == udp && slices.ContainsFunc(s.ports, func(other javascript.Value) bool { _, why := r.mapping(s.folder, other); return why == "" }) {
			continue
		}
		if why != "" {
			r.notes.group(why, s.name)
			continue
		}
		for _, name := range append([]string{s.name}, s.aliases...) {
			r.published[name] = append(r.published[name], p)
		}
		switch protocol := cmp.Or(notHTTP(p.inside, s.image), notHTTP(p.outside, s.image)); {
		case protocol != "":
			r.notes.group("not HTTP", fmt.Sprintf("%s %d (%s)", printable(s.name), p.outside, protocol))
		case !slices.ContainsFunc(open, func(o mapping) bool { return o.outside == p.outside }):
			open = append(open, p)
		}
	}
	return open
}

const udp = "UDP, not HTTP"

// mapping reads the short and the long syntax of a port. why says why a Proxyfile
// cannot use it.
func (r composeReader) mapping(folder string, v javascript.Value) (m mapping, why string) {
	text := func(v javascript.Value) string { return substitute(v.Text, r.lookup(folder)) }
	var outside, inside, protocol string
	variable := strings.Contains(v.Text+v.At("published").Text+v.At("target").Text, "$")
	if v.Kind == javascript.Object {
		outside, inside, protocol = text(v.At("published")), text(v.At("target")), text(v.At("protocol"))
	} else {
		inside, protocol, _ = strings.Cut(text(v), "/")
		if i := strings.LastIndexByte(inside, ':'); i >= 0 {
			outside, inside = inside[:i], inside[i+1:]
			outside = outside[strings.LastIndexByte(outside, ':')+1:]
		}
	}
	if low, high, several := strings.Cut(outside, "-"); several && low == high {
		outside = low
	}
	m = mapping{portOf(outside), portOf(inside), v.Line}
	switch {
	case protocol == "udp":
		return m, udp
	case outside == "" && variable:
		return m, "no environment file sets the variable of the port"
	case outside == "":
		return m, "no host port is set, so compose picks a new one each time"
	case strings.Contains(outside, "-"):
		return m, "a range of ports is published; write the one to forward to"
	case m.outside == 0 || m.inside == 0:
		return m, "not a valid port"
	}
	return m, ""
}

// composeLabel labels a service by its name. A mail catcher becomes "mail", where
// people look for it.
func composeLabel(service, image string) string {
	if slices.Contains(mailCatchers, strings.ToLower(service)) || slices.Contains(mailCatchers, strings.ToLower(imageName(image))) {
		return "mail"
	}
	return label(service)
}

var mailCatchers = strings.Fields("mailpit mailhog maildev mailcatcher inbucket smtp4dev mail mailserver greenmail fakesmtp")

// The words in the names of services that browsers talk to, and of those that are
// never the first choice.
var (
	proxyWords  = strings.Fields("proxy nginx traefik caddy haproxy envoy gateway ingress router apache httpd webserver kong")
	pageWords   = strings.Fields("web frontend front app client ui www site webapp website test wordpress ghost drupal nextcloud php portal server")
	hiddenWords = strings.Fields("mail smtp db database ssh debug debugger adminer phpmyadmin pgadmin pgadmin4 admin pma grafana prometheus jaeger zipkin loki tempo otel alertmanager " +
		"minio localstack s3 elasticsearch opensearch kibana rabbitmq commander express insight redisinsight keycloak vault consul portainer dozzle selenium chrome browserless storybook docs swagger " +
		"meilisearch typesense solr qdrant weaviate chroma temporal flower celery worker studio mongo redis postgres mysql mariadb kafka search cache queue metrics monitoring imgproxy gotenberg dynamodb azurite hasura stripe soketi reverb")
)

// fronts returns how likely browsers talk to a service.
func (s *service) fronts() int {
	image := imageName(s.image)
	if slices.Contains(mailCatchers, s.name) || slices.Contains(mailCatchers, image) || slices.Contains(hiddenWords, image) {
		return -1
	}
	rank := 0
	for _, word := range nameWords(s.name) {
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

// addTraefikHosts adds a host for each name of a service that only Traefik leads
// to. It forwards to Traefik, under the name of the rule.
func (r composeReader) addTraefikHosts(services []*service) {
	i := slices.IndexFunc(r.candidates, func(c *candidate) bool {
		return c.role == container && imageName(c.image) == "traefik" && c.inside != 8080
	})
	if i < 0 {
		return
	}
	proxy := r.candidates[i]
	for _, s := range services {
		if len(s.ports) > 0 || imageName(s.image) == "traefik" {
			continue
		}
		for _, name := range s.hosts {
			h := &host{name: underLocalhost(name), file: s.file, line: s.line, block: block{upstream: proxy.upstream()}}
			if h.name != name {
				h.set("request_headers", "{ Host = "+quoted(name)+" }")
			}
			r.addSite(h, name+" through traefik on "+strconv.Itoa(proxy.port))
		}
	}
}

// imageName returns the last word of an image: "postgresql" for
// "bitnami/postgresql:16".
func imageName(image string) string {
	name := path.Base(image)
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// nothingHTTP reports whether a port has another protocol with any image.
func nothingHTTP(port int) bool { return notHTTP(port, "") != "" }

// otherProtocols are the protocols other than HTTP, by their ports.
var otherProtocols = map[int]string{
	21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "dns", 88: "kerberos", 110: "pop3", 111: "rpc", 123: "ntp", 137: "smb", 139: "smb", 143: "imap", 161: "snmp", 389: "ldap", 445: "smb", 465: "smtp", 514: "syslog",
	554: "rtsp", 587: "smtp", 636: "ldap", 873: "rsync", 990: "ftp", 993: "imap", 995: "pop3", 1025: "smtp", 1080: "socks", 1100: "pop3", 1110: "pop3", 1143: "imap", 1194: "openvpn", 1433: "sql server", 1434: "sql server",
	1521: "oracle", 1883: "mqtt", 1935: "rtmp", 2049: "nfs", 2181: "zookeeper", 2222: "ssh", 2345: "debugger", 2379: "etcd", 2380: "etcd", 2500: "smtp", 2525: "smtp", 3025: "smtp", 3110: "pop3", 3143: "imap", 3268: "ldap", 3306: "mysql", 3307: "mysql",
	3389: "rdp", 3465: "smtp", 3993: "imap", 3995: "pop3", 4190: "sieve", 4222: "nats", 4317: "otlp", 4318: "otlp", 4369: "epmd", 5005: "debugger", 5044: "beats", 5432: "postgres", 5433: "postgres", 5434: "postgres", 5671: "amqp", 5672: "amqp", 5678: "debugger", 5858: "debugger", 5900: "vnc", 5901: "vnc",
	6222: "nats", 6379: "redis", 6380: "redis", 6381: "redis", 6432: "pgbouncer", 6543: "postgres", 6831: "jaeger", 6832: "jaeger", 7000: "cassandra", 7199: "jmx", 7687: "neo4j bolt", 8125: "statsd", 8883: "mqtt", 9003: "debugger", 9042: "cassandra", 9092: "kafka", 9093: "kafka", 9094: "kafka",
	9160: "cassandra", 9229: "debugger", 9230: "debugger", 9300: "elasticsearch", 10025: "smtp", 10143: "imap", 11211: "memcached", 11300: "beanstalk", 14250: "jaeger", 15432: "postgres", 19530: "milvus", 24224: "fluentd", 25565: "minecraft", 26257: "cockroach", 26379: "redis",
	27017: "mongodb", 27018: "mongodb", 27019: "mongodb", 28015: "rethinkdb", 29092: "kafka", 29093: "kafka", 33060: "mysql", 35729: "livereload", 54322: "postgres", 61613: "stomp", 61616: "openwire",
}

// databaseImage matches images that have no port with HTTP.
var databaseImage = regexp.MustCompile(`^(postgres(ql)?|postgis|pgvector|timescaledb(-ha)?|timescale|pgbouncer|supavisor|mysql(-server)?|mariadb|percona(-server)?|mongo(db)?(-community-server)?|redis(-stack-server)?|valkey|keydb|dragonfly|memcached|cassandra|scylla|mssql-server|azure-sql-edge|server:20\d\d|oracle-(xe|free)|` +
	`firebird|zookeeper|cp-zookeeper|kafka|cp-kafka|cp-server|etcd|beanstalkd|openldap|openssh-server|sftp|vsftpd|ftp|bind9?|dnsmasq|coturn|mosquit+o|proxysql|edgedb|gel|tigerbeetle|yugabyte|tidb|cockroach-unsafe)$`)

// fastCGI matches images that have FastCGI on port 9000.
var fastCGI = regexp.MustCompile(`(^|/)(php|wordpress|nextcloud|drupal)[^/]*:[^/]*fpm|php-?fpm`)

// notHTTP returns the protocol of a container's port; empty for HTTP.
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
