package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

func isCompose(name string) bool {
	return slices.Contains([]string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"}, name)
}

func readCompose(s *scan, file string, text []byte) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 {
		s.draft.note(file, 0, "it is not YAML as compose reads it")
		return
	}
	services := child(doc.Content[0], "services")
	if services == nil || services.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(services.Content); i += 2 {
		name, service := services.Content[i].Value, services.Content[i+1]
		ports := child(service, "ports")
		if ports == nil || ports.Kind != yaml.SequenceNode {
			continue
		}
		s.composePorts(file, name, ports)
	}
}

// child is the value of a key of a mapping; nil when there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func (s *scan) composePorts(file, service string, ports *yaml.Node) {
	carried := 0
	for _, node := range ports.Content {
		p, why := published(node)
		if why == "" && notHTTP(p.inside) != "" {
			why = notHTTP(p.inside) + " is not HTTP"
		}
		if why != "" {
			s.draft.note(file, node.Line, fmt.Sprintf("%s: %s", printable(service), why))
			continue
		}
		s.draft.say(file, "%s on %d", printable(service), p.outside)
		if s.draft.routed(strconv.Itoa(p.outside)) {
			continue
		}
		h := &host{label: composeLabel(service), upstream: p.upstream(), file: file, line: node.Line}
		if carried++; carried > 1 {
			h.label = label(h.label + "-" + strconv.Itoa(p.outside))
		}
		s.draft.add(h)
	}
}

// composeLabel is a service's name; the mail catchers are where people look
// for mail.
func composeLabel(service string) string {
	if slices.Contains([]string{"mailpit", "mailhog", "maildev", "mailcatcher", "inbucket", "smtp4dev"}, service) {
		return "mail"
	}
	return label(service)
}

// mapping is a published port: outside on the host, inside in the container.
type mapping struct{ outside, inside int }

func (m mapping) upstream() string {
	if m.inside == 443 || m.inside == 8443 {
		return "https://localhost:" + strconv.Itoa(m.outside)
	}
	return strconv.Itoa(m.outside)
}

var composeVariable = regexp.MustCompile(`\$\{\w+:?-([^{}]*)\}`)

// published reads the short and the long syntax of compose; why says what a
// Proxyfile cannot do with it.
func published(node *yaml.Node) (m mapping, why string) {
	outside, inside, protocol := "", "", ""
	if node.Kind == yaml.MappingNode {
		field := func(key string) string {
			if n := child(node, key); n != nil {
				return n.Value
			}
			return ""
		}
		outside, inside, protocol = field("published"), field("target"), field("protocol")
	} else {
		text, after, _ := strings.Cut(composeVariable.ReplaceAllString(node.Value, "$1"), "/")
		protocol = after
		if i := strings.LastIndexByte(text, ':'); i >= 0 {
			outside, inside = text[:i], text[i+1:]
			outside = outside[strings.LastIndexByte(outside, ':')+1:]
		} else {
			inside = text
		}
	}
	outside = composeVariable.ReplaceAllString(outside, "$1")
	inside = composeVariable.ReplaceAllString(inside, "$1")
	m = mapping{portOf(outside), portOf(inside)}
	switch {
	case protocol == "udp":
		return m, "udp is not HTTP"
	case outside == "":
		return m, "no port of the host is named, so compose picks a new one each time"
	case strings.Contains(outside, "$"):
		return m, "the port is a variable without a default"
	case strings.Contains(outside, "-"):
		return m, "a range of ports: name the one that is meant"
	case m.outside == 0 || m.inside == 0:
		return m, "it is not a port"
	}
	return m, ""
}

// notHTTP is what speaks on a container's port when that is not HTTP; empty
// for all others.
func notHTTP(port int) string {
	return map[int]string{
		21: "ftp", 22: "ssh", 25: "smtp", 53: "dns", 110: "pop3", 143: "imap", 389: "ldap", 465: "smtp", 587: "smtp",
		1025: "smtp", 1110: "pop3", 1143: "imap", 1433: "sql server", 1521: "oracle", 1883: "mqtt", 2181: "zookeeper",
		3306: "mysql", 4222: "nats", 5432: "postgres", 5672: "amqp", 6379: "redis", 6432: "pgbouncer", 7687: "neo4j bolt",
		9042: "cassandra", 9092: "kafka", 11211: "memcached", 27017: "mongodb", 33060: "mysql",
	}[port]
}

// printable is text for a terminal, which it must not steer.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if quoted[1:len(quoted)-1] == text {
		return text
	}
	return quoted
}
