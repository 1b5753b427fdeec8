host "a.localhost" { upstream = 1 }
service "empty" { command = "" } # ERROR: command is empty
service "none" { command = [] } # ERROR: command is empty
service "blank" { command = "  # a comment" } # ERROR: command is empty
service "object" { command = { run = "pnpm dev" } } # ERROR: command must be a string or a list of strings
service "number" { command = 3000 } # ERROR: command must be a string or a list of strings
service "nested" { command = ["pnpm", ["dev"]] } # ERROR: an argument must be a string
service "socket" {
  command  = "node server.js --port {port}" # ERROR: service "socket" has no port for {port}
  upstream = "unix:tmp/app.sock"
}
service "case" { command = "vite --port {PORT}" } # ERROR: unknown placeholder {PORT}
service "typo" { command = "vite --port {prt}" } # ERROR: unknown placeholder {prt}
service "swapped" { command = ["serve", "-l", "tcp://127.0.0.1:{prot}"] } # ERROR: unknown placeholder {prot}
service "without" {
  upstream = 3000
  dir      = "web" # ERROR: dir needs command
  env      = {} # ERROR: env needs command
  stop     = "1s" # ERROR: stop needs command
}
service "dir" {
  command = "node server.js"
  dir     = "command.hcl" # ERROR: "command.hcl" is not a folder
}
service "home" {
  command = "node server.js"
  dir     = "~/shop" # ERROR: "~" is not expanded
}
service "env" {
  command = "node server.js"
  env     = "NODE_ENV=development" # ERROR: env must be an object
}
service "variable" {
  command = "node server.js"
  env = {
    "A=B" = 1 # ERROR: "A=B" is not a valid name of a variable
    LIST  = [1] # ERROR: LIST must be a string
  }
}
service "ready" {
  command = "node server.js"
  ready   = "/healthz" # ERROR: ready must be an object
}
service "ready_both" {
  command = "node server.js"
  ready   = { path = "/healthz", log = "ready" } # ERROR: ready has both path and log
}
service "ready_status" {
  command = "node server.js"
  ready   = { status = 200 } # ERROR: status needs path
}
service "ready_status_text" {
  command = "node server.js"
  ready   = { path = "/", status = "ok" } # ERROR: a status must be a number
}
service "ready_log" {
  command = "node server.js"
  ready   = { log = "*" } # ERROR: log is empty
}
service "ready_socket" {
  command  = "node server.js"
  upstream = "unix:tmp/app.sock"
  ready    = { path = "/" } # ERROR: service "ready_socket" has no port to request "/" from
}
service "restart" {
  command = "node server.js"
  restart = "always" # ERROR: unknown restart "always"
}
service "stop" {
  command = "node server.js"
  stop    = "1h" # ERROR: a stop time of "1h" is out of range
}
service "unknown" {
  command    = "node server.js"
  depends_on = ["sto"] # ERROR: unknown service "sto"
}
service "external" {
  command    = "node server.js"
  depends_on = ["db"] # ERROR: service "db" has no command, so devproxy does not start it
}
service "db" { upstream = 5432 }
service "first" { # ERROR: service "first" waits for itself: first -> second -> first
  command    = "node server.js"
  depends_on = ["second"]
}
service "second" { # ERROR: service "second" waits for itself: second -> first -> second
  command    = "node server.js"
  depends_on = ["first"]
}
service "self" { # ERROR: service "self" waits for itself: self -> self
  command    = "node server.js"
  depends_on = ["self"]
}
service "origin" {
  command = "node server.js"
  env     = { API = service.db.origin } # ERROR: no host leads to service "db"
}
service "attribute" {
  command = "node server.js"
  env     = { API = service.db.orign } # ERROR: a service has no attribute "orign"
}
service "port" {
  command  = "node server.js"
  upstream = 4000
}
service "same_port" { # ERROR: services "port" and "same_port" have the same port
  command  = "node server.js"
  upstream = "http://localhost:4000"
}
