package service

import "github.com/devproxy/devproxy/devproxy/listen"

// isStranger reports whether another user of this machine listens on a port. The ports
// of services can be guessed, so that another user could take one before the service
// does, and would get its requests.
func isStranger(port uint16) bool { return listen.StrangerOn(port) }
