package main

// manDescription says in devproxy(1) what devproxy does.
const manDescription = "`devproxy` serves the development servers of a project under one trusted HTTPS origin, such as " +
	`https://shop.localhost.
A file in the project, the Proxyfile, says which path goes to which server.
` + "`devproxy up`" + ` serves it, watches it, and applies every save without closing connections of routes that did not change.

    host "shop.localhost" {
      upstream = 5173

      route "/api" { upstream = 3000 }
    }

` + "`devproxy trust`" + ` makes the browsers and programs of this machine trust the certificates.
` + "`devproxy share`" + ` publishes the project under a link, through a relay.

It listens on loopback addresses only, and needs no root.`

// manSections are the further sections of devproxy(1). An item is a term and
// the text about it.
var manSections = []struct {
	heading, text string
	items         [][2]string
}{
	{"EXAMPLES", `Serve what listens on port 5173 as https://FOLDER.localhost, without a Proxyfile:

    devproxy up 5173

Write a Proxyfile from what the project's tools are told, and serve it:

    devproxy init
    devproxy up

Once per machine, make browsers trust it:

    devproxy trust

Let someone else look for two hours:

    devproxy share --for 2h

Ask which route answers a URL, without sending anything:

    devproxy explain https://shop.localhost/api/users`, nil},
	{"FILES", "", [][2]string{
		{"Proxyfile", "The project's file, in this folder or in the nearest above it. `Proxyfile.hcl` is read too."},
		{"Proxyfile.local", "Settings of this machine, next to the Proxyfile. They are merged over it. Do not commit it."},
		{"~/.local/share/devproxy/", "The state of one user: the local CA, the keys of shares, consent, and the remembered relay. " +
			"It is below `$XDG_DATA_HOME` if that is set. " +
			"On macOS it is `~/Library/Application Support/devproxy/`, on Windows `%LocalAppData%\\devproxy\\`."},
		{"~/.local/share/devproxy/root.pem", "The certificate of the CA. Its key is next to it and signs localhost names and loopback addresses only."},
		{"~/.local/share/devproxy/relay.db", "The names and keys of a relay that runs here. `devproxy relay --state` moves it."},
		{"$XDG_RUNTIME_DIR/devproxy/", "The sockets and locks of running instances, else in a folder of your own below the folder of temporary files."},
	}},
	{"ENVIRONMENT", "", [][2]string{
		{"DEVPROXY_HOME", "The folder of the state, an absolute path."},
		{"DEVPROXY_RELAY", "The relay of `devproxy share`, where neither --relay nor the Proxyfile names one."},
		{"DEVPROXY_RELAY_TOKEN", "The token of `devproxy relay` and `devproxy relay login`. Other users can see arguments, but not this."},
		{"NO_COLOR", "If it is not empty, nothing is coloured."},
		{"HTTPS_PROXY, ALL_PROXY, NO_PROXY", "The proxy through which a relay is reached."},
		{"SSL_CERT_FILE", "The public roots that `devproxy env` joins with the CA."},
		{"JAVA_HOME", "The Java whose trust store `devproxy trust` writes to."},
	}},
	{"EXIT STATUS", "", [][2]string{
		{"0", "Done."},
		{"1", "Failed, or a check found something."},
		{"2", "Wrong usage."},
		{"3", "The Proxyfile has errors."},
		{"4", "A port is taken or may not be bound."},
	}},
}
