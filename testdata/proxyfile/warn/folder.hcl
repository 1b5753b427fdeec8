host "a.localhost" { files = "not/there" } # WARNING: the folder "not/there" is not there yet
