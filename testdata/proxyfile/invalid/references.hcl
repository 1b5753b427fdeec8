service "api" { upstream = 3000 }
service "web" { upstream = service.loop }
service "loop" { upstream = service.web } # ERROR: service.web refers to itself
locals {
  a    = local.b
  b    = local.c
  c    = "${local.a}" # ERROR: local.a refers to itself
  port = 3000
  self = local.self # ERROR: local.self refers to itself
  num  = 1e999 * 1e999 * 1e999 * 1e999 * 1e999 # ERROR: this number is too large
}
host "a.localhost" {
  route "/a" { upstream = service.apii } # ERROR: unknown service "apii"
  route "/b" { upstream = service["apii"] } # ERROR: unknown service "apii"
  route "/c" { upstream = local.prt } # ERROR: unknown local "prt"
  route "/d" { upstream = local.zzz } # ERROR: unknown local "zzz"
  route "/e" { upstream = api } # ERROR: unknown name "api"
  route "/f" { upstream = port } # ERROR: unknown name "port"
  route "/g" { upstream = tcp.postgres.port } # ERROR: unknown tcp "postgres"
  route "/h" { upstream = var.x } # ERROR: use env() to read a variable of the environment
  route "/i" { upstream = services.api } # ERROR: unknown name "services"
  route "/j" { upstream = something } # ERROR: unknown name "something"
  route "/k" {
    upstream     = service.api
    strip_prefix = yes # ERROR: unknown name "yes"
  }
  route "/l" { upstream = [service.nope, 99999] } # ERROR: unknown service "nope" | port 99999 is out of range
  route "/m" { upstream = local.a }
  route "/n" { upstream = service.web }
}
