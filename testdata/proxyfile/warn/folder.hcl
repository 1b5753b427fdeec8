host "a.localhost" { files = "not/there" } # WARNING: the folder "not/there" is not there yet
host "b.localhost" {
  upstream  = 1
  try_files = "not/there" # WARNING: the folder "not/there" is not there yet
}
