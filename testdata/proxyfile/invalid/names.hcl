domain = "*.shop.localhost" # ERROR: a domain has no wildcard
host "shop" { upstream = 1 } # ERROR: "shop" is not under .localhost
host "shop.test" { upstream = 1 } # ERROR: "shop.test" is not under .localhost
host "app.example.com" { upstream = 1 } # ERROR: "app.example.com" is not under .localhost
host "notlocalhost" { upstream = 1 } # ERROR: "notlocalhost" is not under .localhost
host "127.0.0.1" { upstream = 1 } # ERROR: "127.0.0.1" is an address, not a name
host "[::1]" { upstream = 1 } # ERROR: "[::1]" is an address, not a name
host "https://shop.localhost/x" { upstream = 1 } # ERROR: a name has no scheme
host "shop.localhost:8443" { upstream = 1 } # ERROR: a name has no port
host "shop.localhost/api" { upstream = 1 } # ERROR: a name has no path
host "shop.localhost." { upstream = 1 } # ERROR: a name does not end with "."
host "a..localhost" { upstream = 1 } # ERROR: "a..localhost" has an empty part
host ".localhost" { upstream = 1 } # ERROR: ".localhost" has an empty part
host "a.*.localhost" { upstream = 1 } # ERROR: "*." stands at the beginning, for one label
host "*" { upstream = 1 } # ERROR: "*." stands at the beginning, for one label
host "a*.localhost" { upstream = 1 } # ERROR: "*." stands at the beginning, for one label
host "-a.localhost" { upstream = 1 } # ERROR: "-a.localhost" is no name
host "a b.localhost" { upstream = 1 } # ERROR: "a b.localhost" is no name
host "café.localhost" { upstream = 1 } # ERROR: "café.localhost" is not ASCII
host "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.localhost" { upstream = 1 } # ERROR: the part of a name between two dots has at most 63 characters
host "ok.localhost" {
  aliases  = "www.localhost" # ERROR: aliases is a list of names
  upstream = 1
}
host "ok2.localhost" {
  upstream = 1
  aliases = [
    "a.test", # ERROR: "a.test" is not under .localhost
    1, # ERROR: an alias is a string
    "OK.localhost", # ERROR: a second host or alias "ok.localhost"
    "ok2.localhost", # ERROR: a second host or alias "ok2.localhost"
  ]
}
