host "a.localhost" {
  route "/a" { upstream = 1 }
  route "/a" { upstream = 2 } # ERROR: a second route "/a" in host "a.localhost"
  route "/a" {
    upstream = 3
    exact    = true
  }
  route "/a" {
    upstream = 3
    match    = { methods = ["GET"] }
  }
  route "/a" { # ERROR: a second route "/a" in host "a.localhost"
    upstream = 4
    match    = { methods = ["get"] }
  }
}
host "A.localhost" { upstream = 1 } # ERROR: a second host "a.localhost"
service "s" { upstream = 1 }
service "s" { upstream = 99999 } # ERROR: a second service "s" | port 99999 is out of range
