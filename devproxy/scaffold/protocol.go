package scaffold

import (
	"path"
	"regexp"
	"strings"
)

// imageName is the last word of an image: "bitnami/postgresql:16" is postgresql.
func imageName(image string) string {
	name := path.Base(image)
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// nothingHTTP reports whether a port speaks another protocol whatever the image.
func nothingHTTP(port int) bool { return notHTTP(port, "") != "" }

// otherProtocols are ports of protocols that are not HTTP.
var otherProtocols = map[int]string{
	21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "dns", 88: "kerberos", 110: "pop3", 111: "rpc", 123: "ntp", 137: "smb", 139: "smb", 143: "imap", 161: "snmp", 389: "ldap", 445: "smb", 465: "smtp", 514: "syslog",
	554: "rtsp", 587: "smtp", 636: "ldap", 873: "rsync", 990: "ftp", 993: "imap", 995: "pop3", 1025: "smtp", 1080: "socks", 1100: "pop3", 1110: "pop3", 1143: "imap", 1194: "openvpn", 1433: "sql server", 1434: "sql server",
	1521: "oracle", 1883: "mqtt", 1935: "rtmp", 2049: "nfs", 2181: "zookeeper", 2222: "ssh", 2345: "debugger", 2379: "etcd", 2380: "etcd", 2500: "smtp", 2525: "smtp", 3025: "smtp", 3110: "pop3", 3143: "imap", 3268: "ldap", 3306: "mysql", 3307: "mysql",
	3389: "rdp", 3465: "smtp", 3993: "imap", 3995: "pop3", 4190: "sieve", 4222: "nats", 4317: "otlp", 4318: "otlp", 4369: "epmd", 5005: "debugger", 5044: "beats", 5432: "postgres", 5433: "postgres", 5434: "postgres", 5671: "amqp", 5672: "amqp", 5678: "debugger", 5858: "debugger", 5900: "vnc", 5901: "vnc",
	6222: "nats", 6379: "redis", 6380: "redis", 6381: "redis", 6432: "pgbouncer", 6543: "postgres", 6831: "jaeger", 6832: "jaeger", 7000: "cassandra", 7199: "jmx", 7687: "neo4j bolt", 8125: "statsd", 8883: "mqtt", 9003: "debugger", 9042: "cassandra", 9092: "kafka", 9093: "kafka", 9094: "kafka",
	9160: "cassandra", 9229: "debugger", 9230: "debugger", 9300: "elasticsearch", 10025: "smtp", 10143: "imap", 11211: "memcached", 11300: "beanstalk", 14250: "jaeger", 15432: "postgres", 19530: "milvus", 24224: "fluentd", 25565: "minecraft", 26257: "cockroach", 26379: "redis",
	27017: "mongodb", 27018: "mongodb", 27019: "mongodb", 28015: "rethinkdb", 29092: "kafka", 29093: "kafka", 33060: "mysql", 35729: "livereload", 54322: "postgres", 61613: "stomp", 61616: "openwire",
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
