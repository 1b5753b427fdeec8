host "a.localhost" {
  upstream   = 1
  basic_auth = "ann:secret" # ERROR: basic_auth must be an object of user names and hashes
  route "/a" { basic_auth = {} } # ERROR: basic_auth has no users
  route "/b" { basic_auth = true } # ERROR: basic_auth must be an object of user names and hashes
  route "/c" { basic_auth = { ann = "secret" } } # ERROR: this is a password for "ann", not a bcrypt hash
  route "/d" { basic_auth = { ann = "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/" } } # ERROR: the bcrypt hash for "ann" is not complete
  route "/e" { basic_auth = { ann = "$2y$10$tooshort" } } # ERROR: the bcrypt hash for "ann" is not complete
  route "/f" { basic_auth = { ann = "$2y$03$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the cost of this hash is 3; it must be 4 to 15
  route "/g" { basic_auth = { ann = "$2y$16$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the cost of this hash is 16; it must be 4 to 15
  route "/h" { basic_auth = { "ann:x" = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: a user name can't contain ":"
  route "/i" { basic_auth = { "" = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the user name is empty
  route "/j" { basic_auth = { "a\nb" = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234" } } # ERROR: the user name contains a control character
  route "/k" { basic_auth = { ann = null, bob = 1 } } # ERROR: the hash of "ann" must be a string | the hash of "bob" must be a string
}
