host "a.localhost" {
  timeout = 30s # ERROR: a duration is a string
  hold    = 1m30s # ERROR: a duration is a string
  upstream = http://localhost:3000 # ERROR: a URL is a string
}
host "b.localhost" {
  upstream = :3000 # ERROR: a port has no colon
  route "/a" { upstream = :3000 } # ERROR: a port has no colon
  route "/b" {
    upstream: 3000 # ERROR: an attribute takes "=" instead of ":"
    hold : "5" # ERROR: an attribute takes "=" instead of ":" | "5" is no duration
  }
  route "/c" { upstream: 70000 } # ERROR: an attribute takes "=" instead of ":" | port 70000 is out of range
  route "/d" { upstream 3000 } # ERROR: an attribute takes "="
  route "/e" {
    files "." # ERROR: an attribute takes "="
  }
  route /f { upstream = 3000 } # ERROR: a route's path is a string
  route "/g" {
    upstream = 3000
    rewrite  = "/v1${path}" # ERROR: there is no value named "path"
  }
  route "/h" { upstream = "service.web" } # ERROR: a reference is written without quotes
  route "/i" { upstream = '3000' } # ERROR: a string has double quotes
  route "/j" { upstream = “3000” } # ERROR: a string has double quotes
  route "/k" {
    upstream = 3000; # ERROR: no ';' behind an attribute
    timeout  = "1s", # ERROR: no ',' behind an attribute
  }
  route "/l" { upstream = 127.0.0.1:3000 } # ERROR: an address is a string
  route "/m" { upstream = localhost:3000 } # ERROR: an address is a string
  route "/n" { upstream = 127.0.0.1 } # ERROR: an address is a string
  route "/o" { files = ./dist } # ERROR: a path is a string
  route "/p" { upstream = unix:tmp/app.sock } # ERROR: a socket's address is a string
  route "/q" { upstream = 3000, timeout = "1s" } # ERROR: a block on one line has one attribute
  route "/r" { upstream = [http://a.localhost:1, :3000] } # ERROR: a URL is a string | a port has no colon
  route "/s" { upstream = 3000 # ERROR: a block on one line also ends on it
  }
  "tls_skip_verify" = true # ERROR: a name is not quoted
}
host c.localhost { # ERROR: a host's name is a string
  upstream = 99999 # ERROR: port 99999 is out of range
}
host "d.localhost" = { # ERROR: no "=" before the "{" of a block
  upstream = 3000
}
host "e.localhost" # ERROR: a block has its "{" on the line of its name
{
  upstream = 3000
}
host shop { upstream = 3000 } # ERROR: a host's name is a string
host "f.localhost" { upstream = 3000 }
} # ERROR: this "}" closes nothing
host "g.localhost" { upstream = 3000 + } # ERROR: a value is missing here
host "h.localhost" {
  upstream = [3000,
    3001 3002, # ERROR: a comma is missing here
  ]
  timeout = "x" # ERROR: "x" is no duration
}
host "i.localhost" { route "/" { upstream = 3000 } } # ERROR: a block on one line has one attribute
