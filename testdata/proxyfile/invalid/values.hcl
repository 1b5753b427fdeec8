listen {
  https    = "0.0.0.0:8443" # ERROR: devproxy listens on loopback addresses only
  http     = 70000 # ERROR: port 70000 is out of range
  redirect = "false" # ERROR: redirect must be true or false
}
host "a.localhost" {
  upstream = 1
  timeout  = 30 # ERROR: a duration must be a string
  hold     = "-1s" # ERROR: a duration can't be negative
  route "/a" { timeout = "30" } # ERROR: "30" is not a valid duration
  route "/b" { timeout = "30 sec" } # ERROR: "30 sec" is not a valid duration
  route "/c" { timeout = "2d" } # ERROR: "2d" is not a valid duration
  route "/d" { timeout = "soon" } # ERROR: "soon" is not a valid duration
  route "/e" { timeout = "100000h" } # ERROR: "100000h" is more than a year
  route "/f" { timeout = true } # ERROR: a duration must be a string
  route "/g" { request_headers = "X: 1" } # ERROR: request_headers must be an object
  route "/h" { request_headers = { "X Y" = 1 } } # ERROR: "X Y" is not a valid name of a header field
  route "/i" { request_headers = { "X:" = 1 } } # ERROR: "X:" is not a valid name of a header field
  route "/j" { request_headers = { X = "a\nb" } } # ERROR: the value of X contains a control character
  route "/k" { request_headers = { X = [] } } # ERROR: the value of X must be a string
  route "/l" { request_headers = { Content-Length = 1 } } # ERROR: devproxy sets Content-Length automatically
  route "/m" { request_headers = { Host = null } } # ERROR: every request needs Host
  route "/n" { request_headers = { X-A = 1, x-a = 2 } } # ERROR: duplicate header field X-A
  route "/o" { match = "GET" } # ERROR: match must be an object with methods, headers or query
  route "/p" { match = { method = "GET" } } # ERROR: unknown field "method" in match
  route "/q" { match = { methods = "GET" } } # ERROR: methods must be a list
  route "/r" { match = { methods = ["G T", 1] } } # ERROR: "G T" is not an HTTP method | a method must be a string
  route "/s" { match = { headers = [] } } # ERROR: headers must be an object
  route "/u" { forwarded_proto = true } # ERROR: forwarded_proto must be a string
  route "/v" { forwarded_proto = "HTTP" } # ERROR: unknown forwarded_proto "HTTP"
  route "/w" { forwarded_proto = "https://" } # ERROR: unknown forwarded_proto "https://"
  route "/x" { forwarded_proto = "h2c" } # ERROR: unknown forwarded_proto "h2c"
  route "/t" { match = { query = { a = null } } } # ERROR: a value of query must be a string
}
