package provider

import (
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// TestServices replays what services do, as far as their documentation, their
// source or a recorded session tells.
func TestServices(t *testing.T) {
	sish := sshServer{word: "ssh://tuns.example.com", user: "me", listen: listenHere, listenPort: webPort}
	for name, test := range map[string]struct {
		server        sshServer
		before, after string
		origin        forwardedChannel // Port is filled in
		user, command string
		address       string
		port          uint32 // that is forwarded
		link          string
	}{
		// github.com/antoniomika/sish, sshmuxer/requests.go and httphandler.go:
		// the text comes after the reply, coloured; the service console comes
		// first. The originator is not an address.
		"sish": {
			server: sish,
			before: "Press Ctrl-C to close the session.\r\n\r\n",
			after: "Starting SSH Forwarding service for \x1b[32mhttp:80\x1b[0m. Forwarded connections can be accessed via the following methods:\r\n" +
				"Service console can be accessed here: https://flb.tuns.example.com/_sish/console?x-authorization=SECRET\r\n" +
				"\x1b[44mHTTP\x1b[0m: http://flb.tuns.example.com\r\n\x1b[44mHTTPS\x1b[0m: https://flb.tuns.example.com\r\n" +
				"2026/11/30 - 00:00:00 | flb.tuns.example.com | 200 | 1ms | 192.0.2.7 | GET | /\r\nHTTPS: https://evil.example.com\r\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "localhost", OriginPort: 80},
			user:   "me", command: "shell", address: "localhost", port: 80, link: "flb.tuns.example.com",
		},
		"sish on another port": {
			server: sish, after: "HTTPS: https://flb.tuns.example.com:8443\r\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "localhost"},
			user:   "me", command: "shell", address: "localhost", port: 80, link: "flb.tuns.example.com:8443",
		},
		// A recorded session of localhost.run with "--output json", of 2023.
		"localhost.run": {
			server: localhostRunServer,
			before: "{\"connection_id\": \"c\", \"event\": \"authn\", \"message\": \"authenticated as anonymous user\"}\r\n" +
				"{\"message\": \"Welcome to localhost.run!\\nTo set up and manage custom domains go to https://admin.localhost.run/\\n\"}\n",
			after:  "{\"address\":\"3b1d872d3c1d63.lhr.life\",\"authz_code\":\"OK\",\"connection_id\":\"1.2.3.4:5\",\"event\":\"tcpip-forward\",\"listen_host\":\"localhost\",\"listen_port\":80,\"message\":\"3b1d872d3c1d63.lhr.life tunneled with tls termination, https://3b1d872d3c1d63.lhr.life\\n█▀▀▀█\"}\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "192.0.2.7", OriginPort: 4711},
			user:   "nokey", command: "--output json", address: "localhost", port: 80, link: "3b1d872d3c1d63.lhr.life",
		},
		// … and of 2026, as CloudEvents.
		"localhost.run, CloudEvents": {
			server: localhostRunServer,
			before: "tunnel config: inject-http-proxy-headers=false\n",
			after:  "{\"specversion\":\"1.0\",\"id\":\"localhost/01dafc11bae282.lhr.life\",\"type\":\"v1.tcpip_forward.register.accepted\",\"source\":\"ssh://localhost.run/\",\"data\":\"01dafc11bae282.lhr.life tunneled with tls termination, https://01dafc11bae282.lhr.life\\r\\ncreate an account and add your key for a longer lasting domain name. see https://localhost.run/docs/forever-free/ for more information.\\r\\n\"}\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "192.0.2.7", OriginPort: 4711},
			user:   "nokey", command: "--output json", address: "localhost", port: 80, link: "01dafc11bae282.lhr.life",
		},
		// localhost.run's text for people, which comes when the option is not
		// understood.
		"localhost.run, text": {
			server: localhostRunServer,
			before: "===============================================================================\r\nWelcome to localhost.run!\r\n\r\n" +
				"Follow your favourite reverse tunnel at [https://twitter.com/localhost_run].\r\n\r\n" +
				"To set up and manage custom domains go to https://admin.localhost.run/\r\n\r\n" +
				"To explore using localhost.run visit the documentation site:\r\nhttps://localhost.run/docs/\r\n\r\n" +
				"===============================================================================\r\n\r\n" +
				"** your connection id is cf157c20-ed53-4e57-b692-0d1c68b57901; mention it if you send me a message about an issue. **\r\n\r\n" +
				"authenticated as anonymous user\r\n",
			after: "9239ab27cc1ba2.lhr.life tunneled with tls termination, https://9239ab27cc1ba2.lhr.life\r\n" +
				"create an account and add your key for a longer lasting domain name. see https://localhost.run/docs/forever-free/ for more information.\r\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "192.0.2.7", OriginPort: 4711},
			user:   "nokey", command: "--output json", address: "localhost", port: 80, link: "9239ab27cc1ba2.lhr.life",
		},
		// Recorded sessions of pinggy without a terminal, of 2024 and 2026. The
		// text comes before the reply here.
		"pinggy": {
			server: pinggyServer,
			before: "You are not authenticated.\nYour tunnel will expire in 60 minutes. Upgrade to Pinggy Pro to get unrestricted tunnels. https://dashboard.pinggy.io\n" +
				"http://rnzdf-192-0-2-60.a.free.pinggy.link\nhttps://rnzdf-192-0-2-60.a.free.pinggy.link\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "192.0.2.7", OriginPort: 4711},
			user:   "http", command: "shell", address: "localhost", port: 9, link: "rnzdf-192-0-2-60.a.free.pinggy.link",
		},
		"pinggy, two names": {
			server: pinggyServer,
			after: "You are not authenticated.\r\n  Your tunnel will expire in 60 minutes. Upgrade to Pinggy Pro to get unrestricted tunnels. https://dashboard.pinggy.io\r\n" +
				"   https://lgidn-2001-db8--76a9.run.pinggy-free.link  \r\n   https://rjvqd-2001-db8--76a9.free.pinggy.net\r\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "192.0.2.7", OriginPort: 4711},
			user:   "http", command: "shell", address: "localhost", port: 9, link: "lgidn-2001-db8--76a9.run.pinggy-free.link",
		},
		"serveo": {
			server: sish, after: "\x1b[32mForwarding HTTP traffic from \x1b[1mhttps://gero.serveo.example\x1b[0m\r\nPress g to start a GUI session and ctrl-c to quit.\r\n" +
				"HTTP request from 192.0.2.7 to https://other.serveo.example/\r\n",
			origin: forwardedChannel{Addr: "localhost", OriginAddr: "192.0.2.7", OriginPort: 4711},
			user:   "me", command: "shell", address: "localhost", port: 80, link: "gero.serveo.example",
		},
		// github.com/klipitkas/tunnl.gg sends 127.0.0.1, whatever was asked for.
		"another address": {
			server: sish, after: "https://happy-tiger-a1b2c3d4.tunnl.example\r\n",
			origin: forwardedChannel{Addr: "127.0.0.1", OriginAddr: "127.0.0.1", OriginPort: 1},
			user:   "me", command: "shell", address: "localhost", port: 80, link: "happy-tiger-a1b2c3d4.tunnl.example",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startSSH(t, serveLike(test.before, test.after))
			s := newShare(t)
			s.start(f.at(test.server), shareOptions{})
			c := <-f.ready
			state := s.wait(isUp)
			if got := (link{state.Grant.Hosts[0], state.Grant.Port}).authority(); got != test.link {
				t.Errorf("the link is %s, want %s", got, test.link)
			}
			if c.User() != test.user || c.command != test.command || c.address != test.address || c.port != test.port {
				t.Errorf("asked as %s with %q for %s:%d, want %s, %q, %s:%d", c.User(), c.command, c.address, c.port, test.user, test.command, test.address, test.port)
			}
			test.origin.Port = test.port
			want := "200 page of " + test.link + " for https from invalid AddrPort"
			if got := get(t, c.browser(test.origin), "http://x/"); got != want {
				t.Errorf("a visitor gets %q, want %q", got, want)
			}
			if notes := s.noted(); len(notes) != 1 || !strings.Contains(notes[0], fingerprintOf(f)) {
				t.Errorf("the user is told %q, want the server's fingerprint", notes)
			}
		})
	}
}

// A service that refuses is tried again.
func TestServiceRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		server sshServer
		text   string
		want   string
	}{
		"CloudEvent": {localhostRunServer, "{\"id\":\"x\",\"type\":\"v1.tcpip_forward.register.rejected\",\"data\":\"no \\u001b[31mcapacity\\r\\nmore\"}\n", "no ?[31mcapacity"},
		"JSON":       {localhostRunServer, "{\"event\":\"tcpip-forward\",\"authz_code\":\"DENIED\",\"message\":\"not today\"}\n", "not today"},
		"no reason":  {localhostRunServer, "{\"event\":\"tcpip-forward\"}\n", "it gave no reason"},
		"nothing":    {pinggyServer, "too many tunnels\n", "too many tunnels"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startSSH(t, serveLike("", test.text))
			s := newShare(t)
			s.start(f.at(test.server), shareOptions{times: func(times *sshTimes) { times.link = 50 * time.Millisecond }})
			state := s.wait(isWaiting)
			wantError(t, state.Err, agent.ReasonFailed, test.want)
		})
	}
}
