//go:build e2e

package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// rackServer is a Rack application behind rack-protection, on a free port that it
// prints. Without a real server, it makes Rack's environment itself. The checks that
// rack-protection 4 and Rack 3 have added are written out: a host is permitted by
// Host and by what Forwarded says before X-Forwarded-Host
// (rack-protection/host_authorization.rb; rack/request.rb, forwarded_authority), and
// an origin is that host's.
const rackServer = `
require "socket"
require "stringio"
require "rack"
require "rack/protection"

class Newer
  def initialize(app) = @app = app

  def call(env)
    said = env["HTTP_FORWARDED"].to_s[/host="?([^";,]+)/i, 1] || env["HTTP_X_FORWARDED_HOST"] || env["HTTP_HOST"]
    [env["HTTP_HOST"], said].each do |host|
      name = host.to_s.sub(/:\d+\z/, "")
      return [403, {}, ["Host not permitted: " + name]] unless name == "localhost" || name.end_with?(".localhost")
    end
    proto = env["HTTP_FORWARDED"].to_s[/proto=(\w+)/i, 1] || env["HTTP_X_FORWARDED_PROTO"] || "http"
    origin = env["HTTP_ORIGIN"]
    if !%w[GET HEAD OPTIONS].include?(env["REQUEST_METHOD"]) && origin && origin != proto + "://" + said
      return [403, {}, ["Origin " + origin + " is not of " + proto + "://" + said]]
    end
    @app.call(env)
  end
end

report = ->(env) { [200, {"Content-Type" => "text/plain"}, ["ok " + Rack::Request.new(env).base_url]] }
app = Newer.new(Rack::Protection.new(report, use: [:remote_referrer, :remote_token, :ip_spoofing, :http_origin], without_session: true, except: [:session_hijacking, :remote_token, :authenticity_token]))
server = TCPServer.new("127.0.0.1", 0)
puts server.addr[1]
STDOUT.flush
loop do
  Thread.new(server.accept) do |socket|
    line = socket.gets or next socket.close
    method, target, _ = line.split
    path, query = target.split("?", 2)
    env = {"REQUEST_METHOD" => method, "SCRIPT_NAME" => "", "PATH_INFO" => path, "QUERY_STRING" => query.to_s,
      "SERVER_NAME" => "localhost", "SERVER_PORT" => "80", "REMOTE_ADDR" => "127.0.0.1", "rack.url_scheme" => "http", "rack.errors" => STDERR}
    while (field = socket.gets.to_s.chomp) != ""
      name, value = field.split(":", 2)
      key = name.upcase.tr("-", "_")
      key = "HTTP_" + key unless %w[CONTENT_TYPE CONTENT_LENGTH].include?(key)
      env[key] = env[key] ? env[key] + ", " + value.strip : value.strip
    end
    env["rack.input"] = StringIO.new(env["CONTENT_LENGTH"] ? socket.read(env["CONTENT_LENGTH"].to_i) : "")
    status, fields, body = app.call(env)
    text = body.to_enum.to_a.join
    socket.write("HTTP/1.1 #{status} X\r\n" + fields.map { |k, v| "#{k}: #{v}\r\n" }.join + "Content-Length: #{text.bytesize}\r\nConnection: close\r\n\r\n" + text)
    socket.close
  end
end
`

// TestE2ERackProtection: what rack-protection checks holds through a share, without
// a word in the application: it is told local names alone.
func TestE2ERackProtection(t *testing.T) {
	ruby := needTool(t, "ruby")
	if out, err := exec.CommandContext(t.Context(), ruby, "-e", `require "rack/protection"`).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("rack-protection is not installed: make deps\n%s", out)
		}
		t.Skip("rack-protection is not installed: make deps")
	}
	file := filepath.Join(shortDir(t), "app.rb")
	if err := os.WriteFile(file, []byte(rackServer), 0o600); err != nil {
		t.Fatal(err)
	}
	app := exec.CommandContext(t.Context(), ruby, file)
	app.Stderr = t.Output()
	out, err := app.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Wait() }) // killed with the test's context
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}

	relay := startDevRelay(t)
	text := fmt.Sprintf("host \"shop.localhost\" { upstream = %s }\nhost \"admin.shop.localhost\" { upstream = %[1]s }\n", strings.TrimSpace(port))
	project := relay.share(t, projectDir(t, text), nil)
	local := fmt.Sprintf("https://shop.localhost:%d", project.addr.Port())
	admin := "https://" + project.host("admin.shop.localhost")
	client := relay.visitor(t, "h2")
	form := url.Values{"a": {"b"}}.Encode()
	for name, c := range map[string]struct {
		method, to string
		fields     []string
		status     int
		want       string
	}{
		"a page":                       {"GET", project.link, nil, 200, "ok " + local},
		"a form":                       {"POST", project.link, []string{"Origin", project.link, "Referer", project.link + "/form"}, 200, "ok " + local},
		"a form on another host":       {"POST", admin, []string{"Origin", admin}, 200, "ok " + strings.Replace(local, "shop.", "admin.shop.", 1)},
		"a form without an origin":     {"POST", project.link, nil, 200, "ok " + local},
		"a form of a stranger":         {"POST", project.link, []string{"Origin", "https://evil.example"}, 403, ""},
		"a form that hides its origin": {"POST", project.link, []string{"Origin", "null"}, 403, ""},
		"another visitor's address":    {"GET", project.link, []string{"X-Forwarded-For", "127.0.0.1", "Client-Ip", "127.0.0.1", "X-Real-Ip", "10.0.0.1"}, 200, "ok " + local},
		"another host":                 {"GET", project.link, []string{"Forwarded", "host=evil.example", "X-Forwarded-Host", "evil.example"}, 200, "ok " + local},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, c.to+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.method == "POST" {
			r, _ = http.NewRequestWithContext(t.Context(), c.method, c.to+"/", strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for i := 0; i < len(c.fields); i += 2 {
			r.Header.Set(c.fields[i], c.fields[i+1])
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body := make([]byte, 256)
		n, _ := res.Body.Read(body)
		res.Body.Close()
		if res.StatusCode != c.status || c.want != "" && string(body[:n]) != c.want {
			t.Errorf("%s: %d %q, want %d %q", name, res.StatusCode, body[:n], c.status, c.want)
		}
	}
}
