host "a.localhost" {
  upstream = 1
  cors     = "https://app.example.com" # ERROR: cors is true, false or a list of origins
  route "/a" { cors = 1 } # ERROR: cors is true, false or a list of origins
  route "/b" { cors = [] } # ERROR: cors has at least one origin
  route "/c" { cors = ["*", "https://app.example.com"] } # ERROR: "*" stands alone
  route "/d" { cors = ["app.example.com"] } # ERROR: an origin has a scheme
  route "/e" { cors = ["https://app.example.com/"] } # ERROR: an origin has no path
  route "/f" { cors = ["https://*.example.com"] } # ERROR: an origin has no "*" in it
  route "/g" { cors = ["null"] } # ERROR: any page can be of the origin "null"
  route "/h" { cors = ["https://ann@example.com"] } # ERROR: an origin has no user name
  route "/i" { cors = ["https://example.com:70000", "https://", "http://a b", 1] } # ERROR: "http://a b" is no origin | "https://" is no origin | an origin is a string | port 70000 is out of range
  route "/j" { cors = { origins = ["https://example.com"] } } # ERROR: cors is true, false or a list of origins
}
