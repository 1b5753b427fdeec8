host "shop.localhost" {
  upstream = 1
  aliases  = ["www.shop.localhost"]
  share    = "no" # ERROR: share is true or false
}
host "admin.shop.localhost" { upstream = 1 }
host "*.tenant.shop.localhost" { upstream = 1 }
host "mail.shop.localhost" {
  upstream = 8025
  share    = false

  share { # ERROR: "share" is an attribute in host "mail.shop.localhost"
  }
  route "/a" {
    share = false # ERROR: unknown attribute "share" in route "/a"
  }
}
share {
  relay = "wss://t.example.com/" # ERROR: a relay has no scheme
  hosts = [
    "admn.shop.localhost", # ERROR: no host is named "admn.shop.localhost"
    "admin", # ERROR: no host is named "admin"
    "a.tenant.shop.localhost", # ERROR: no host is named "a.tenant.shop.localhost"
    "example.com", # ERROR: no host is named "example.com"
    "www.shop.localhost", # ERROR: "www.shop.localhost" is an alias
    "mail.shop.localhost", # ERROR: host "mail.shop.localhost" has share = false
    "shop.localhost", "SHOP.localhost", # ERROR: a second "shop.localhost"
    5173, # ERROR: a host is a string
    service.web, # ERROR: no service is named "web"
  ]
  name     = "shop.example.com" # ERROR: name has no dots
  password = 1234 # ERROR: password is a string
  paths = [
    "api", # ERROR: a path begins with "/"
    "/api/**", # ERROR: a "*" in a path matches within one segment
    "/a/../b", # ERROR: a path has no empty, "." or ".." part
    "/a%2fb", # ERROR: a path is written without % escapes
    "https://shop.localhost/a", # ERROR: a path is not a URL
    "/a?b=c", # ERROR: a path has no query
    7, # ERROR: a path is a string
  ]
  public = "/hooks" # ERROR: public is a list of paths
  show = [
    "", # ERROR: "" in show names nothing that is hidden
    "/", # ERROR: "/" in show names nothing that is hidden
    "https://shop.localhost/rails", # ERROR: an entry of show is not a URL
    7, # ERROR: an entry of show is a string
  ]
  allow = [
    "203.0.113.7/24", # ERROR: "203.0.113.7/24" has bits beyond its length
    "203.0.113.0/33", # ERROR: "203.0.113.0/33" is no CIDR range
    "203.0.113", # ERROR: "203.0.113" is no CIDR range
    "fe80::1%eth0", # ERROR: "fe80::1%eth0" is no CIDR range
    "::ffff:203.0.113.0/120", # ERROR: "::ffff:203.0.113.0/120" is an IPv4 range in IPv6 form
    "example.com", # ERROR: "example.com" is no CIDR range
    true, # ERROR: a CIDR range is a string
  ]
  expires = "0s" # ERROR: a link lives for some time
  expire  = "1h" # ERROR: unknown attribute "expire" in share
}
share { # ERROR: a second share block
  relay = "t.example.com"
}
share "public" { # ERROR: "share" has no name | a second share block
}
