host "a.localhost" {
  upstream = service.a
  health   = { path = "/healthz" } # ERROR: unknown attribute "health" in host "a.localhost"
  fallback = 2 # ERROR: unknown attribute "fallback" in host "a.localhost"
  balance  = "cookie" # ERROR: unknown attribute "balance" in host "a.localhost"
}
host "b.localhost" { upstream = [service.b, service.c, service.d, service.e, service.f, service.g, service.h, service.i, service.j] }
service "a" {
  upstream = 1
  health   = "/healthz" # ERROR: health must be an object
  balance  = "ip_hash" # ERROR: unknown balance "ip_hash"
}
service "b" {
  upstream = 1
  health   = {} # ERROR: health needs a path
  balance  = "least_con" # ERROR: unknown balance "least_con"
}
service "c" {
  upstream = 1
  health   = { path = "healthz", interval = "10ms", rise = 0, fall = "2", status = 99 } # ERROR: 99 is not a valid status | a path must begin with "/" | an interval of "10ms" is out of range | fall must be a whole number, not "2" | rise must be a whole number, not 0
}
service "d" {
  upstream = 1
  health   = { path = "http://localhost:1/healthz" } # ERROR: a path can't be a URL
}
service "e" {
  upstream = 1
  health   = { path = "/healthz", interval = "1s", timeout = "2s" } # ERROR: the timeout is longer than the interval of 1s
}
service "f" {
  upstream = 1
  health   = { path = "/a b", every = "2s" } # ERROR: the path of a health check must be ASCII without spaces | unknown field "every" in health
  balance  = true # ERROR: balance must be a string
}
service "g" {
  upstream = 1
  fallback = service.g # ERROR: service.g refers to itself
}
service "h" {
  upstream = 1
  fallback = service.i
}
service "i" {
  upstream = 2
  fallback = [3, service.h] # ERROR: service.h refers to itself
}
service "j" {
  upstream = 1
  fallback = "https://staging.example.com/api" # ERROR: the URL of an upstream can't have a path
  health   = { path = "/healthz#top" } # ERROR: a path can't have a fragment, which is not sent
}
service "k" {
  upstream = 1
  fallback = [] # ERROR: upstream has no addresses
  health   = { path = "//healthz" } # ERROR: a path can't have an empty segment
}
