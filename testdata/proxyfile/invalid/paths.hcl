host "a.localhost" {
  upstream = 1
  route "api" { upstream = 1 } # ERROR: a path begins with "/"
  route "/api/" { upstream = 1 } # ERROR: a path does not end with "/"
  route "/api/**" { upstream = 1 } # ERROR: a "*" in a path matches within one segment
  route "/**/x" { upstream = 1 } # ERROR: a "*" in a path matches within one segment
  route "/*/**/x" { upstream = 1 } # ERROR: a "*" in a path matches within one segment
  route "/api/.*" { upstream = 1 } # ERROR: a path is a prefix, not a pattern
  route "/v[0-9]*$" { upstream = 1 } # ERROR: a path is a prefix, not a pattern
  route "//" { upstream = 1 } # ERROR: a path has no empty, "." or ".." part
  route "/a//b" { upstream = 1 } # ERROR: a path has no empty, "." or ".." part
  route "/a/../b" { upstream = 1 } # ERROR: a path has no empty, "." or ".." part
  route "/a/." { upstream = 1 } # ERROR: a path has no empty, "." or ".." part
  route "/a?b=1" { upstream = 1 } # ERROR: a path has no query
  route "/a#b" { upstream = 1 } # ERROR: a path has no fragment: browsers do not send it
  route "/caf%C3%A9" { upstream = 1 } # ERROR: a path is written without % escapes
  route "/a\\b" { upstream = 1 } # ERROR: a path has no "\"
  route "/a\nb" { upstream = 1 } # ERROR: a path has no control characters
  route "https://a.localhost/x" { upstream = 1 } # ERROR: a route has a path, not a URL
  route "/ok%" { upstream = 1 }
  route "/r1" {
    upstream = 1
    rewrite  = "v1{rest}" # ERROR: a path begins with "/"
  }
  route "/r2" {
    upstream = 1
    rewrite  = "{rest}" # ERROR: the rest alone may be no path
  }
  route "/r3" {
    upstream = 1
    rewrite  = "/v1{path}" # ERROR: unknown placeholder {path}
  }
  route "/r4" {
    upstream = 1
    rewrite  = "/v1?x=1" # ERROR: rewrite is a path, without query or fragment
  }
  route "/r5" {
    upstream     = 1
    strip_prefix = true
    rewrite      = "/v1{rest}" # ERROR: rewrite and strip_prefix exclude each other
  }
  route "/r6" {
    upstream     = 1
    strip_prefix = "true" # ERROR: strip_prefix is true or false
    rewrite      = "//x" # ERROR: a path has no empty part
  }
  route "/r7" {
    upstream = 1
    rewrite  = "/a b" # ERROR: a path has no spaces and control characters
    exact    = 1 # ERROR: exact is true or false
  }
}
