host "a.localhost" {
  timeout = 30s # ERROR: a duration must be a string
  hold    = 1m30s # ERROR: a duration must be a string
  upstream = http://localhost:3000 # ERROR: a URL must be a string
}
host "b.localhost" {
  upstream = :3000 # ERROR: a port is a number without a colon
  route "/a" { upstream = :3000 } # ERROR: a port is a number without a colon
  route "/b" {
    upstream: 3000 # ERROR: an attribute needs "=" instead of ":"
    hold : "5" # ERROR: an attribute needs "=" instead of ":" | "5" is not a valid duration
  }
  route "/c" { upstream: 70000 } # ERROR: an attribute needs "=" instead of ":" | port 70000 is out of range
  route "/d" { upstream 3000 } # ERROR: an attribute needs "="
  route "/e" {
    files "." # ERROR: an attribute needs "="
  }
  route /f { upstream = 3000 } # ERROR: the path of a route must be in quotes
  route "/g" {
    upstream = 3000
    rewrite  = "/v1${path}" # ERROR: unknown name "path"
  }
  route "/h" { upstream = "service.web" } # ERROR: a reference must not be in quotes
  route "/i" { upstream = '3000' } # ERROR: a string needs double quotes
  route "/j" { upstream = “3000” } # ERROR: a string needs double quotes
  route "/k" {
    upstream = 3000; # ERROR: unexpected ';' after an attribute
    timeout  = "1s", # ERROR: unexpected ',' after an attribute
  }
  route "/l" { upstream = 127.0.0.1:3000 } # ERROR: an address must be a string
  route "/m" { upstream = localhost:3000 } # ERROR: an address must be a string
  route "/n" { upstream = 127.0.0.1 } # ERROR: an address must be a string
  route "/o" { files = ./dist } # ERROR: a path must be a string
  route "/p" { upstream = unix:tmp/app.sock } # ERROR: the address of a socket must be a string
  route "/q" { upstream = 3000, timeout = "1s" } # ERROR: a block on one line can have only one attribute
  route "/r" { upstream = [http://a.localhost:1, :3000] } # ERROR: a URL must be a string | a port is a number without a colon
  route "/s" { upstream = 3000 # ERROR: a block that begins like this must end on the same line
  }
  "tls_skip_verify" = true # ERROR: a name must not be in quotes
}
host c.localhost { # ERROR: the name of a host must be in quotes
  upstream = 99999 # ERROR: port 99999 is out of range
}
host "d.localhost" = { # ERROR: unexpected "=" before the "{" of a block
  upstream = 3000
}
host "e.localhost" # ERROR: the "{" of a block must be on the line of its name
{
  upstream = 3000
}
host shop { upstream = 3000 } # ERROR: the name of a host must be in quotes
host "f.localhost" { upstream = 3000 }
} # ERROR: this "}" closes no block
host "g.localhost" { upstream = 3000 + } # ERROR: a value is missing here
host "h.localhost" {
  upstream = [3000,
    3001 3002, # ERROR: a comma is missing here
  ]
  timeout = "x" # ERROR: "x" is not a valid duration
}
host "i.localhost" { route "/" { upstream = 3000 } } # ERROR: a block on one line can have only one attribute
