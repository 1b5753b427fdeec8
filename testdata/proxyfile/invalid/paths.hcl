host "a.localhost" {
  upstream = 1
  route "api" { upstream = 1 } # ERROR: a path must begin with "/"
  route "/api/" { upstream = 1 } # ERROR: a path must not end with "/"
  route "/api/**" { upstream = 1 } # ERROR: a "*" in a path matches only within one segment
  route "/**/x" { upstream = 1 } # ERROR: a "*" in a path matches only within one segment
  route "/*/**/x" { upstream = 1 } # ERROR: a "*" in a path matches only within one segment
  route "/api/.*" { upstream = 1 } # ERROR: a path must be a prefix, not a pattern
  route "/v[0-9]*$" { upstream = 1 } # ERROR: a path must be a prefix, not a pattern
  route "//" { upstream = 1 } # ERROR: a path can't have an empty, "." or ".." segment
  route "/a//b" { upstream = 1 } # ERROR: a path can't have an empty, "." or ".." segment
  route "/a/../b" { upstream = 1 } # ERROR: a path can't have an empty, "." or ".." segment
  route "/a/." { upstream = 1 } # ERROR: a path can't have an empty, "." or ".." segment
  route "/a?b=1" { upstream = 1 } # ERROR: a path can't have a query
  route "/a#b" { upstream = 1 } # ERROR: a path can't have a fragment, which browsers do not send
  route "/caf%C3%A9" { upstream = 1 } # ERROR: a path must be written without % escapes
  route "/a\\b" { upstream = 1 } # ERROR: a path can't contain "\"
  route "/a\nb" { upstream = 1 } # ERROR: a path can't contain control characters
  route "https://a.localhost/x" { upstream = 1 } # ERROR: a route needs a path, not a URL
  route "/ok%" { upstream = 1 }
  route "/r1" {
    upstream = 1
    rewrite  = "v1{rest}" # ERROR: a path must begin with "/"
  }
  route "/r2" {
    upstream = 1
    rewrite  = "{rest}" # ERROR: {rest} can be empty, and an empty path is not valid
  }
  route "/r3" {
    upstream = 1
    rewrite  = "/v1{path}" # ERROR: unknown placeholder {path}
  }
  route "/r4" {
    upstream = 1
    rewrite  = "/v1?x=1" # ERROR: rewrite must be a path without query and fragment
  }
  route "/r5" {
    upstream     = 1
    strip_prefix = true
    rewrite      = "/v1{rest}" # ERROR: rewrite and strip_prefix can't be combined
  }
  route "/r6" {
    upstream     = 1
    strip_prefix = "true" # ERROR: strip_prefix must be true or false
    rewrite      = "//x" # ERROR: a path can't have an empty segment
  }
  route "/r7" {
    upstream = 1
    rewrite  = "/a b" # ERROR: a path can't contain spaces or control characters
    exact    = 1 # ERROR: exact must be true or false
  }
}
