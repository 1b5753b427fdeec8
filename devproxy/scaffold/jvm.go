package scaffold

import (
	"path"
	"regexp"
)

func (d *discovery) readJVM() {
	for _, folder := range d.folders("pom.xml", "build.gradle", "build.gradle.kts") {
		file := d.in(folder, "pom.xml", "build.gradle", "build.gradle.kts")
		kind, pattern := "", springPort
		switch {
		case d.contains(file, "spring-boot"):
			kind = "spring"
		case d.contains(file, "io.quarkus"):
			kind, pattern = "quarkus", quarkusPort
		case d.contains(file, "micronaut"):
			kind, pattern = "micronaut", springPort
		case d.contains(file, "io.ktor"):
			kind, pattern = "ktor", ktorPort
		default:
			continue
		}
		var port, line int
		at := ""
		for _, name := range []string{"application-dev", "application-local", "application", "bootstrap"} {
			for _, ext := range []string{".properties", ".yml", ".yaml", ".conf"} {
				at = path.Join(folder, "src/main/resources", name+ext)
				if port, line = d.number(d.deep(at), pattern); port != 0 {
					break
				}
			}
			if port != 0 {
				break
			}
		}
		if port == 0 && kind == "spring" && !d.contains(file, "spring-boot-starter-web", "spring-boot-starter-webflux", "spring-boot-starter-graphql", "spring-boot-starter-thymeleaf", "spring-cloud-starter-gateway") {
			continue
		}
		c := d.server(folder, kind, api, 0, file)
		c.set(port, stated, at, line)
		c.set(8080, standard, file, 0)
	}
}

var (
	springPort  = regexp.MustCompile(`(?m)^\s*server\.port\s*[=:]\s*(?:\$\{[^:}]*:)?(\d+)|^(?:server|micronaut):\s*(?:\n[ \t]+[^\n]*)*?\n[ \t]+port:\s*(?:\$\{[^:}]*:)?(\d+)`)
	quarkusPort = regexp.MustCompile(`(?m)^\s*(?:%dev\.)?quarkus\.http\.port\s*=\s*(\d+)|^\s+port:\s*(\d+)`)
	ktorPort    = regexp.MustCompile(`(?m)^\s*port\s*[=:]\s*"?\$?\{?[^\d\n]*(\d+)`)
)
