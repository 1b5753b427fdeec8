host "a.localhost" {
  upstream = 1
  cors     = "https://app.example.com" # ERROR: cors must be true, false or a list of origins
  route "/a" { cors = 1 } # ERROR: cors must be true, false or a list of origins
  route "/b" { cors = [] } # ERROR: cors has no origins
  route "/c" { cors = ["*", "https://app.example.com"] } # ERROR: "*" can't be combined with other origins
  route "/d" { cors = ["app.example.com"] } # ERROR: an origin needs a scheme
  route "/e" { cors = ["https://app.example.com/"] } # ERROR: an origin can't have a path
  route "/f" { cors = ["https://*.example.com"] } # ERROR: an origin can't contain "*"
  route "/g" { cors = ["null"] } # ERROR: any page can have the origin "null"
  route "/h" { cors = ["https://ann@example.com"] } # ERROR: an origin can't have a user name
  route "/i" { cors = ["https://example.com:70000", "https://", "http://a b", 1] } # ERROR: "http://a b" is not a valid origin | "https://" is not a valid origin | an origin must be a string | port 70000 is out of range
  route "/j" { cors = { origins = ["https://example.com"] } } # ERROR: cors must be true, false or a list of origins
}
