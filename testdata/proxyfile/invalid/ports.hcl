host "a.localhost" {
  upstream = 1
  route "/a" { upstream = tcp.postgres } # ERROR: upstream can't be tcp.postgres
  route "/b" { upstream = tcp.postgres.prt } # ERROR: a tcp block has no attribute "prt"
  route "/c" { upstream = udp.dsn.port } # ERROR: unknown udp "dsn"
}

service "api" { upstream = [3000, 3001] }
service "db" { container = "db" }

tcp "postgres" { upstream = 5432 }
tcp "postgres" { upstream = 5433 } # ERROR: duplicate tcp "postgres"
tcp "a b" { upstream = 5434 } # ERROR: "a b" is not a valid name for a tcp block
tcp { upstream = 5435 } # ERROR: a tcp block needs a name

tcp "none" {} # ERROR: tcp "none" has no upstream
tcp "url" { upstream = "postgres://me:secret@localhost:5432/shop" } # ERROR: tcp "url" has an upstream without a scheme, not "postgres://"
tcp "list" { upstream = [5432, 5433] } # ERROR: tcp "list" has one upstream, not a list
tcp "several" { upstream = service.api } # ERROR: tcp "several" has one upstream, and service "api" has 2 addresses
tcp "loop" {
  listen   = 6000
  upstream = 6000 # ERROR: tcp "loop" leads to itself
}
tcp "first" {
  listen   = 6001
  upstream = 5432
}
tcp "second" {
  listen   = "127.0.0.1:6001" # ERROR: tcp.first and tcp.second have the same port
  upstream = 5432
}
tcp "any" {
  listen   = 0 # ERROR: port 0 is out of range
  upstream = 5432
}
tcp "open" {
  listen   = "0.0.0.0:6002" # ERROR: devproxy listens on loopback addresses only
  upstream = 5432
}
tcp "words" {
  listen   = true # ERROR: listen must be a port or an address
  upstream = 5432
  port     = 5432 # ERROR: unknown attribute "port" in tcp "words"
}
udp "dns" { upstream = "unix:dns.sock" } # ERROR: a unix socket can't be the upstream of udp "dns"
udp "container" { upstream = service.db } # ERROR: containers can't be the upstream of udp "container"
udp "same" {
  listen   = 6001
  upstream = 53
}
