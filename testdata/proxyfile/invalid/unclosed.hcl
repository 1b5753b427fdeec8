host "a.localhost" {
  route "/a" { # ERROR: this block is not closed
    upstream = 3000
}

host "b.localhost" { # ERROR: this block is not closed
  upstream = 99999 # ERROR: port 99999 is out of range

service "web" {
  upstream = 3000
  hold = "x" # ERROR: "x" is not a valid duration
}
