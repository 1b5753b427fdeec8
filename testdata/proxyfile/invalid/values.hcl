listen {
  https    = "0.0.0.0:8443" # ERROR: devproxy listens on this machine's own addresses only
  http     = 70000 # ERROR: port 70000 is out of range
  redirect = "false" # ERROR: redirect is true or false
}
host "a.localhost" {
  upstream = 1
  timeout  = 30 # ERROR: a duration is a string
  hold     = "-1s" # ERROR: a duration is not negative
  route "/a" { timeout = "30" } # ERROR: "30" is no duration
  route "/b" { timeout = "30 sec" } # ERROR: "30 sec" is no duration
  route "/c" { timeout = "2d" } # ERROR: "2d" is no duration
  route "/d" { timeout = "soon" } # ERROR: "soon" is no duration
  route "/e" { timeout = "100000h" } # ERROR: "100000h" is more than a year
  route "/f" { timeout = true } # ERROR: a duration is a string
  route "/g" { request_headers = "X: 1" } # ERROR: request_headers is an object
  route "/h" { request_headers = { "X Y" = 1 } } # ERROR: "X Y" is no name of a header field
  route "/i" { request_headers = { "X:" = 1 } } # ERROR: "X:" is no name of a header field
  route "/j" { request_headers = { X = "a\nb" } } # ERROR: the value of X has a control character
  route "/k" { request_headers = { X = [] } } # ERROR: the value of X is a string
  route "/l" { request_headers = { Content-Length = 1 } } # ERROR: devproxy sets Content-Length itself
  route "/m" { request_headers = { Host = null } } # ERROR: no request goes without Host
  route "/n" { request_headers = { X-A = 1, x-a = 2 } } # ERROR: a second X-A
  route "/o" { match = "GET" } # ERROR: match is an object of methods, headers and query
  route "/p" { match = { method = "GET" } } # ERROR: unknown field "method" in match
  route "/q" { match = { methods = "GET" } } # ERROR: methods is a list
  route "/r" { match = { methods = ["G T", 1] } } # ERROR: "G T" is no method | a method is a string
  route "/s" { match = { headers = [] } } # ERROR: headers is an object
  route "/u" { forwarded_proto = true } # ERROR: forwarded_proto is a string
  route "/v" { forwarded_proto = "HTTP" } # ERROR: unknown forwarded_proto "HTTP"
  route "/w" { forwarded_proto = "https://" } # ERROR: unknown forwarded_proto "https://"
  route "/x" { forwarded_proto = "h2c" } # ERROR: unknown forwarded_proto "h2c"
  route "/t" { match = { query = { a = null } } } # ERROR: a value of query is a string
}
