host "a.localhost" {
  route "/a" { upstream = 0 } # ERROR: port 0 is out of range
  route "/b" { upstream = 65536 } # ERROR: port 65536 is out of range
  route "/c" { upstream = 80.5 } # ERROR: port 80.5 is out of range
  route "/d" { upstream = "70000" } # ERROR: port 70000 is out of range
  route "/e" { upstream = "localhost:0" } # ERROR: port 0 is out of range
  route "/f" { upstream = "http://localhost:3000/v1" } # ERROR: the URL of an upstream can't have a path
  route "/g" { upstream = "http://localhost:3000//" } # ERROR: the URL of an upstream can't have a path
  route "/h" { upstream = "http://localhost:3000?x" } # ERROR: the URL of an upstream can't have a path
  route "/i" { upstream = "ws://localhost:3000" } # ERROR: unknown scheme "ws" of an upstream
  route "/j" { upstream = "grpc://localhost:3000" } # ERROR: unknown scheme "grpc" of an upstream
  route "/k" { upstream = "ftp://localhost" } # ERROR: unknown scheme "ftp" of an upstream
  route "/l" { upstream = "http://me:pw@localhost" } # ERROR: the URL of an upstream can't have a user name
  route "/m" { upstream = "http://:3000" } # ERROR: "http://:3000" is not a valid URL
  route "/n" { upstream = "http://a b" } # ERROR: "http://a b" is not a valid URL
  route "/o" { upstream = "http:/localhost:3000" } # ERROR: "http:/localhost:3000" is not a valid address
  route "/p" { upstream = "localhost" } # ERROR: "localhost" has no port
  route "/q" { upstream = "[::1]" } # ERROR: "[::1]" has no port
  route "/r" { upstream = "::1:3000" } # ERROR: an IPv6 address needs brackets
  route "/s" { upstream = "localhost:http" } # ERROR: "localhost:http" is not a valid address
  route "/t" { upstream = "localhost:3000/x" } # ERROR: the address of an upstream can't have a path
  route "/u" { upstream = "/run/app.sock" } # ERROR: "/run/app.sock" is not a valid address
  route "/v" { upstream = "unix:" } # ERROR: a socket needs a path
  route "/w" { upstream = "unix:~/app.sock" } # ERROR: "~" is not expanded
  route "/x" { upstream = [] } # ERROR: upstream has no addresses
  route "/y" { upstream = true } # ERROR: upstream can't be true or false
  route "/z" { upstream = { port = 3000 } } # ERROR: upstream can't be an object
  route "/0" { upstream = "" } # ERROR: upstream is empty
  route "/1" { upstream = "what is this" } # ERROR: "what is this" is not a valid address
  route "/2" { upstream = [3000, null, "x:y"] } # ERROR: upstream can't be null | "x:y" is not a valid address
  route "/3" { upstream = service.ok.prt } # ERROR: a service has no attribute "prt"
  route "/4" { upstream = service.two.port } # ERROR: service "two" has no port
  route "/5" { upstream = service.bad }
  route "/6" { upstream = "${service.ok}" }
  route "/7" { upstream = "http://${service.ok}" } # ERROR: invalid template interpolation value
}
service "ok" { upstream = 3000 }
service "two" { upstream = [3000, 3001] }
service "bad" { upstream = -1 } # ERROR: port -1 is out of range
service "none" { hold = "1s" } # ERROR: service "none" has no upstream and no command
service "a b" { upstream = 1 } # ERROR: "a b" is not a valid name for a service
service "balance" {
  upstream = 1
  balance  = "least_conn"
}
service "balance2" {
  upstream = 1
  balance  = "roundrobin" # ERROR: unknown balance "roundrobin"
}
