host "shop.localhost" {
  files = "files.hcl" # ERROR: "files.hcl" is not a folder

  route "/a" { files = "files.hcl" } # ERROR: "files.hcl" is not a folder
  route "/b" {
    files = "../../../.golangci.yml" # ERROR: a file whose name begins with "." is never served
    exact = true
  }
  route "/c" {
    files = "sw.js" # WARNING: the file or folder "sw.js" does not exist yet
    exact = true
  }
  route "/d" {
    files   = "../valid/site"
    rewrite = "/x{rest}" # ERROR: rewrite can't be combined with files
  }
  route "/e" {
    respond = 204
    rewrite = "/x" # ERROR: rewrite can't be combined with respond
  }
  route "/f" {
    redirect = "/y"
    rewrite  = "/x" # ERROR: rewrite can't be combined with redirect
  }
  route "/g/" { upstream = 1 } # ERROR: a path must not end with "/"
  route "/h//" { # ERROR: a path can't have an empty, "." or ".." segment
    upstream = 1
    exact    = true
  }
}

host "b.localhost" {
  files = "../valid/site"
  route "/a" { rewrite = "/x" }
  route "/b" {
    upstream = 1
    rewrite  = "/x"
  }
}

host "c.localhost" {
  upstream  = 1
  try_files = "files.hcl" # ERROR: "files.hcl" is not a folder

  route "/a" {
    files     = "../valid/site"
    try_files = "../valid/site" # ERROR: try_files can't be combined with files
  }
  route "/b" {
    respond   = 204
    try_files = "../valid/site" # ERROR: try_files can't be combined with respond
  }
  route "/c" { try_files = { dir = "x" } } # ERROR: try_files must be the name of a folder
  route "/d" { try_files = "" } # ERROR: the folder name is empty
  route "/e" { try_files = ["$uri", "/index.html"] } # ERROR: try_files must be the name of a folder, not a list of what to try
  route "/f" { try_files = "$uri $uri/ @app" } # ERROR: try_files must be the name of a folder, not a list of what to try
  route "/g" { try_files = "{path} /index.html" } # ERROR: try_files must be the name of a folder, not a list of what to try
}

host "d.localhost" {
  respond = 204
  route "/a" { try_files = "../valid/site" } # ERROR: try_files needs upstream
  route "/b" { try_files = "../valid/site" } # ERROR: try_files needs upstream
}
