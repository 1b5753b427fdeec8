host "a.localhost" {
  route "/a" { upstream = 0 } # ERROR: port 0 is out of range
  route "/b" { upstream = 65536 } # ERROR: port 65536 is out of range
  route "/c" { upstream = 80.5 } # ERROR: port 80.5 is out of range
  route "/d" { upstream = "70000" } # ERROR: port 70000 is out of range
  route "/e" { upstream = "localhost:0" } # ERROR: port 0 is out of range
  route "/f" { upstream = "http://localhost:3000/v1" } # ERROR: the URL of an upstream has no path
  route "/g" { upstream = "http://localhost:3000//" } # ERROR: the URL of an upstream has no path
  route "/h" { upstream = "http://localhost:3000?x" } # ERROR: the URL of an upstream has no path
  route "/i" { upstream = "ws://localhost:3000" } # ERROR: an upstream has no scheme "ws"
  route "/j" { upstream = "grpc://localhost:3000" } # ERROR: an upstream has no scheme "grpc"
  route "/k" { upstream = "ftp://localhost" } # ERROR: an upstream has no scheme "ftp"
  route "/l" { upstream = "http://me:pw@localhost" } # ERROR: the URL of an upstream has no user name
  route "/m" { upstream = "http://:3000" } # ERROR: "http://:3000" is no URL
  route "/n" { upstream = "http://a b" } # ERROR: "http://a b" is no URL
  route "/o" { upstream = "http:/localhost:3000" } # ERROR: "http:/localhost:3000" is no address
  route "/p" { upstream = "localhost" } # ERROR: "localhost" has no port
  route "/q" { upstream = "[::1]" } # ERROR: "[::1]" has no port
  route "/r" { upstream = "::1:3000" } # ERROR: an IPv6 address stands in brackets
  route "/s" { upstream = "localhost:http" } # ERROR: "localhost:http" is no address
  route "/t" { upstream = "localhost:3000/x" } # ERROR: the address of an upstream has no path
  route "/u" { upstream = "/run/app.sock" } # ERROR: "/run/app.sock" is no address
  route "/v" { upstream = "unix:" } # ERROR: a socket has a path
  route "/w" { upstream = "unix:~/app.sock" } # ERROR: "~" is not expanded
  route "/x" { upstream = [] } # ERROR: an upstream has at least one address
  route "/y" { upstream = true } # ERROR: an upstream is not true or false
  route "/z" { upstream = { port = 3000 } } # ERROR: an upstream is not an object
  route "/0" { upstream = "" } # ERROR: an upstream is not empty
  route "/1" { upstream = "what is this" } # ERROR: "what is this" is no address
  route "/2" { upstream = [3000, null, "x:y"] } # ERROR: an upstream is not null | "x:y" is no address
  route "/3" { upstream = service.ok.prt } # ERROR: a service has no "prt"
  route "/4" { upstream = service.two.port } # ERROR: service "two" has no single port
  route "/5" { upstream = service.bad }
  route "/6" { upstream = "${service.ok}" }
  route "/7" { upstream = "http://${service.ok}" } # ERROR: invalid template interpolation value
}
service "ok" { upstream = 3000 }
service "two" { upstream = [3000, 3001] }
service "bad" { upstream = -1 } # ERROR: port -1 is out of range
service "none" { hold = "1s" } # ERROR: service "none" has no upstream
service "a b" { upstream = 1 } # ERROR: "a b" is no name for a service
service "balance" {
  upstream = 1
  balance  = "least_conn"
}
service "balance2" {
  upstream = 1
  balance  = "roundrobin" # ERROR: there is no balance "roundrobin"
}
