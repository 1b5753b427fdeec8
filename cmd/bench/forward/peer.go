package forward

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// maker says how to run a kind of proxy. In config, DIR, UPSTREAM and the other
// words of proxy.configure are filled in.
type maker struct {
	name    string
	program string
	// versionArgs have the program print its version; nil for none.
	versionArgs []string
	configName  string
	config      string
	args        func(dir string) []string
	// reload has the proxy read its changed configuration; nil when it watches
	// the file.
	reload func(*proxy) error
}

// makers lists the peers that are there, then every devproxy of the command
// line. The first one is what ratios refer to.
func (b bench) makers() ([]maker, error) {
	var list []maker
	for _, m := range peers() {
		path, err := find(m.program)
		if err != nil || !slices.Contains(b.peers, m.name) {
			continue
		}
		m.program = path
		list = append(list, m)
	}
	for i, program := range strings.Split(b.devproxy, ",") {
		path, err := filepath.Abs(program)
		if err == nil {
			_, err = exec.LookPath(path)
		}
		if err != nil {
			return nil, fmt.Errorf("find devproxy: %w; `make build` makes it", err)
		}
		m := devproxy(path)
		if i > 0 {
			m.name += fmt.Sprint(" ", i+1)
		}
		list = append(list, m)
	}
	return list, nil
}

func peerNames() []string {
	var names []string
	for _, m := range peers() {
		names = append(names, m.name)
	}
	return names
}

func peers() []maker {
	return []maker{
		{
			name: "nginx", program: "nginx", versionArgs: []string{"-v"}, configName: "nginx.conf",
			args:   func(dir string) []string { return []string{"-c", filepath.Join(dir, "nginx.conf")} },
			reload: func(p *proxy) error { return p.child.Signal(syscall.SIGHUP) },
			config: `daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  client_body_temp_path DIR/t1; proxy_temp_path DIR/t2; fastcgi_temp_path DIR/t3; uwsgi_temp_path DIR/t4; scgi_temp_path DIR/t5;
  upstream files { server UPSTREAM; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:HTTP_PORT backlog=4096;
    listen 127.0.0.1:HTTPS_PORT ssl http2 backlog=4096;
    ssl_certificate DIR/cert.pem;
    ssl_certificate_key DIR/key.pem;
    server_name HOST;
    location / {
      proxy_pass http://files;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }
    location /ws {
      proxy_pass http://SOCKETS;
      proxy_http_version 1.1;
      proxy_set_header Connection upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_read_timeout 1h;
    }
    location /version { return 200 "VERSION"; }
  }
}
`,
		},
		{
			name: "haproxy", program: "haproxy", versionArgs: []string{"-v"}, configName: "haproxy.cfg",
			args:   func(dir string) []string { return []string{"-W", "-db", "-f", filepath.Join(dir, "haproxy.cfg")} },
			reload: func(p *proxy) error { return p.child.Signal(userSignal) },
			config: `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout client 300s
  timeout server 300s
  timeout connect 5s
  timeout tunnel 1h
  option forwardfor
frontend in
  bind 127.0.0.1:HTTP_PORT backlog 4096
  bind 127.0.0.1:HTTPS_PORT ssl crt DIR/both.pem alpn h2,http/1.1 backlog 4096
  http-request return status 200 content-type text/plain string "VERSION" if { path /version }
  use_backend sockets if { path_beg /ws }
  default_backend files
backend files
  http-reuse always
  server one UPSTREAM
backend sockets
  server one SOCKETS
`,
		},
		{
			name: "caddy", program: "caddy", versionArgs: []string{"version"}, configName: "Caddyfile",
			args: func(dir string) []string {
				return []string{"run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile")}
			},
			reload: func(p *proxy) error {
				out, err := exec.Command(p.program, "reload", "--adapter", "caddyfile", "--config", filepath.Join(p.dir, "Caddyfile"), "--address", "unix/"+filepath.Join(p.dir, "admin.sock")).CombinedOutput()
				if err != nil {
					return fmt.Errorf("caddy reload: %w\n%s", err, out)
				}
				return nil
			},
			config: `{
  admin unix/DIR/admin.sock
  auto_https off
  persist_config off
  log {
    level ERROR
  }
}
(common) {
  bind 127.0.0.1
  handle /version {
    respond "VERSION"
  }
  handle /ws* {
    reverse_proxy SOCKETS
  }
  handle {
    reverse_proxy UPSTREAM {
      transport http {
        keepalive_idle_conns_per_host 256
      }
    }
  }
}
http://HOST:HTTP_PORT {
  import common
}
https://HOST:HTTPS_PORT {
  tls DIR/cert.pem DIR/key.pem
  import common
}
`,
		},
	}
}

// devproxy has on what a user has: the recorder, matching, its own CA. Only the
// lines about requests are off.
func devproxy(path string) maker {
	return maker{
		name: "devproxy", program: path, configName: "Proxyfile",
		args: func(string) []string { return []string{"up", "--json", "--quiet"} },
		config: `listen {
  https    = HTTPS_PORT
  http     = HTTP_PORT
  redirect = false
}

host "HOST" {
  upstream = "UPSTREAM"

  route "/ws" { upstream = "SOCKETS" }
  route "/version" { respond = { status = 200, body = "VERSION" } }
}
`,
	}
}

// firstVersion is the first word of text that looks like a version.
func firstVersion(text string) string {
	return regexp.MustCompile(`v?\d+\.\d+(\.\d+)?[-\w.]*`).FindString(text)
}
