package hcl

import "fmt"

// ForPort is the file of `devproxy up 5173`: one host, all of it served by
// port on this machine. It has no path and no sources.
func ForPort(port uint16, host string) *File {
	text := fmt.Sprintf(":%d", port)
	return &File{
		Domain: host,
		Hosts: []*Host{{
			Name: Name{Value: host},
			Settings: Settings{Upstream: &Upstream{
				Members: []Member{{Scheme: SchemeHTTP, Port: port, Text: text}},
				Text:    fmt.Sprint(port),
			}},
		}},
		Sources: Sources{},
	}
}
