host "a.localhost" {
  route "/a" { upstream = 1 }
  route "/a" { upstream = 2 } # ERROR: duplicate route "/a" in host "a.localhost"
  route "/a" {
    upstream = 3
    exact    = true
  }
  route "/a" {
    upstream = 3
    match    = { methods = ["GET"] }
  }
  route "/a" { # ERROR: duplicate route "/a" in host "a.localhost"
    upstream = 4
    match    = { methods = ["get"] }
  }
}
host "A.localhost" { upstream = 1 } # ERROR: duplicate host "a.localhost"
service "s" { upstream = 1 }
service "s" { upstream = 99999 } # ERROR: duplicate service "s" | port 99999 is out of range
