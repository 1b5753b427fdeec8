package container

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"

	"github.com/devproxy/devproxy/devproxy/failure"
)

// TestReach decides from what an engine says where a container is reached.
func TestReach(t *testing.T) {
	t.Parallel()
	docker0 := network{own: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("172.17.0.1"), netip.MustParseAddr("fd00::1")}, direct: true, host: true}
	bridge := `"Networks": {"bridge": {"IPAddress": "172.17.0.3", "Gateway": "172.17.0.1"}}`
	for _, test := range []struct {
		name  string
		from  network
		label string
		port  uint16
		inspect,
		want, fix string
	}{
		{"published comes first", docker0, "", 0, `{"NetworkSettings": {` + bridge + `, "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4000"}]}}}`, "127.0.0.1:4000", ""},
		{"on all addresses", docker0, "", 0, `{"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "4001"}, {"HostIp": "0.0.0.0", "HostPort": "4000"}]}}}`, "127.0.0.1:4000", ""},
		{"on IPv6 alone", docker0, "", 0, `{"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "4001"}]}}}`, "[::1]:4001", ""},
		{"on an address of this machine", docker0, "", 0, `{"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "192.168.1.5", "HostPort": "4000"}]}}}`, "192.168.1.5:4000", ""},
		{"on an address of another machine", network{}, "", 0, `{"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "192.168.1.6", "HostPort": "4000"}]}}}`, "", "publish it: in compose.yaml `ports: [\"127.0.0.1::80\"]`, or `docker run -p 127.0.0.1::80`"},
		{"Podman's empty address", network{}, "", 0, `{"NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "4000"}]}}}`, "127.0.0.1:4000", ""},
		{"the container's address", docker0, "", 0, `{"Config": {"ExposedPorts": {"80/tcp": {}}}, "NetworkSettings": {` + bridge + `}}`, "172.17.0.3:80", ""},
		{"an address behind another gateway", docker0, "", 0, `{"Config": {"ExposedPorts": {"80/tcp": {}}}, "NetworkSettings": {"Networks": {"n": {"IPAddress": "192.168.1.9", "Gateway": "192.168.1.1"}}}}`, "", "publish it: in compose.yaml `ports: [\"127.0.0.1::80\"]`, or `docker run -p 127.0.0.1::80`"},
		{"an address that is this machine's", docker0, "", 8080, `{"NetworkSettings": {"Networks": {"n": {"IPAddress": "192.168.1.5", "Gateway": "172.17.0.1"}}}}`, "", "publish it: in compose.yaml `ports: [\"127.0.0.1::8080\"]`, or `docker run -p 127.0.0.1::8080`"},
		{"loopback as an address", docker0, "", 8080, `{"NetworkSettings": {"Networks": {"n": {"IPAddress": "127.0.0.9", "Gateway": "127.0.0.1"}}}}`, "", "publish it: in compose.yaml `ports: [\"127.0.0.1::8080\"]`, or `docker run -p 127.0.0.1::8080`"},
		{"IPv6 in the container", docker0, "", 80, `{"NetworkSettings": {"Networks": {"n": {"GlobalIPv6Address": "fd00::2", "IPv6Gateway": "fd00::1"}}}}`, "[fd00::2]:80", ""},
		{"a rootless container", network{direct: true, host: true}, "", 0, `{"Config": {"ExposedPorts": {"80/tcp": {}}}, "NetworkSettings": {` + bridge + `}}`, "", "publish it: in compose.yaml `ports: [\"127.0.0.1::80\"]`, or `docker run -p 127.0.0.1::80`"},
		{"a virtual machine", network{own: docker0.own}, "", 0, `{"Config": {"ExposedPorts": {"80/tcp": {}}}, "NetworkSettings": {` + bridge + `}}`, "", "publish it: in compose.yaml `ports: [\"127.0.0.1::80\"]`, or `docker run -p 127.0.0.1::80`"},
		{"the host's network", docker0, "8080", 0, `{"HostConfig": {"NetworkMode": "host"}}`, "127.0.0.1:8080", ""},
		{"the label decides", docker0, "81", 0, `{"NetworkSettings": {` + bridge + `, "Ports": {"80/tcp": [{"HostPort": "4000"}], "81/tcp": [{"HostPort": "4001"}]}}}`, "127.0.0.1:4001", ""},
		{"the caller decides", docker0, "81", 80, `{"NetworkSettings": {"Ports": {"80/tcp": [{"HostPort": "4000"}], "81/tcp": [{"HostPort": "4001"}]}}}`, "127.0.0.1:4000", ""},
		{"a port that is not exposed", docker0, "3000", 0, `{"NetworkSettings": {` + bridge + `}}`, "172.17.0.3:3000", ""},
		{"one of two is published", docker0, "", 0, `{"NetworkSettings": {` + bridge + `, "Ports": {"80/tcp": null, "81/tcp": [{"HostPort": "4001"}]}}}`, "127.0.0.1:4001", ""},
		{"UDP does not count", docker0, "", 0, `{"NetworkSettings": {"Ports": {"53/udp": [{"HostPort": "5300"}], "81/tcp": [{"HostPort": "4001"}]}}}`, "127.0.0.1:4001", ""},
		{"two are published", docker0, "", 0, `{"NetworkSettings": {"Ports": {"443/tcp": [{"HostPort": "4001"}], "80/tcp": [{"HostPort": "4000"}]}}}`, "", "add the label devproxy.port, such as devproxy.port=80"},
		{"none", docker0, "", 0, `{"NetworkSettings": {` + bridge + `}}`, "", "add the label devproxy.port with the port where its server listens, such as devproxy.port=8080"},
		{"a wrong label", docker0, "http", 0, `{}`, "", "write the port inside the container, such as devproxy.port=8080"},
		{"a label that is too large", docker0, "65536", 0, `{}`, "", "write the port inside the container, such as devproxy.port=8080"},
		{"wrong ports", docker0, "", 0, `{"NetworkSettings": {"Ports": {"0/tcp": [{"HostPort": "1"}], "99999/tcp": null, "x": null, "80/tcp": [{"HostPort": "0"}, {"HostPort": "70000"}, {"HostIp": "x", "HostPort": "1"}]}}}`, "", "publish it: in compose.yaml `ports: [\"127.0.0.1::80\"]`, or `docker run -p 127.0.0.1::80`"},
	} {
		var answer apiContainer
		if err := json.Unmarshal([]byte(test.inspect), &answer); err != nil {
			t.Fatal(err)
		}
		answer.State.Status = "running"
		c := Container{Name: "web", Port: test.label, image: &apiImage{}}
		c.complete(&answer, test.from)
		at, err := c.Reach(test.port)
		var got, fix string
		if err == nil {
			got = at.String()
		} else if f, ok := errors.AsType[*failure.Error](err); ok {
			fix = f.Fix
		}
		if got != test.want || fix != test.fix {
			t.Errorf("%s: %q, %v; fix %q, want %q and %q", test.name, got, err, fix, test.want, test.fix)
		}
	}
}
