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
  route "/a" { upstream = service.apii } # ERROR: no service is named "apii"
  route "/b" { upstream = service["apii"] } # ERROR: no service is named "apii"
  route "/c" { upstream = local.prt } # ERROR: no local is named "prt"
  route "/d" { upstream = local.zzz } # ERROR: no local is named "zzz"
  route "/e" { upstream = api } # ERROR: there is no value named "api"
  route "/f" { upstream = port } # ERROR: there is no value named "port"
  route "/g" { upstream = tcp.postgres } # ERROR: "tcp" is not built yet
  route "/h" { upstream = var.x } # ERROR: a variable of the environment is read with env()
  route "/i" { upstream = services.api } # ERROR: there is no value named "services"
  route "/j" { upstream = something } # ERROR: there is no value named "something"
  route "/k" {
    upstream     = service.api
    strip_prefix = yes # ERROR: "yes" is no value
  }
  route "/l" { upstream = [service.nope, 99999] } # ERROR: no service is named "nope" | port 99999 is out of range
  route "/m" { upstream = local.a }
  route "/n" { upstream = service.web }
}
