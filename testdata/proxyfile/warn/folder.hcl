host "a.localhost" { files = "not/there" } # WARNING: the folder "not/there" does not exist yet
host "b.localhost" {
  upstream  = 1
  try_files = "not/there" # WARNING: the folder "not/there" does not exist yet
}
