host "a.localhost" {
  command = "pnpm dev" # ERROR: unknown attribute "command" in host "a.localhost"
  worktree = false # ERROR: unknown attribute "worktree" in host "a.localhost"
}
host "b.localhost" {
  upstream = "api" # ERROR: "api" has no port
}
host "c.localhost" {
  upstream = service.api
}
service "api" {
  command = "pnpm dev"
}
cmd = "pnpm dev" # ERROR: unknown attribute "cmd" in the Proxyfile
service "s1" {
  cmd = "pnpm dev" # ERROR: unknown attribute "cmd" in service "s1"
}
worktrees = false # ERROR: unknown attribute "worktrees" in the Proxyfile
service "s2" {
  run = "pnpm dev" # ERROR: unknown attribute "run" in service "s2"
}
service "s3" {
  start = "pnpm dev" # ERROR: unknown attribute "start" in service "s3"
}
service "s4" {
  exec = ["pnpm", "dev"] # ERROR: unknown attribute "exec" in service "s4"
}
service "s5" {
  entrypoint = ["pnpm", "dev"] # ERROR: unknown attribute "entrypoint" in service "s5"
}
service "s6" {
  script = "dev" # ERROR: unknown attribute "script" in service "s6"
}
service "s7" {
  command = "pnpm dev"
  port = 3000 # ERROR: unknown attribute "port" in service "s7"
}
service "s8" {
  command = "pnpm dev"
  ports = ["3000:80"] # ERROR: unknown attribute "ports" in service "s8"
}
service "s9" {
  command = "pnpm dev"
  cwd = "web" # ERROR: unknown attribute "cwd" in service "s9"
}
service "s10" {
  command = "pnpm dev"
  working_dir = "web" # ERROR: unknown attribute "working_dir" in service "s10"
}
service "s11" {
  command = "pnpm dev"
  workdir = "web" # ERROR: unknown attribute "workdir" in service "s11"
}
service "s12" {
  command = "pnpm dev"
  environment = { A = "b" } # ERROR: unknown attribute "environment" in service "s12"
}
service "s13" {
  command = "pnpm dev"
  environment = ["A=b", "C=d"] # ERROR: unknown attribute "environment" in service "s13"
}
service "s14" {
  command = "pnpm dev"
  env_file = ".env" # ERROR: unknown attribute "env_file" in service "s14"
}
service "s15" {
  command = "pnpm dev"
  args = ["dev"] # ERROR: unknown attribute "args" in service "s15"
}
service "s16" {
  command = "pnpm dev"
  shell = true # ERROR: unknown attribute "shell" in service "s16"
}
service "s17" {
  command = "pnpm dev"
  volumes = ["./:/app"] # ERROR: unknown attribute "volumes" in service "s17"
}
service "s18" {
  command = "pnpm dev"
  image = "node:22" # ERROR: unknown attribute "image" in service "s18"
}
service "s19" {
  command = "pnpm dev"
  build = "." # ERROR: unknown attribute "build" in service "s19"
}
service "s20" {
  command = "pnpm dev"
  profiles = ["dev"] # ERROR: unknown attribute "profiles" in service "s20"
}
service "s21" {
  command = "pnpm dev"
  autostart = false # ERROR: unknown attribute "autostart" in service "s21"
}
service "s22" {
  command = "pnpm dev"
  autorestart = true # ERROR: unknown attribute "autorestart" in service "s22"
}
service "s23" {
  command = "pnpm dev"
  watch = ["src"] # ERROR: unknown attribute "watch" in service "s23"
}
service "s24" {
  command = "pnpm dev"
  instances = 2 # ERROR: unknown attribute "instances" in service "s24"
}
service "s25" {
  command = "pnpm dev"
  stop_grace_period = "10s" # ERROR: unknown attribute "stop_grace_period" in service "s25"
}
service "s26" {
  command = "pnpm dev"
  kill_timeout = 10 # ERROR: unknown attribute "kill_timeout" in service "s26"
}
service "s27" {
  command = "pnpm dev"
  stop_signal = "SIGINT" # ERROR: unknown attribute "stop_signal" in service "s27"
}
service "s28" {
  command = "pnpm dev"
  user = "root" # ERROR: unknown attribute "user" in service "s28"
}
service "s29" {
  command = "pnpm dev"
  needs = ["api"] # ERROR: unknown attribute "needs" in service "s29"
}
service "s30" {
  command = "pnpm dev"
  healthcheck = { test = ["CMD", "curl"] } # ERROR: unknown attribute "healthcheck" in service "s30"
}
service "s31" {
  command = "pnpm dev"
  stdout_logfile = "web.log" # ERROR: unknown attribute "stdout_logfile" in service "s31"
}
service "s32" {
  command = "pnpm dev"
  env = ["A=b", "C=d"] # ERROR: env must be an object
}
service "s33" {
  command = "pnpm dev"
  env = "A=b" # ERROR: env must be an object
}
service "s34" {
  command = "pnpm dev"
  env = 3 # ERROR: env must be an object
}
service "s35" {
  command = "pnpm dev"
  restart = true # ERROR: restart must be a string
}
service "s36" {
  command = "pnpm dev"
  restart = false # ERROR: restart must be a string
}
service "s37" {
  command = "pnpm dev"
  stop = "docker compose down" # ERROR: stop must be a duration
}
service "s38" {
  command = "pnpm dev"
  stop = "SIGINT" # ERROR: stop must be a duration
}
service "s39" {
  command = "pnpm dev"
  stop = 10 # ERROR: a duration must be a string
}
service "s40" {
  command = "pnpm dev"
  ready = "ready in" # ERROR: ready must be an object
}
service "s41" {
  command = "pnpm dev"
  ready = true # ERROR: ready must be an object
}
service "own" { command = "vite --port ${service.own.port}" } # ERROR: service.own refers to itself
service "dollar" { command = "vite --port ${port}" } # ERROR: unknown name "port"
