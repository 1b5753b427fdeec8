domain = "*.shop.localhost" # ERROR: domain can't have a wildcard
host "shop" { upstream = 1 } # ERROR: "shop" is not below .localhost
host "shop.test" { upstream = 1 } # ERROR: "shop.test" is not below .localhost
host "app.example.com" { upstream = 1 } # ERROR: "app.example.com" is not below .localhost
host "notlocalhost" { upstream = 1 } # ERROR: "notlocalhost" is not below .localhost
host "127.0.0.1" { upstream = 1 } # ERROR: "127.0.0.1" is an IP address, not a host name
host "[::1]" { upstream = 1 } # ERROR: "[::1]" is an IP address, not a host name
host "https://shop.localhost/x" { upstream = 1 } # ERROR: a host name can't have a scheme
host "shop.localhost:8443" { upstream = 1 } # ERROR: a host name can't have a port
host "shop.localhost/api" { upstream = 1 } # ERROR: a host name can't have a path
host "shop.localhost." { upstream = 1 } # ERROR: a name must not end with "."
host "a..localhost" { upstream = 1 } # ERROR: "a..localhost" has an empty part
host ".localhost" { upstream = 1 } # ERROR: ".localhost" has an empty part
host "a.*.localhost" { upstream = 1 } # ERROR: "*." is only allowed at the beginning, for one label
host "*" { upstream = 1 } # ERROR: "*." is only allowed at the beginning, for one label
host "a*.localhost" { upstream = 1 } # ERROR: "*." is only allowed at the beginning, for one label
host "-a.localhost" { upstream = 1 } # ERROR: "-a.localhost" is not a valid name
host "a b.localhost" { upstream = 1 } # ERROR: "a b.localhost" is not a valid name
host "café.localhost" { upstream = 1 } # ERROR: "café.localhost" is not ASCII
host "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.localhost" { upstream = 1 } # ERROR: the part of a name between two dots can have at most 63 characters
host "devproxy.localhost" { upstream = 1 } # ERROR: "devproxy.localhost" is the page that devproxy open shows
host "ok.localhost" {
  aliases  = "www.localhost" # ERROR: aliases must be a list of names
  upstream = 1
}
host "ok2.localhost" {
  upstream = 1
  aliases = [
    "a.test", # ERROR: "a.test" is not below .localhost
    1, # ERROR: an alias must be a string
    "OK.localhost", # ERROR: duplicate host or alias "ok.localhost"
    "ok2.localhost", # ERROR: duplicate host or alias "ok2.localhost"
  ]
}
