domian = "a.localhost" # ERROR: unknown attribute "domian" in the Proxyfile
upstream = 3000 # said with host below
hots "a.localhost" { # ERROR: unknown block "hots" in the Proxyfile
  upstream = 3000
}
route "/api" { upstream = 3000 } # ERROR: a route block can't be in the Proxyfile
host = "a.localhost" # ERROR: "host" is a block, not an attribute
listen "x" { # ERROR: a listen block can't have a name
  https = 8443
}
listen { # ERROR: duplicate listen block
  http = 8080
}
locals {
  a = 1
  b { # ERROR: locals has values, not blocks
  }
}
locals {
  a = 2 # ERROR: duplicate local "a"
}
host { # ERROR: a host block needs a name
  upstream = 3000
  timeout  = "x" # ERROR: "x" is not a valid duration
}
host "" { upstream = 3000 } # ERROR: the name of this host is empty
host "a.localhost" "b.localhost" { # ERROR: a host block can have only one name
  upstream = 3000
}
host "b.localhost" {
  upstrem  = 3000 # ERROR: unknown attribute "upstrem" in host "b.localhost"
  exact    = true # ERROR: unknown attribute "exact" in host "b.localhost"
  xyz      = 1 # ERROR: unknown attribute "xyz" in host "b.localhost"
  port     = 1 # ERROR: unknown attribute "port" in host "b.localhost"
  upstream = 3000
  upstream = 3001 # ERROR: duplicate "upstream"
  match { # ERROR: unknown block "match" in host "b.localhost"
  }
  service "web" { # ERROR: a service block can't be in host "b.localhost"
    upstream = 3000
  }
  location "/x" { # ERROR: unknown block "location" in host "b.localhost"
  }
  route "/a" {
    match { # ERROR: "match" is an attribute, not a block
    }
    aliases = ["x.localhost"] # ERROR: unknown attribute "aliases" in route "/a"
    route "/b" { # ERROR: a route block can't be in route "/a"
    }
  }
}
