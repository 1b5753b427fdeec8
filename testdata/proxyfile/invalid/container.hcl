discover = true # ERROR: discover must be a string

host "a.localhost" { upstream = [service.api, 3000] } # ERROR: containers can't be in a list with other addresses
service "api" { container = "api" }
service "empty" { container = "" } # ERROR: container is empty
service "number" { container = 3000 } # ERROR: container must be a string or an object
service "colon" { container = "api:3000" } # ERROR: the name of a service can't have a port
service "name" { container = "a b" } # ERROR: "a b" is not a valid name for a service in compose
service "both" {
  container = "api"
  upstream  = 3000 # ERROR: upstream can't be combined with container
}
service "command" {
  container = "api"
  command   = "go run ." # ERROR: command can't be combined with container
}
service "ready" {
  container  = "api"
  depends_on = ["db"] # ERROR: depends_on can't be combined with container
}
service "port" { container = { port = 3000 } } # ERROR: container needs service
service "range" { container = { service = "api", port = 70000 } } # ERROR: port 70000 is out of range
service "field" { container = { service = "api", ports = 3000 } } # ERROR: unknown field "ports" in container
service "word" { container = { service = "api", port = "http" } } # ERROR: port must be a number
service "web" {
  command = "vite --api ${service.api.url}" # ERROR: service "api" has no url
}
