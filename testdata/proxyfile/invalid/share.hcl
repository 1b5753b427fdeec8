host "shop.localhost" {
  upstream = 1
  aliases  = ["www.shop.localhost"]
  share    = "no" # ERROR: share must be true or false
}
host "admin.shop.localhost" { upstream = 1 }
host "*.tenant.shop.localhost" { upstream = 1 }
host "mail.shop.localhost" {
  upstream = 8025
  share    = false

  share { # ERROR: "share" is an attribute in host "mail.shop.localhost", not a block
  }
  route "/a" {
    share = false # ERROR: unknown attribute "share" in route "/a"
  }
}
share {
  relay = "wss://t.example.com/" # ERROR: a relay can't have a scheme
  hosts = [
    "admn.shop.localhost", # ERROR: unknown host "admn.shop.localhost"
    "admin", # ERROR: unknown host "admin"
    "a.tenant.shop.localhost", # ERROR: unknown host "a.tenant.shop.localhost"
    "example.com", # ERROR: unknown host "example.com"
    "www.shop.localhost", # ERROR: "www.shop.localhost" is an alias
    "mail.shop.localhost", # ERROR: host "mail.shop.localhost" has share = false
    "shop.localhost", "SHOP.localhost", # ERROR: duplicate "shop.localhost"
    5173, # ERROR: a host must be a string
    service.web, # ERROR: unknown service "web"
  ]
  name     = "shop.example.com" # ERROR: name can't contain dots
  password = 1234 # ERROR: password must be a string
  paths = [
    "api", # ERROR: a path must begin with "/"
    "/api/**", # ERROR: a "*" in a path matches only within one segment
    "/a/../b", # ERROR: a path can't have an empty, "." or ".." segment
    "/a%2fb", # ERROR: a path must be written without % escapes
    "https://shop.localhost/a", # ERROR: a path can't be a URL
    "/a?b=c", # ERROR: a path can't have a query
    7, # ERROR: a path must be a string
  ]
  public = "/hooks" # ERROR: public must be a list of paths
  show = [
    "", # ERROR: "" in show is not a hidden entry
    "/", # ERROR: "/" in show is not a hidden entry
    "https://shop.localhost/rails", # ERROR: an entry of show can't be a URL
    7, # ERROR: an entry of show must be a string
  ]
  allow = [
    "203.0.113.7/24", # ERROR: "203.0.113.7/24" has bits set after the prefix
    "203.0.113.0/33", # ERROR: "203.0.113.0/33" is not a valid CIDR range
    "203.0.113", # ERROR: "203.0.113" is not a valid CIDR range
    "fe80::1%eth0", # ERROR: "fe80::1%eth0" is not a valid CIDR range
    "::ffff:203.0.113.0/120", # ERROR: "::ffff:203.0.113.0/120" is an IPv4 range in IPv6 form
    "example.com", # ERROR: "example.com" is not a valid CIDR range
    true, # ERROR: a CIDR range must be a string
  ]
  expires = "0s" # ERROR: expires must be longer than zero
  expire  = "1h" # ERROR: unknown attribute "expire" in share
}
share { # ERROR: duplicate share block
  relay = "t.example.com"
}
share "public" { # ERROR: a share block can't have a name | duplicate share block
}
