host "a.localhost" {
  upstream = 1
  allow    = "10.0.0.0/8" # ERROR: allow must be a list of CIDR ranges
  deny     = true # ERROR: deny must be a list of CIDR ranges
  route "/a" { allow = ["10.0.0.1/8"] } # ERROR: "10.0.0.1/8" has bits set after the prefix
  route "/b" { allow = ["10.0.0"] } # ERROR: "10.0.0" is not a valid CIDR range
  route "/c" { allow = ["localhost"] } # ERROR: "localhost" is not a valid CIDR range
  route "/d" { deny = ["::ffff:10.0.0.0/104"] } # ERROR: "::ffff:10.0.0.0/104" is an IPv4 range in IPv6 form
  route "/e" { deny = ["fe80::1%eth0", 10] } # ERROR: "fe80::1%eth0" is not a valid CIDR range | a CIDR range must be a string
}
