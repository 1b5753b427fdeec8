package main

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/devproxy/devproxy/devproxy/service"
)

// servicePorts are the ports of a project's services whose upstream is left out, and of
// its tcp and udp blocks without listen, as "tcp NAME". Each keeps its port for as long as
// devproxy runs. Use one value for a project.
type servicePorts struct {
	folder string
	// running is true in the process that runs the services. Others name the ports
	// without looking whether they are free.
	running bool

	mu            sync.Mutex
	asked, actual map[string]uint16 // by service
}

func newServicePorts(folder string, running bool) *servicePorts {
	return &servicePorts{folder: folder, running: running, asked: map[string]uint16{}, actual: map[string]uint16{}}
}

// of returns the port that a service is asked to listen on, and the one where it does.
func (p *servicePorts) of(name string) (asked, actual uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked[name] == 0 {
		port := service.UsualPort(p.folder, name)
		if p.running {
			choose := service.ChoosePort
			if strings.HasPrefix(name, "udp ") {
				choose = service.ChooseUDPPort
			}
			chosen, err := choose(p.folder, name, slices.Collect(maps.Values(p.asked)))
			if err == nil { // else the service says that the port is in use
				port = chosen
			}
		}
		p.asked[name], p.actual[name] = port, port
	}
	return p.asked[name], p.actual[name]
}

// found notes where a service listens, and reports whether that is news.
func (p *servicePorts) found(name string, port uint16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked[name] == 0 || p.actual[name] == port {
		return false
	}
	p.actual[name] = port
	return true
}
