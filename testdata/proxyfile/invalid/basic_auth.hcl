host "a.localhost" {
  upstream   = 1
  basic_auth = "ann:secret" # ERROR: basic_auth is an object of names and hashes
  route "/a" { basic_auth = {} } # ERROR: basic_auth lets nobody in
  route "/b" { basic_auth = true } # ERROR: basic_auth is an object of names and hashes
  route "/c" { basic_auth = { ann = "secret" } } # ERROR: this is a password of "ann", not a bcrypt hash
  route "/d" { basic_auth = { ann = "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/" } } # ERROR: this is no whole bcrypt hash, for "ann"
  route "/e" { basic_auth = { ann = "$2y$10$tooshort" } } # ERROR: this is no whole bcrypt hash, for "ann"
  route "/f" { basic_auth = { ann = "$2y$03$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the cost of this hash is 3, not one of 4 to 15
  route "/g" { basic_auth = { ann = "$2y$16$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the cost of this hash is 16, not one of 4 to 15
  route "/h" { basic_auth = { "ann:x" = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the name of a user has no ":", which ends it where it is sent
  route "/i" { basic_auth = { "" = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the name of a user is empty
  route "/j" { basic_auth = { "a\nb" = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the name of a user has a control character
  route "/k" { basic_auth = { ann = null, bob = 1 } } # ERROR: the hash of "ann" is a string | the hash of "bob" is a string
}
